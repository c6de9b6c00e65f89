"""The clean photos that come with the course, and the folder that holds them.

Every photo is openly licensed (see ``data/photos/ATTRIBUTION.md``) and belongs to exactly one
split, so a model that was trained on ``train`` has never seen a pixel of ``validation`` or
``test``. The lessons and all experiments train on the thirteen photos of ``train``; a general
network also on those of ``extra``, all kinds of scenes. ``dry_validation`` and ``dry_test`` hold
what is easily mistaken for rain (fences, stripes, hair, reeds, twigs against a white sky, letters,
lights at night): they show whether a network leaves pictures without rain alone.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.files import data_folder

SPLITS = ("train", "extra", "validation", "test", "dry_validation", "dry_test")


@lru_cache(maxsize=1)
def _index() -> dict[str, dict[str, str]]:
    with open(data_folder() / "photos" / "photos.csv", encoding="utf-8", newline="") as file:
        return {Path(row["file"]).stem: row for row in csv.DictReader(file)}


def photo_names(split: str | None = None) -> list[str]:
    """Return the names of the bundled photos, sorted.

    Parameters
    ----------
    split : {"train", "extra", "validation", "test", "dry_validation", "dry_test"}, optional
        Only the photos of this split, or of several: ``"train+extra"``. Default: all of them.

    Raises
    ------
    DerainError
        If there is no such split.

    Examples
    --------
    >>> photo_names("test")
    ['astronaut', 'china', 'flower', 'friends', 'picosdeeuropa', 'rocket']
    """
    wanted = SPLITS if split is None else split.split("+")
    if unknown := [part for part in wanted if part not in SPLITS]:
        raise DerainError(f"unknown split {unknown[0]!r}: choose one of {', '.join(SPLITS)}")
    return sorted(name for name, row in _index().items() if row["split"] in wanted)


def photo_path(name: str) -> Path:
    """Return the file of the bundled photo ``name`` (for example ``"china"``)."""
    if name not in _index():
        raise DerainError(f"no bundled photo {name!r}: choose one of {', '.join(photo_names())}")
    return data_folder() / "photos" / _index()[name]["file"]


def photo_row(name: str) -> dict[str, str]:
    """Return what ``photos.csv`` says of a bundled photo: author, licence, source, changes …"""
    photo_path(name)  # a name that is not there is an error
    return dict(_index()[name])


def load_photo(name: str, long_side: int | None = None) -> Tensor:
    """Load a bundled photo.

    Parameters
    ----------
    name : str
        A name from :func:`photo_names`.
    long_side : int, optional
        Shrink the photo so that its longer side has at most this many pixels (Lanczos).

    Returns
    -------
    Tensor
        (3, H, W), RGB, float32 in [0, 1].
    """
    with Image.open(photo_path(name)) as picture:
        picture = picture.convert("RGB")
    if long_side is not None and long_side < max(picture.size):
        picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    pixels = np.array(picture, dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
