"""What the commands do with videos: pairs from one, and one derained."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn
from tqdm import tqdm

from derain_edu.cli.targets import Job
from derain_edu.datasets.tripod import Stillness, still_pairs
from derain_edu.datasets.video import frames
from derain_edu.errors import DerainError
from derain_edu.evaluation.flicker import measure_flicker
from derain_edu.files import check_writable
from derain_edu.images import to_pil
from derain_edu.inference.video import derain_video
from derain_edu.picture_files import save_picture
from derain_edu.text import bars_are_off

FRAME_BY_FRAME = (
    "note: each frame is derained by itself, so what is left of the rain may flicker; for a clip "
    "from a tripod, derain-edu evaluate --still measures it"
)
ONE_SCENE = (
    "note: all of them show one scene, so they are not independent: for a training set film many "
    "scenes, and keep whole scenes apart for validation"
)


@contextlib.contextmanager
def _notes_to(say: Callable[[str], None]) -> Iterator[None]:
    """Say what is warned of inside, a note each."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(note.message) for note in notes):
        say(f"note: {text}")


def write_pairs(
    video: Path,
    output: Path,
    every: int = 10,
    percentile: float = 50.0,
    window: int | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Write pairs of a video: ``rainy/NAME_00040.png`` and ``clean/NAME_00040.png``.

    Parameters
    ----------
    video : Path
        A file, or a folder of frames.
    output : Path
        Gets ``rainy/`` and ``clean/``, in the layout ``plain`` of
        :class:`~derain_edu.datasets.pairs.PairedFolder`. Pairs of other videos there stay.
    every, percentile, window
        See :func:`derain_edu.datasets.tripod.still_pairs`.
    overwrite : bool
        Replace pairs of a video of this name.
    say : callable
        Gets what was done, and notes.

    Returns
    -------
    int
        How many pairs were written.

    Raises
    ------
    DerainError
        If the camera moves too much, or if there are pairs of this name. Pairs that were written
        before stay.
    KeyboardInterrupt
        With a text that says how many pairs are there.
    """
    source = frames(video)
    rainy, clean = output / "rainy", output / "clean"
    old = _pairs_of(source.name, rainy) | _pairs_of(source.name, clean)
    if old and not overwrite:
        raise DerainError(
            f"{output} has pairs of {source.name} already: choose another -o, or replace them by "
            "--overwrite"
        )
    for folder in (rainy, clean):
        check_writable(folder / "a.png")
    count, seen, new = 0, [], set()
    bar = tqdm(total=-(-len(source) // every), unit="pair", disable=bars_are_off() or None)
    try:
        with bar, _notes_to(say):
            for pair in still_pairs(source, every, percentile, window):
                name = f"{source.name}_{pair.number:05}.png"
                _write_both((rainy / name, to_pil(pair.rainy)), (clean / name, to_pil(pair.clean)))
                new.add(name)
                seen.append(pair.stillness)
                count += 1
                bar.update()
                del pair  # in 4K it holds 200 MB, which the next one needs
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: {count} pairs are in {output}") from None
    say(f"{count} pairs of {source.width}×{source.height} pixels in {output}")
    say(f"each scene from {_of_all(seen)}")
    if stale := old - new:
        say(f"note: {len(stale)} older pairs of {source.name} stay there, such as {min(stale)}")
    say(ONE_SCENE)
    return count


def _pairs_of(name: str, folder: Path) -> set[str]:
    """Return the files of a folder that an earlier call made from a video of this name."""
    if not folder.is_dir():
        return set()
    numbers = ((path.name, path.stem.removeprefix(f"{name}_")) for path in folder.glob("*.png"))
    return {file for file, number in numbers if number.isdecimal() and file != f"{number}.png"}


def _write_both(*files: tuple[Path, object]) -> None:
    """Write two pictures or none: half a pair is an error to whoever reads the folder."""
    written = []
    try:
        for path, picture in files:
            written.append(save_picture(picture, path))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _of_all(seen: list[Stillness]) -> str:
    drift, moving = max(s.drift for s in seen), max(s.moving for s in seen)
    return str(Stillness(seen[0].frames, drift, moving))


def derain_clip(
    job: Job,
    network: nn.Module,
    tile: int | None = None,
    say: Callable[[str], None] = print,
    complain: Callable[[str], None] = print,
) -> bool:
    """Derain a video, for ``derain-edu derain``, with a bar that tells the time left.

    Parameters
    ----------
    job : Job
        From :func:`derain_edu.cli.targets.plan_video`.
    network : nn.Module
        The model, on its device.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    say, complain : callable
        Get what was done, and that it was stopped.

    Returns
    -------
    bool
        Whether the whole video was derained.
    """
    began = time.perf_counter()
    say(FRAME_BY_FRAME)
    total = len(frames(job.picture))
    form = "{percentage:3.0f}%|{bar}| {n} of {total} frames, {remaining} left"
    bar = tqdm(total=total, bar_format=form, disable=bars_are_off() or None)
    try:
        with bar, _notes_to(say):
            result = derain_video(job.picture, job.target, network, tile, on_frame=bar.update)
    except KeyboardInterrupt:
        complain("stopped before the first frame was done")
        return False
    if result.stopped:
        complain(
            f"stopped: the first {result.frames} of {result.expected} frames are in {result.path}"
        )
        return False
    seconds = time.perf_counter() - began
    sound = "with its sound" if result.sound else "no sound"
    say(f"{job.name} -> {result.path}  ({result.frames} frames, {sound}, {seconds:.1f} s)")
    return True


def score_still(
    video: Path,
    network: nn.Module,
    most: int,
    tile: int | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Say how much a still scene flickers before and after, for ``derain-edu evaluate --still``."""
    source = frames(video)
    with tqdm(unit="frame", leave=False, disable=bars_are_off() or None) as bar, _notes_to(say):
        flicker = measure_flicker(network, source, most, tile, bar.update)
    say(f"{video}: {flicker.stillness}")
    say(f"flicker in luma, in 1/255:\n{flicker}")
