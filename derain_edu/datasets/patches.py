"""Square patches at random places: one of them, or an endless stream from a folder of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from derain_edu.datasets.pairs import PairedFolder, check_pairs
from derain_edu.errors import DerainError


class RandomPatches(Dataset):
    """An endless indexed stream of patches from the pairs of a :class:`PairedFolder`.

    Each round through the data visits every pair once, in an order drawn from the seed and the
    round; the patch's place and a horizontal flip are drawn from the seed and the index.
    """

    def __init__(self, pairs: PairedFolder, patch_size: int = 100, seed: int = 0) -> None:
        self.pairs, self.patch_size, self.seed = pairs, patch_size, seed
        self._drawn = (-1, np.empty(0, int))  # a round, and its order: drawn once, not per patch

    def _order(self, turn: int) -> np.ndarray:
        if self._drawn[0] != turn:
            rng = np.random.default_rng((self.seed, turn, 0))
            self._drawn = (turn, rng.permutation(len(self.pairs)))
        return self._drawn[1]

    def _read(self, number: int) -> dict[str, Any]:
        pair = self.pairs[number]
        if min(pair["rainy"].shape[-2:]) < self.patch_size:
            raise DerainError(
                f"{pair['name']} is smaller than a patch of {self.patch_size}: lower patch_size"
            )
        return pair

    def check(self) -> None:
        """Read the pairs once: see :func:`~derain_edu.datasets.pairs.check_pairs`."""
        check_pairs(self._read, len(self.pairs))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        turn, place = divmod(index, len(self.pairs))
        pair = self._read(int(self._order(turn)[place]))
        both = torch.cat((pair["rainy"], pair["clean"]))  # (6, H, W): cut both at one place
        rng = np.random.default_rng((self.seed, index, 1))
        both = random_patch(both, self.patch_size, rng)
        return {"rainy": both[:3].contiguous(), "clean": both[3:].contiguous()}


def random_patch(picture: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Cut a (C, size, size) patch at a random place and mirror it left-right half of the time."""
    top = int(rng.integers(picture.shape[-2] - size + 1))
    left = int(rng.integers(picture.shape[-1] - size + 1))
    patch = picture[:, top : top + size, left : left + size]
    return patch.flip(-1) if rng.random() < 0.5 else patch
