"""Endless pairs of a rainy and a clean picture: rain drawn over patches of photos.

Training data is a *stream with an index*: ``data[k]`` is a pure function of the seed and of k,
for every k ≥ 0. So it does not matter which worker process draws a sample, or whether training
was interrupted in between: sample number 1234 is always the same one, and a run can be resumed
at any step by continuing to count.

Real data sets are in :mod:`derain_edu.datasets.pairs`; :mod:`derain_edu.datasets.patches` turns
one into such a stream.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from derain_edu.datasets.hard_patches import compressed, harder
from derain_edu.datasets.patches import random_patch
from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.errors import DerainError
from derain_edu.rain.config import NoiseRain, RainConfig
from derain_edu.rain.synthesis import add_rain

RainSpec = str | RainConfig | NoiseRain  # a preset or a configuration


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
        Share of the clean patches that become gratings, over-exposed, sharper, …, see
        :mod:`derain_edu.datasets.hard_patches`.
    jpeg : float
        Share of the pairs that are compressed, both pictures alike (quality 30 to 95): what
        compression does to a picture is no rain and is not to be undone.

    Notes
    -----
    ``data[k]`` is a dict of ``rainy`` and ``clean``, (3, P, P) float32 in [0, 1], and ``mask``,
    (1, P, P) bool: where rain is visible. There is no length; iterate over as many as you like.
    """

    def __init__(
        self,
        photos: Sequence[Tensor] | None = None,
        rain: RainSpec | Sequence[tuple[RainSpec, float]] = "light",
        patch_size: int = 64,
        seed: int = 0,
        split: str = "train",
        scales: Sequence[float] | None = None,
        augment: bool = False,
        hard: float = 0.0,
        jpeg: float = 0.0,
    ) -> None:
        if photos is None:
            photos = [load_photo(name) for name in photo_names(split)]
        if scales is None:
            scales = (1.0, 0.7, 0.5, 0.35, 0.25) if augment else (1.0, 0.7, 0.5)
        self.patch_size, self.seed = patch_size, seed
        self.augment, self.hard, self.jpeg = augment, hard, jpeg
        self.rains, self.odds = _mix(rain)
        # 8 bits a channel are enough to keep, and a quarter of the memory.
        self.pictures = [
            (small * 255).round().byte()
            for photo in photos
            for small in _at_scales(photo, scales, patch_size)
        ]
        self._check_size()

    def _check_size(self) -> None:
        if not self.pictures:
            raise DerainError(
                f"no photo is at least {self.patch_size}×{self.patch_size} pixels: "
                "give larger photos or a smaller patch_size"
            )

    def again(
        self, rain: RainSpec | Sequence[tuple[RainSpec, float]], patch_size: int
    ) -> SyntheticRain:
        """Return the stream of the same photos in another rain, in patches as large or larger.

        It shares the photos with this one, so it needs next to no memory.
        """
        other = copy.copy(self)
        other.patch_size, (other.rains, other.odds) = patch_size, _mix(rain)
        other.pictures = [p for p in self.pictures if min(p.shape[-2:]) >= patch_size]
        other._check_size()
        return other

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index < 0:
            raise DerainError(f"samples are counted from 0, got {index}")
        rng = np.random.default_rng((self.seed, index))
        picture = self.pictures[rng.integers(len(self.pictures))]
        clean = random_patch(picture, self.patch_size, rng).float() / 255
        if self.augment:
            clean = _augmented(clean, rng)
        if self.hard and rng.random() < self.hard:
            clean = harder(clean, rng)
        rain = self.rains[rng.choice(len(self.rains), p=self.odds)]
        result = add_rain(clean, rain, seed=int(rng.integers(2**63)))
        rainy = result.rainy
        if self.jpeg and rng.random() < self.jpeg:
            quality = int(rng.integers(30, 96))
            rainy, clean = compressed(rainy, quality), compressed(clean, quality)
        return {"rainy": rainy, "clean": clean, "mask": result.mask}

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


def _mix(rain: Any) -> tuple[list[RainSpec], np.ndarray]:
    entries = [(rain, 1.0)] if isinstance(rain, RainSpec) else list(rain)
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


