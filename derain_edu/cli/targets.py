"""Which pictures a command works on, and where each result goes: settled before any work.

The rules, which ``derain-edu derain --help`` tells in short:

* A folder stands for the pictures in it, and with ``recursive`` for those in the folders below.
* A result never takes the place of a file that the command reads, however that file is spelled.
* A file that exists stays, unless ``overwrite`` is given. So the same command, given again, goes
  on with the pictures that have no result yet.
* ``NAME_derained`` is the result of ``NAME`` where both are among the pictures: it is left out.
* Two results never share a name: the second one gets a number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from derain_edu.errors import DerainError
from derain_edu.files import at_home, check_writable, identity, is_one_of
from derain_edu.picture_files import SAVE_AS, check_save_path

STANDARD = "-"  # standard input or standard output
MARK = "_derained"
# What is taken for a picture in a folder. HEIC is among them although it can't be read: a photo
# that was not derained should be an error, and not a note about files of other kinds.
PICTURES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .tif .tiff .bmp .dib .gif .avif .heic .heif .jp2 "
    ".ppm .pgm .pnm .tga".split()
)
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")  # what a derained video may be
# What is taken for a video when it is named; in a folder it is left out.
VIDEOS = VIDEO_SUFFIXES + tuple(".3gp .avi .mpeg .mpg .mts .webm .wmv".split())
NAMED = 3  # so many files a note names; the others it counts


@dataclass(frozen=True)
class Job:
    """One picture to derain.

    Attributes
    ----------
    picture : Path | None
        The rainy picture; None: standard input.
    target : Path | None
        Where the result goes; None: standard output.
    """

    picture: Path | None
    target: Path | None

    @property
    def name(self) -> str:
        """What to call the picture in messages."""
        return "standard input" if self.picture is None else str(self.picture)


@dataclass(frozen=True)
class Plan:
    """What a command has to do, and what it has to say about it.

    Attributes
    ----------
    jobs : list[Job]
        In the order of the pictures' names.
    notes : list[str]
        What was left out or renamed on purpose, a sentence each.
    problems : list[str]
        What can't be done, a sentence each.
    """

    jobs: list[Job] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan_jobs(
    names: Sequence[str],
    output: str | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> Plan:
    """Say where the derained version of each picture goes.

    Parameters
    ----------
    names : sequence of str
        Pictures, folders of pictures, or ``-`` for standard input.
    output : str, optional
        A file (for one picture), a folder (what exists as one, ends with ``/`` or has no
        suffix), or ``-`` for standard output. Default: ``NAME_derained`` beside each picture.
    recursive : bool
        Also take the pictures in the folders below; the results lie in the same tree.
    overwrite : bool
        Replace results that are there.
    inputs : iterable of Path
        Other files that the command reads, such as weights.

    Returns
    -------
    Plan

    Raises
    ------
    DerainError
        If there is no picture at all, or ``output`` can't be the place for all of them.
    """
    if "" in names or output == "":
        raise DerainError("a name is empty (''): check the variables in your command")
    plan = Plan()
    place = _Place(output)
    found = _without_results(list(_find(names, recursive, place.folder, plan)), plan)
    if len(found) > 1 or any(os.path.isdir(at_home(name)) for name in names):
        place.check_holds_several()
    reads = {identity(path) for path in (*(p for p, _ in found if p), *inputs)}
    kept: list[Path] = []
    taken: set[str] = set()
    for picture, below in found:
        job = Job(picture, place.target(picture, below))
        if job.target is None:
            plan.jobs.append(job)
            continue
        target = _free_name(job.target, taken)
        if target != job.target:
            note = f"{job.name} goes to {target}, because {job.target} is another picture's result"
            plan.notes.append(note)
        try:
            check_save_path(target)
            if identity(target) in reads:
                raise DerainError(f"{target} would overwrite what is read: choose another -o")
            if os.path.lexists(target) and not overwrite:
                place.check_may_stay(target)
                kept.append(target)
                continue
            check_writable(target)
        except DerainError as error:
            plan.problems.append(str(error))
            continue
        plan.jobs.append(Job(picture, target))
    if kept:
        verb = "exists and stays" if len(kept) == 1 else "exist and stay"
        plan.notes.append(f"{_some(kept)} {verb}: --overwrite makes results again")
    return plan


def plan_video(
    names: Sequence[str], output: str | None, overwrite: bool, others: Iterable[str] = ()
) -> Job | None:
    """Say where a derained video goes; None if the names are no video.

    Parameters
    ----------
    names, output, overwrite
        See :func:`plan_jobs`. Default of ``output``: ``NAME_derained`` beside the video.
    others : iterable of str
        Options that were given and that only photos have.

    Raises
    ------
    DerainError
        If the video is not alone, if such an option was given, or if the result can't go there.
    """
    if not any(is_video(name) for name in names):
        return None
    if len(names) > 1:
        raise DerainError("a video is derained alone: give one video, or photos only")
    if others := [f"--{name}" for name in others]:
        raise DerainError(f"{', '.join(others)} is about photos: leave it out for a video")
    video = Path(at_home(names[0]))
    if output == STANDARD:
        raise DerainError("a video can't go to standard output: name a file with -o")
    place = _Place(output)
    suffix = video.suffix if video.suffix.lower() in VIDEO_SUFFIXES else ".mp4"
    if place.file is not None:
        target = place.file
    elif place.folder is not None:
        target = place.folder / f"{video.stem}{suffix}"
    else:
        target = video.with_name(f"{video.stem}{MARK}{suffix}")
    if target.suffix.lower() not in VIDEO_SUFFIXES:
        raise DerainError(f"{target}: a video is written as {', '.join(VIDEO_SUFFIXES)}")
    if is_one_of(target, [video]):
        raise DerainError(f"{target} would overwrite what is read: choose another -o")
    if os.path.lexists(target) and not overwrite:
        raise DerainError(f"{target} exists: choose another -o, or replace it by --overwrite")
    check_writable(target)
    return Job(video, target)


class _Place:
    """What ``-o`` names: a folder, a file, standard output, or nothing."""

    def __init__(self, output: str | None) -> None:
        self.output = output
        path = None if output in (None, STANDARD) else Path(at_home(output))
        is_folder = path is not None and (
            output.endswith(("/", os.sep)) or os.path.isdir(path) or not path.suffix
        )
        self.folder, self.file = (path, None) if is_folder else (None, path)

    def check_holds_several(self) -> None:
        if self.output is not None and self.folder is None:
            raise DerainError(
                f"-o {self.output} is one file, and there are several pictures: name a folder, "
                "with / at its end"
            )

    def check_may_stay(self, target: Path) -> None:
        """A file that was named is expected to be new; a result among many may be there."""
        if self.file is not None:
            raise DerainError(f"{target} exists: choose another -o, or replace it by --overwrite")

    def target(self, picture: Path | None, below: Path) -> Path | None:
        """Return where the result of a picture belongs; None: standard output."""
        if self.file is not None or self.output == STANDARD:
            return self.file
        if picture is None:
            if self.folder is not None:
                raise DerainError(f"standard input has no name for {self.output}: name a file")
            return None
        suffix = picture.suffix if picture.suffix.lower() in SAVE_AS else ".png"
        if self.folder is not None:
            return self.folder / below / f"{picture.stem}{suffix}"
        return picture.with_name(f"{picture.stem}{MARK}{suffix}")


def _find(
    names: Sequence[str], recursive: bool, output: Path | None, plan: Plan
) -> Iterator[tuple[Path | None, Path]]:
    """Yield each picture once, and its folder relative to the one that was named."""
    seen = set()
    for name in names:
        path = None if name == STANDARD else Path(at_home(name))
        if path is not None and os.path.isdir(path):
            pictures = _in_folder(path, recursive, output, plan)
        else:
            pictures = [(path, Path())]
        for picture, below in pictures:
            key = STANDARD if picture is None else _key(picture)
            if key not in seen:
                seen.add(key)
                yield picture, below


def _in_folder(
    folder: Path, recursive: bool, output: Path | None, plan: Plan
) -> list[tuple[Path, Path]]:
    """Return the pictures of a folder; say what is left out."""
    pictures, others, folders = [], [], []
    results = None if output is None else identity(output)

    def complain(error: OSError) -> None:
        plan.problems.append(f"{error.filename} can't be read ({error.strerror}): check its rights")

    for top, inner, files in os.walk(folder, onerror=complain):
        here = Path(top)
        inner[:] = sorted(n for n in inner if n[0] != "." and identity(here / n) != results)
        for name in sorted(files):
            is_picture = name[0] != "." and Path(name).suffix.lower() in PICTURES
            (pictures if is_picture else others).append(here / name)
        if not recursive:
            folders = [here / name for name in inner]
            break
    if others:
        plan.notes.append(f"{_some(others)}: no picture, left out")
    if folders:
        plan.notes.append(f"{_some(folders)}: left out, --recursive takes folders too")
    if not pictures:
        plan.problems.append(f"{folder} holds no picture: name another folder")
    return [(path, path.parent.relative_to(folder)) for path in pictures]


def _without_results(
    found: list[tuple[Path | None, Path]], plan: Plan
) -> list[tuple[Path | None, Path]]:
    """Leave out what an earlier call of the command made from the other pictures."""
    stems = {_key(picture.with_suffix("")) for picture, _ in found if picture is not None}
    results = []
    for picture, _ in found:
        source = None if picture is None else re.sub(rf"{MARK}(_\d+)?$", "", picture.stem)
        if source and source != picture.stem and _key(picture.with_name(source)) in stems:
            results.append(picture)
    if results:
        plan.notes.append(f"{_some(results)}: made from another of the pictures, left out")
    left_out = set(results)
    return [(picture, below) for picture, below in found if picture not in left_out]


def _free_name(target: Path, taken: set[str]) -> Path:
    """Return a name that no other result has: ``photo_2.png`` after ``photo.png``."""
    name, number = target, 1
    while _key(name).casefold() in taken:  # some disks take A.png and a.png for one file
        number += 1
        name = target.with_name(f"{target.stem}_{number}{target.suffix}")
    taken.add(_key(name).casefold())
    return name


def _key(path: Path) -> str:
    """Return one spelling of a name in its folder; a link is a name of its own."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def is_video(name: str) -> bool:
    """Say whether a name ends as that of a video does."""
    return Path(name).suffix.lower() in VIDEOS


def _some(paths: Sequence[Path]) -> str:
    names = ", ".join(map(str, paths[:NAMED]))
    return names if len(paths) <= NAMED else f"{names} and {len(paths) - NAMED} more"
