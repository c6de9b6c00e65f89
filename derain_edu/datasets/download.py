"""Fetch the authors' weights, the benchmarks and a clip: by address and sha256, into a cache.

These files are research artefacts without a clear licence, so they are not part of this
repository. ``manifests/*.csv`` lists where public copies are and what their sha256 must be.
A file in the cache is always complete and always the right one (see
:mod:`derain_edu.datasets.fetching`).

Without a network (a class room, continuous integration) the same files can come from a folder:
``derain-edu download rain100l --source FOLDER``.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_dir

from derain_edu.datasets.fetching import fetch, not_written
from derain_edu.errors import DerainError
from derain_edu.files import PACKAGE, at_home, is_right, reserved
from derain_edu.text import bars_are_off

_PAPERS = {
    "rain100l": "Yang et al., CVPR 2017, the original Rain100L: 100 test pairs of light rain",
    "rain100h": "Yang et al., CVPR 2017, the original Rain100H: 100 test pairs of heavy rain",
    "real-clip": "Jiang et al., CVPR 2017 (FastDeRain): 376 frames of real rain, from a tripod",
    "official-weights": "Ren et al., CVPR 2019 (PRN, PReNet) and Wang et al., CVPR 2019 (SPANet)",
}
SETS = tuple(_PAPERS)


@dataclass(frozen=True)
class Entry:
    """One line of a manifest.

    Attributes
    ----------
    file : str
        Its place inside the set's folder, such as ``rainy/001.png``.
    sha256 : str
        Of its content, as hex digits.
    bytes : int
        Its size.
    url : str
        Where it comes from.
    """

    file: str
    sha256: str
    bytes: int
    url: str


@dataclass(frozen=True)
class Downloaded:
    """What :func:`download_set` did.

    Attributes
    ----------
    name : str
        Of the set.
    folder : Path
        Where the set is now.
    total : int
        Files that belong to the set.
    new : int
        Files that this call added.
    missing : tuple[str, ...]
        Files that the source folder does not have.
    """

    name: str
    folder: Path
    total: int
    new: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        ready = self.total - len(self.missing)
        text = f"{self.name}: {ready} of {self.total} files in {self.folder} ({self.new} new)"
        return f"{text}; the source has no {self.missing[0]} …" if self.missing else text


def cache_folder() -> Path:
    """Return the cache folder: ``DERAIN_EDU_CACHE``, or the system's place for caches.

    Raises
    ------
    DerainError
        If that lies in a home folder, and this user has none.
    """
    chosen = os.environ.get("DERAIN_EDU_CACHE")
    try:
        return Path(at_home(chosen or user_cache_dir("derain_edu", appauthor=False)))
    except (DerainError, RuntimeError) as error:  # older platformdirs leave the ~ as it is
        raise DerainError(
            "this user has no home folder, so there is no place for the cache: set "
            "DERAIN_EDU_CACHE to a folder"
        ) from error


def read_manifest(name: str) -> list[Entry]:
    """Return the files of the set ``name``, one of :data:`SETS`.

    Examples
    --------
    >>> len(read_manifest("rain100l")), read_manifest("rain100l")[0].file
    (200, 'clean/001.png')
    """
    if name not in SETS:
        raise DerainError(f"unknown set {name!r}: choose one of {', '.join(SETS)}")
    manifest = PACKAGE / "datasets" / "manifests" / f"{name}.csv"
    with open(manifest, encoding="utf-8", newline="") as file:
        return [Entry(**{**row, "bytes": int(row["bytes"])}) for row in csv.DictReader(file)]


def notice(name: str) -> str:
    """Return what everyone should know before using the set ``name``."""
    return (
        f"{name}: {_PAPERS[name]}.\n"
        "Research use only: these files have no clear licence. Don't publish them again, and "
        "cite the papers."
    )


def cached_set(name: str) -> Path | None:
    """Return the folder of a set if at least one of its files is in the cache, else None."""
    folder = cache_folder() / name
    return folder if cached_files(name) else None


def cached_files(name: str) -> list[str]:
    """Return which files of the set ``name`` are in the cache."""
    folder = cache_folder() / name
    return [entry.file for entry in read_manifest(name) if (folder / entry.file).is_file()]


def official_weight_path(file: str) -> Path:
    """Return where one of the authors' weight files is, for example ``prenet_rain100l.pth``.

    Raises
    ------
    DerainError
        If it is not in the cache; the message holds the command that gets it.
    """
    path = cache_folder() / "official-weights" / file
    if not path.is_file():
        raise DerainError(
            f"the authors' weights {file} are not in the cache {cache_folder()}: get them with "
            "`derain-edu download official-weights` (research use only)"
        )
    return path


def download_set(
    name: str,
    source: str | Path | None = None,
    progress: bool = False,
    say: Callable[[str], None] | None = print,
) -> Downloaded:
    """Bring all files of a set into the cache.

    Parameters
    ----------
    name : str
        One of :data:`SETS`.
    source : path, optional
        A folder that already holds the files (a USB stick, a shared disk), as ``FILE`` or
        ``NAME/FILE``; then nothing is downloaded, and what the folder lacks is counted in the
        result. The same hashes are checked.
    progress : bool
        Show a progress bar.
    say : callable, optional
        Gets the research-only notice; None for silence.

    Returns
    -------
    Downloaded

    Raises
    ------
    DerainError
        If a file cannot be had or is not the right one (what was fetched before stays), and if
        another program downloads this set.
    """
    from tqdm import tqdm

    entries = read_manifest(name)
    if source is not None and not Path(source).is_dir():
        raise DerainError(f"the source {source} is not a folder: check the name")
    if say:
        say(notice(name))
    folder, new, missing = cache_folder() / name, 0, []
    wanted = [entry for entry in entries if not is_right(folder / entry.file, entry.sha256)]
    if not wanted:  # nothing is written: the cache may be a shared folder that we can only read
        return Downloaded(name, folder, len(entries), 0, ())
    with _reserved(folder, name):
        hidden = not progress or bars_are_off()
        for entry in tqdm(wanted, desc=name, unit="file", disable=hidden):
            path = folder / entry.file
            if is_right(path, entry.sha256):  # another program has just brought it
                continue
            copy = None if source is None else _find(Path(source), name, entry.file)
            if source is not None and copy is None:
                missing.append(entry.file)
                continue
            fetch(entry.url, entry.sha256, path, source=copy, size=entry.bytes)
            new += 1
    if len(missing) == len(entries):
        raise DerainError(
            f"{source} holds none of the {len(entries)} files of {name}: expected for example "
            f"{Path(source or '') / name / entries[0].file}"
        )
    return Downloaded(name, folder, len(entries), new, tuple(missing))


@contextlib.contextmanager
def _reserved(folder: Path, name: str) -> Iterator[None]:
    """Be the only program that downloads into ``folder``: two would spoil each other's parts."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(reserved(folder, f"a download of {name}"))
        except OSError as error:
            raise DerainError(not_written(folder, error)) from error
        yield


def _find(source: Path, name: str, file: str) -> Path | None:
    candidates = (source / name / file, source / file)
    return next((path for path in candidates if path.is_file()), None)
