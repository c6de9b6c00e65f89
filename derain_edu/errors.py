"""The one exception this package raises on purpose.

A :class:`DerainError` is a message to the person at the keyboard: one clear sentence that says
what was wrong and what to do about it. The command line prints it and exits with status 2; in a
notebook it is the last line of the traceback. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from derain_edu.language import local


class DerainError(ValueError):
    """Something that the caller can mend: a bad picture, an unknown name, a missing file."""

    def __str__(self) -> str:
        return local(super().__str__())
