"""Pairs of a rainy and a clean picture: made endlessly, or read from a folder.

Training data is a *stream with an index*: ``data[k]`` is a pure function of the seed and of k,
for every k ≥ 0. So it does not matter which worker process draws a sample, or whether training
was interrupted in between: sample number 1234 is always the same one, and a run can be resumed
at any step by continuing to count.

Real data sets are :class:`PairedFolder`; :class:`RandomPatches` turns one into such a stream.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from derain_edu.errors import DerainError
from derain_edu.images import to_tensor
from derain_edu.photos import load_photo, photo_names
from derain_edu.rain.config import NoiseRain, RainConfig
from derain_edu.rain.synthesis import add_rain
from derain_edu.scenes import harder

Rain = str | RainConfig | NoiseRain  # a preset or a configuration
Pair = tuple[Path, Path]  # the files of the rainy and of the clean picture
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


class SyntheticRain(Dataset):
    """Endless pairs: a random patch of a clean photo, and the same patch in random rain.

    Parameters
    ----------
    photos : sequence of Tensor, optional
        Clean pictures (3, H, W) in [0, 1], each at least ``patch_size`` high and wide.
        Default: the bundled photos of ``split``.
    rain : str, RainConfig, NoiseRain, or sequence of (one of these, weight)
        A preset, a configuration, or a mix from which each sample draws one.
    patch_size : int
        Side of the square patch in pixels.
    seed : int
        Another seed is another endless stream.
    split : str
        Which bundled photos (``"train"``, ``"train+extra"``, …), when ``photos`` is not given.
    scales : sequence of float, optional
        Each photo is offered at these scales, so that it is seen from near and far. Scales at
        which it would be smaller than a patch are left out. Default: 1, 0.7 and 0.5, with
        ``augment`` also 0.35 and 0.25.
    augment : bool
        Also mirror and turn the clean patches and change their colours, before it rains on them:
        more pictures from few photos.
    hard : float
        Share of the clean patches that become sharper, richer in contrast, or dead leaves, see
        :mod:`derain_edu.scenes`.

    Notes
    -----
    ``data[k]`` is a dict of ``rainy`` and ``clean``, (3, P, P) float32 in [0, 1], and ``mask``,
    (1, P, P) bool: where rain is visible. There is no length; iterate over as many as you like.
    """

    def __init__(
        self,
        photos: Sequence[Tensor] | None = None,
        rain: Rain | Sequence[tuple[Rain, float]] = "light",
        patch_size: int = 64,
        seed: int = 0,
        split: str = "train",
        scales: Sequence[float] | None = None,
        augment: bool = False,
        hard: float = 0.0,
    ) -> None:
        if photos is None:
            photos = [load_photo(name) for name in photo_names(split)]
        if scales is None:
            scales = (1.0, 0.7, 0.5, 0.35, 0.25) if augment else (1.0, 0.7, 0.5)
        self.patch_size, self.seed, self.augment, self.hard = patch_size, seed, augment, hard
        self.rains, self.odds = _mix(rain)
        # 8 bits a channel are enough to keep, and a quarter of the memory.
        self.pictures = [
            (small * 255).round().byte()
            for photo in photos
            for small in _at_scales(photo, scales, patch_size)
        ]
        if not self.pictures:
            raise DerainError(
                f"no photo is at least {patch_size}×{patch_size} pixels: "
                "give larger photos or a smaller patch_size"
            )

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index < 0:
            raise DerainError(f"samples are counted from 0, got {index}")
        rng = np.random.default_rng((self.seed, index))
        picture = self.pictures[rng.integers(len(self.pictures))]
        clean = _random_patch(picture, self.patch_size, rng).float() / 255
        if self.augment:
            clean = _augmented(clean, rng)
        if self.hard and rng.random() < self.hard:
            clean = harder(clean, rng)
        rain = self.rains[rng.choice(len(self.rains), p=self.odds)]
        result = add_rain(clean, rain, seed=int(rng.integers(2**63)))
        return {"rainy": result.rainy, "clean": clean, "mask": result.mask}

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        index, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        while True:
            yield self[index]
            index += step


def _augmented(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a square patch (3, P, P) mirrored, turned, darker or lighter, in other colours."""
    if rng.random() < 0.5:
        clean = clean.flip(-1)
    if rng.random() < 0.5:
        clean = clean.flip(-2)
    if rng.random() < 0.5:
        clean = clean.transpose(-1, -2)  # with the flips: all eight ways to lay a square
    clean = clean ** math.exp(rng.uniform(-0.5, 0.5))  # gamma from 0.61 to 1.65
    if rng.random() < 0.5:
        clean = clean[torch.from_numpy(rng.permutation(3))]
    return clean.contiguous()


