"""Worker processes that prepare data: how they stop, and how their errors are told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import PicklingError

from derain_edu.errors import DerainError


def ignore_interrupts(worker: int) -> None:
    """Leave Ctrl-C to the training process, which finishes its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Tell an error of a worker in one sentence.

    PyTorch sends an error from a worker as the same error with the whole traceback as its text,
    of which the last line is what we said.

    Raises
    ------
    DerainError
        For an error of this kind from a worker, for a worker that ended without a word, and for
        data that can't be sent to one.
    """
    try:
        yield
    except DerainError as error:
        raise DerainError(str(error).rpartition("DerainError: ")[2].strip()) from error
    except (PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise DerainError(
            f"the data can't be sent to worker processes ({error}): define their class and its "
            "functions at the top level of a module, or choose workers=0"
        ) from error
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        raise DerainError(
            "a worker process that prepares data ended by itself: it had too little memory, or "
            "could not find the class of the data (in a notebook): choose workers=0"
        ) from error
