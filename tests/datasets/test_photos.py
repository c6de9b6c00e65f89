"""The bundled photos: splits, licences, and how they load."""

from __future__ import annotations

import csv

import pytest
import torch

import derain_edu as de
from derain_edu.datasets.photos import SPLITS, photo_path
from derain_edu.files import data_folder


def test_splits_are_disjoint_and_complete():
    splits = [de.photo_names(split) for split in SPLITS]
    assert sorted(sum(splits, [])) == de.photo_names()
    assert all(splits)
    assert de.photo_names("extra+train") == sorted(splits[0] + splits[1])
    for wrong in ("exam", "train+exam", "train+"):
        with pytest.raises(de.DerainError, match=", ".join(SPLITS)):
            de.photo_names(wrong)


def test_every_photo_has_licence_and_author():
    with open(data_folder() / "photos" / "photos.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    attribution = (data_folder() / "photos" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for row in rows:
        assert row["licence"] and row["author"] and row["source"]
        assert row["file"] in attribution and row["author"] in attribution
    assert {row["file"] for row in rows} == {
        path.name
        for path in (data_folder() / "photos").iterdir()
        if path.suffix in (".jpg", ".png", ".webp")
    }


def test_photos_load_as_promised():
    for name in de.photo_names():
        photo = de.load_photo(name, long_side=64)
        assert photo.shape[0] == 3 and max(photo.shape[1:]) == 64
        assert photo.dtype == torch.float32 and 0 <= photo.min() and photo.max() <= 1
    assert torch.equal(de.load_photo("china"), de.to_tensor(photo_path("china")))
    with pytest.raises(de.DerainError, match="no bundled photo 'street'"):
        de.load_photo("street")