class PairedFolder(Dataset):
    """The pairs of a real data set.

    Parameters
    ----------
    root : path
        The folder as its authors ship it.
    layout : str
        One of :data:`LAYOUTS`:

        - ``plain``: ``rainy/`` and ``clean/`` with equal names
        - ``rain100l``, ``rain100h``: ``plain``, or ``rain-001.png`` (also under ``rainy/``)
          beside ``norain-001.png``
        - ``rain12``: ``rainy/`` and ``groundtruth/``, or ``001_in.png`` beside ``001_GT.png``
        - ``rain1400``: ``rainy_image/7_3.jpg`` (scene 7, rain 3) and ``ground_truth/7.jpg``
        - ``rain800``: one file per pair, clean on the left and rainy on the right
        - ``spa``: a list file (``*.txt``) with the two paths of a pair on each line

    Raises
    ------
    DerainError
        At once if the folder or a twin is missing; on access if a file is unreadable or the
        two pictures differ in size. The message names the files.

    Notes
    -----
    ``data[i]`` is a dict of ``rainy`` and ``clean``, (3, H, W) float32 in [0, 1], and ``name``.
    """

    def __init__(self, root: str | Path, layout: str = "plain") -> None:
        self.root, self.layout = Path(root), layout
        if layout not in _FINDERS:
            raise DerainError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
        if not self.root.is_dir():
            raise DerainError(f"{self.root} is not a folder: download or unpack the data set first")
        self.pairs = _FINDERS[layout](self.root)
        if not self.pairs:
            raise DerainError(f"{self.root} holds no pairs in the layout {layout!r}")
        missing = [str(file) for pair in self.pairs for file in pair if not file.is_file()]
        if missing:
            raise DerainError(
                f"{len(missing)} files of {self.root} have no twin: {', '.join(missing[:3])} "
                "missing; download the data set again or remove the other half of each pair"
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rainy_file, clean_file = self.pairs[index]
        if rainy_file == clean_file:
            rainy, clean = _split_in_halves(rainy_file)
        else:
            rainy, clean = to_tensor(rainy_file), to_tensor(clean_file)
        if rainy.shape != clean.shape:
            raise DerainError(
                f"{rainy_file} is {rainy.shape[-1]}×{rainy.shape[-2]} pixels, but {clean_file} is "
                f"{clean.shape[-1]}×{clean.shape[-2]}: the two do not belong together"
            )
        return {"rainy": rainy, "clean": clean, "name": rainy_file.stem}


class RandomPatches(Dataset):
    """An endless indexed stream of patches from the pairs of a :class:`PairedFolder`.

    Each round through the data visits every pair once, in an order drawn from the seed and the
    round; the patch's place and a horizontal flip are drawn from the seed and the index.
    """

    def __init__(self, pairs: PairedFolder, patch_size: int = 100, seed: int = 0) -> None:
        self.pairs, self.patch_size, self.seed = pairs, patch_size, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        turn, place = divmod(index, len(self.pairs))
        order = np.random.default_rng((self.seed, turn, 0)).permutation(len(self.pairs))
        pair = self.pairs[int(order[place])]
        if min(pair["rainy"].shape[-2:]) < self.patch_size:
            raise DerainError(
                f"{pair['name']} is smaller than a patch of {self.patch_size}: lower patch_size"
            )
        both = torch.cat((pair["rainy"], pair["clean"]))  # (6, H, W): cut both at one place
        rng = np.random.default_rng((self.seed, index, 1))
        both = _random_patch(both, self.patch_size, rng)
        return {"rainy": both[:3].contiguous(), "clean": both[3:].contiguous()}


def _mix(rain: Any) -> tuple[list[Rain], np.ndarray]:
    entries = [(rain, 1.0)] if isinstance(rain, Rain) else list(rain)
    odds = np.array([weight for _, weight in entries], dtype=float)
    return [entry for entry, _ in entries], odds / odds.sum()


def _at_scales(photo: Tensor, scales: Sequence[float], smallest: int) -> Iterator[Tensor]:
    for scale in scales:
        size = [round(side * scale) for side in photo.shape[-2:]]
        if min(size) >= smallest:
            small = photo if scale == 1 else _shrink(photo, size)
            yield small.clamp(0, 1)


def _shrink(photo: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(photo[None], size, mode="bicubic", antialias=True)[0]


def _random_patch(picture: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Cut a (C, size, size) patch at a random place and mirror it left-right half of the time."""
    top = int(rng.integers(picture.shape[-2] - size + 1))
    left = int(rng.integers(picture.shape[-1] - size + 1))
    patch = picture[:, top : top + size, left : left + size]
    return patch.flip(-1) if rng.random() < 0.5 else patch


def _split_in_halves(file: Path) -> tuple[Tensor, Tensor]:
    both = to_tensor(file)  # (3, H, 2W)
    width = both.shape[-1]
    if width % 2:
        raise DerainError(f"{file} is {width} pixels wide, so it can't hold two equal halves")
    clean, rainy = both.chunk(2, dim=-1)
    return rainy.contiguous(), clean.contiguous()


def _pictures(folder: Path, pattern: str = ".*") -> list[Path]:
    """Return the pictures of a folder whose stem matches, in natural order (2 before 10)."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.suffix.lower() in PICTURES]
    found = [f for f in found if re.fullmatch(pattern, f.stem)]
    return sorted(found, key=lambda f: [int(n) for n in re.findall(r"\d+", f.stem)] + [f.stem])


def _same_names(rainy: Path, clean: Path) -> list[Pair]:
    """Pair two folders by file name; a file on either side asks for its twin on the other."""
    names = {file.name: None for file in [*_pictures(rainy), *_pictures(clean)]}
    return [(rainy / name, clean / name) for name in names]


def _find_plain(root: Path) -> list[Pair]:
    return _same_names(root / "rainy", root / "clean")


def _find_rain100(root: Path) -> list[Pair]:
    if (root / "clean").is_dir():
        return _find_plain(root)
    folder = root / "rainy" if (root / "rainy").is_dir() else root
    return [
        (file, root / f"no{file.name}") for file in _pictures(folder, r"rain-\d+")
    ]


def _find_rain12(root: Path) -> list[Pair]:
    if (root / "groundtruth").is_dir():
        return _same_names(root / "rainy", root / "groundtruth")
    rainy = _pictures(root, r"\d+_in")
    return [(file, file.with_name(file.name.replace("_in", "_GT"))) for file in rainy]


def _find_rain1400(root: Path) -> list[Pair]:
    rainy = _pictures(root / "rainy_image", r"\d+_\d+")
    clean = root / "ground_truth"
    return [(file, clean / f"{file.stem.split('_')[0]}{file.suffix}") for file in rainy]


def _find_rain800(root: Path) -> list[Pair]:
    return [(file, file) for file in _pictures(root)]


def _find_spa(root: Path) -> list[Pair]:
    pairs = []
    for listing in sorted(root.glob("*.txt")):
        for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
            names = line.split()
            if not names:
                continue
            if len(names) != 2:
                raise DerainError(
                    f"{listing}, line {number}: expected the paths of a rainy and a clean picture"
                )
            rainy, clean = (root / name.lstrip("/") for name in names)
            pairs.append((rainy, clean))
    return pairs


_FINDERS: dict[str, Callable[[Path], list[Pair]]] = {
    "plain": _find_plain,
    "rain100l": _find_rain100,
    "rain100h": _find_rain100,
    "rain12": _find_rain12,
    "rain1400": _find_rain1400,
    "rain800": _find_rain800,
    "spa": _find_spa,
}
LAYOUTS = tuple(_FINDERS)
