"""Where the package and its data are on this machine, and how a file is written safely.

A process can be killed while it writes, a disk can be full, and two programs can write the same
file at once. :func:`write_atomically` leaves the old file or the new one in each of these cases,
never half of one; every file that the project writes goes through it, but for a video, which
grows for minutes (:func:`growing`). :func:`changing` and
:func:`reserved` keep two programs out of each other's way, and :func:`is_one_of` tells a command
that its result would replace one of its inputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from derain_edu.errors import DerainError

PACKAGE = Path(__file__).resolve().parent
_PIECE = 1 << 20  # bytes that are read at once
LOCK_SECONDS = 60.0
_WAITS = (0.02, 0.1, 0.5, 1.0)  # seconds before the second, third … attempt to rename


def in_checkout() -> bool:
    """Whether the package runs from a clone of the repository (otherwise: installed by pip)."""
    top = PACKAGE.parent
    return (top / "pyproject.toml").is_file() and (top / "notebooks").is_dir()


def data_folder() -> Path:
    """Return the course's ``data`` folder: photos and recorded results.

    In a checkout it stands beside the package; in an installed wheel it lies inside it.
    """
    for candidate in (PACKAGE / "data", PACKAGE.parent / "data"):
        if (candidate / "photos" / "photos.csv").is_file():
            return candidate
    raise DerainError(
        f"the course's photos were not found beside {PACKAGE}: install derain-edu again, "
        "or work in a full clone of the repository"
    )


def at_home(name: str) -> str:
    """Return a file's name in which a leading ``~`` is the home folder, as in the shell.

    A file whose own name begins with ``~`` is that file.

    Raises
    ------
    DerainError
        If this user has no home folder, as in some containers.
    """
    if not name.startswith("~"):
        return name
    if os.path.lexists(name):
        return os.path.abspath(name)  # so that nobody later takes the ~ for the home folder
    found = os.path.expanduser(name)
    if found == name and name[1:2] in ("", "/", os.sep):
        raise DerainError(f"{name}: this user has no home folder, so write the whole path")
    return found


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that no reader ever sees a part of it.

    The bytes go to a temporary name in the same folder, onto the disk, and only then get their
    final name. The temporary name belongs to this call alone, so several writers don't disturb
    each other: the last one wins, with a whole file. A missing folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")  # short, whatever the final name is
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the bytes are on the disk before the name points to them
        _replace(temporary, path)
    except BaseException:  # also Ctrl-C: leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def growing(path: Path) -> Iterator[Path]:
    """Let a program of others write a file for minutes, and give it its name at the end.

    The name that this yields stands beside ``path`` and has its suffix: ``clip.mp4`` grows as
    ``clip.1f3a90c2.part.mp4``. It is no hidden name, so that a person finds what a killed program
    left. After an error it is deleted; whoever wants to keep the beginning ends without one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem[:80]}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        _replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def check_writable(path: Path) -> None:
    """Say now, rather than after minutes of work, that a file can't be written to ``path``.

    The place is tried: a nameless file is opened in the folder, or where the folder will be made.

    Raises
    ------
    DerainError
        If the folder may not be written or is a file, or if the name is too long.
    """
    try:
        if path.is_dir():
            raise DerainError(f"{path} is a folder: name a file in it")
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # complains about names that can't be
        folder = path.parent
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise DerainError(f"{path} can't be written ({reason}): choose another place") from error


def _replace(temporary: Path, path: Path) -> None:
    """Rename; on Windows a virus scanner or an indexer may hold the old file for a moment."""
    for wait in _WAITS:
        try:
            return os.replace(temporary, path)
        except PermissionError:
            time.sleep(wait)
    os.replace(temporary, path)


@contextlib.contextmanager
def changing(path: Path, seconds: float | None = None) -> Iterator[None]:
    """Be the only program that reads ``path``, changes what it says, and writes it again.

    A lock beside the file keeps others waiting who do the same. (One that only reads needs none:
    :func:`write_atomically` shows it the old file or the new one.)

    Parameters
    ----------
    path : Path
        The file, which may not exist yet.
    seconds : float, optional
        How long to wait for another program: longer than the change takes. Default: a minute.

    Raises
    ------
    DerainError
        If another program has held the lock for so long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    seconds = LOCK_SECONDS if seconds is None else seconds
    try:
        with FileLock(lock, timeout=seconds):
            yield
    except Timeout as error:
        raise DerainError(
            f"another program has been changing {path} for {seconds:g} s: wait for it, or "
            f"delete {lock} if there is none"
        ) from error


@contextlib.contextmanager
def reserved(folder: Path, task: str) -> Iterator[None]:
    """Be the only program that works in ``folder`` for a long time, such as a training run.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    task : str
        What is done there, for the message: "a training run".

    Raises
    ------
    DerainError
        At once, if another program works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(folder / ".lock", timeout=0))
        except Timeout as error:
            raise DerainError(
                f"{task} is going on in {folder}: wait for it, or name another folder"
            ) from error
        yield


def is_one_of(path: Path, others: Iterable[Path]) -> bool:
    """Say whether ``path`` is one of these files, however it is spelled.

    ``..``, symbolic and hard links, and letter case where the disk ignores it lead to the same
    file. A file that does not exist yet is compared by its resolved name.
    """
    return identity(path) in map(identity, others)


def identity(path: Path) -> Hashable:
    """Return what all spellings of one file have in common, and no other file has.

    Of many files it makes a set, where :func:`is_one_of` would look at each of them again.
    """
    try:
        status = os.stat(path)
    except OSError:  # it does not exist
        return os.path.normcase(os.path.realpath(path))
    if not status.st_ino:  # a disk that numbers no files
        return os.path.normcase(os.path.realpath(path))
    return status.st_dev, status.st_ino


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def is_right(path: Path, sha256: str) -> bool:
    """Say whether ``path`` is a file with this sha256."""
    return path.is_file() and file_hash(path) == sha256.lower()
