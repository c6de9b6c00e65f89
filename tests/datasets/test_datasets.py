"""Endless synthetic pairs and the layouts of real data sets, on folders made by the tests."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import derain_edu as de
from derain_edu.datasets.pairs import LAYOUTS, PairedFolder
from derain_edu.datasets.patches import RandomPatches
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.rain.config import RainConfig

RAINY, CLEAN = 200, 50  # grey values that tell the two halves of a pair apart


def save(path, value, size=(12, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


def make_plain(root):
    for name in ("a", "b"):
        save(root / "rainy" / f"{name}.png", RAINY)
        save(root / "clean" / f"{name}.png", CLEAN)


def make_rain100(root):
    for number in (1, 2, 10):
        save(root / "rainy" / f"rain-{number:03d}.png", RAINY)
        save(root / f"norain-{number:03d}.png", CLEAN)


def make_rain100_flat(root):
    for number in (1, 2):
        save(root / f"rain-{number}.png", RAINY)
        save(root / f"norain-{number}.png", CLEAN)


def make_rain12(root):
    save(root / "001_in.png", RAINY)
    save(root / "001_GT.png", CLEAN)


def make_rain12_folders(root):
    save(root / "rainy" / "001.png", RAINY)
    save(root / "groundtruth" / "001.png", CLEAN)


def make_rain1400(root):
    for scene, rain in itertools.product((1, 2), (1, 14)):
        save(root / "rainy_image" / f"{scene}_{rain}.jpg", RAINY)
    for scene in (1, 2):
        save(root / "ground_truth" / f"{scene}.jpg", CLEAN)


def make_rain800(root):
    both = Image.new("RGB", (24, 8), (CLEAN,) * 3)
    both.paste((RAINY,) * 3, (12, 0, 24, 8))
    root.mkdir(parents=True, exist_ok=True)
    both.save(root / "1.png")


def make_spa(root):
    save(root / "real_world" / "rain" / "x 1.png".replace(" ", "_"), RAINY)
    save(root / "real_world" / "gt" / "x_1.png", CLEAN)
    (root / "real.txt").write_text("/real_world/rain/x_1.png /real_world/gt/x_1.png\n\n")


MAKERS = [
    ("plain", make_plain, 2),
    ("rain100l", make_rain100, 3),
    ("rain100h", make_rain100_flat, 2),
    ("rain100l", make_plain, 2),
    ("rain12", make_rain12, 1),
    ("rain12", make_rain12_folders, 1),
    ("rain1400", make_rain1400, 4),
    ("rain800", make_rain800, 1),
    ("spa", make_spa, 1),
]


def test_every_layout_is_tried():
    assert {layout for layout, _, _ in MAKERS} == set(LAYOUTS)


@pytest.mark.parametrize(("layout", "make", "count"), MAKERS)
def test_layouts_find_the_right_partner(tmp_path, layout, make, count):
    make(tmp_path)
    data = PairedFolder(tmp_path, layout)
    assert len(data) == count
    for pair in data:
        assert pair["rainy"].shape == pair["clean"].shape == (3, 8, 12)
        assert pair["rainy"].mean().item() == pytest.approx(RAINY / 255, abs=0.01)
        assert pair["clean"].mean().item() == pytest.approx(CLEAN / 255, abs=0.01)


def test_pairs_come_in_natural_order(tmp_path):
    make_rain100(tmp_path)
    names = [pair["name"] for pair in PairedFolder(tmp_path, "rain100l")]
    assert names == ["rain-001", "rain-002", "rain-010"]


def test_names_with_and_without_numbers_have_an_order(tmp_path):
    for side, value in (("rainy", RAINY), ("clean", CLEAN)):
        for name in ("street", "beach10", "beach2", "7"):
            save(tmp_path / side / f"{name}.png", value)
    assert [pair["name"] for pair in PairedFolder(tmp_path)] == ["7", "beach2", "beach10", "street"]


@pytest.mark.parametrize("suffix", ["webp", "tif", "tiff", "gif", "bmp", "JPG"])
def test_letter_case_and_format_may_differ(tmp_path, suffix):
    save(tmp_path / "Rainy" / f"Street.{suffix}", RAINY)
    save(tmp_path / "CLEAN" / "street.png", CLEAN)
    (pair,) = PairedFolder(tmp_path)
    assert pair["rainy"].mean().item() == pytest.approx(RAINY / 255, abs=0.01)
    assert pair["clean"].mean().item() == pytest.approx(CLEAN / 255, abs=0.01)


def test_two_formats_of_one_name_find_their_own_partners(tmp_path):
    for name, value in (("a.png", 10), ("a.bmp", 20)):
        save(tmp_path / "rainy" / name, value)
        save(tmp_path / "clean" / name, value)
    assert all(rainy.name == clean.name for rainy, clean in PairedFolder(tmp_path).pairs)


@pytest.mark.parametrize("clean", ["clean/", ""])
@pytest.mark.parametrize("rainy", ["rainy/", ""])
def test_rain_and_norain_are_pairs_in_the_plain_layout(tmp_path, rainy, clean):
    if clean and not rainy:
        pytest.skip("no layout")
    save(tmp_path / f"{rainy}rain-001.png", RAINY)
    save(tmp_path / f"{clean}norain-001.png", CLEAN)
    (pair,) = PairedFolder(tmp_path)
    assert pair["rainy"].mean() > pair["clean"].mean()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_may_be_saved_by_windows_programs(tmp_path, encoding):
    save(tmp_path / "é1.png", RAINY)
    save(tmp_path / "é2.png", CLEAN)
    (tmp_path / "list.txt").write_bytes("é1.png é2.png\r\n".encode(encoding))
    assert len(PairedFolder(tmp_path, "spa")) == 1


def test_a_list_in_another_encoding_is_explained(tmp_path):
    (tmp_path / "list.txt").write_bytes("é1.png é2.png".encode("latin-1"))
    with pytest.raises(DerainError, match=r"list\.txt is not a text in UTF-8"):
        PairedFolder(tmp_path, "spa")


def test_an_empty_folder_lists_the_layouts(tmp_path):
    with pytest.raises(DerainError) as caught:
        PairedFolder(tmp_path)
    assert all(layout in str(caught.value) for layout in LAYOUTS)


@pytest.mark.parametrize("side", ["rainy", "clean"])
def test_a_missing_partner_is_named(tmp_path, side):
    make_plain(tmp_path)
    (tmp_path / side / "b.png").unlink()
    with pytest.raises(DerainError, match=rf"{side}.b\.png"):
        PairedFolder(tmp_path)


def test_a_size_mismatch_names_both_files(tmp_path):
    make_plain(tmp_path)
    save(tmp_path / "clean" / "a.png", CLEAN, size=(12, 9))
    with pytest.raises(DerainError, match=r"rainy.a\.png is 12×8 .*clean.a\.png is 12×9"):
        PairedFolder(tmp_path)[0]


def test_an_unreadable_file_is_named(tmp_path):
    make_plain(tmp_path)
    (tmp_path / "rainy" / "a.png").write_text("not a picture")
    with pytest.raises(DerainError, match=r"a\.png"):
        PairedFolder(tmp_path)[0]


@pytest.mark.parametrize(
    ("root", "layout", "message"),
    [("nowhere", "plain", "not a folder"), (".", "rain99", "plain, rain100l"),
     (".", "plain", "holds no pairs")],
)
def test_a_wrong_folder_is_explained(tmp_path, root, layout, message):
    with pytest.raises(DerainError, match=message):
        PairedFolder(tmp_path / root, layout)


def test_a_broken_list_file_is_explained(tmp_path):
    (tmp_path / "list.txt").write_text("only_one.png\n")
    with pytest.raises(DerainError, match=r"list\.txt, line 1"):
        PairedFolder(tmp_path, "spa")


def test_patches_stay_aligned_and_visit_every_pair(tmp_path):
    """The rainy picture is the clean one plus a constant, so a patch must be, too."""
    rng = np.random.default_rng(0)
    for number in range(3):
        clean = rng.integers(0, 100, (20, 30, 3), dtype=np.uint8)
        for side, shift in (("clean", 0), ("rainy", 100 + 10 * number)):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(clean + np.uint8(shift)).save(tmp_path / side / f"{number}.png")
    stream = RandomPatches(PairedFolder(tmp_path), patch_size=9, seed=1)
    for turn in range(4):
        shifts = []
        for index in range(3 * turn, 3 * turn + 3):
            difference = (stream[index]["rainy"] - stream[index]["clean"]) * 255
            assert difference.max() - difference.min() < 1e-3
            shifts.append(round(difference.mean().item()))
        assert sorted(shifts) == [100, 110, 120]


PHOTOS = [torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(s)) for s in range(2)]


def test_a_sample_is_a_pure_function_of_seed_and_index():
    data, again = SyntheticRain(PHOTOS, patch_size=16), SyntheticRain(PHOTOS, patch_size=16)
    data[7], data[3]  # what was asked before must not matter
    for index in (0, 3, 12345678901):
        for key in ("rainy", "clean", "mask"):
            assert torch.equal(data[index][key], again[index][key])
    assert not torch.equal(data[0]["rainy"], data[1]["rainy"])
    other = SyntheticRain(PHOTOS, patch_size=16, seed=1)
    assert not torch.equal(data[0]["rainy"], other[0]["rainy"])


def test_samples_have_the_promised_shapes_and_ranges():
    sample = SyntheticRain(PHOTOS, rain="heavy", patch_size=16)[0]
    for key in ("rainy", "clean"):
        assert sample[key].shape == (3, 16, 16) and sample[key].dtype == torch.float32
        assert 0 <= sample[key].min() and sample[key].max() <= 1
    assert sample["mask"].shape == (1, 16, 16) and sample["mask"].dtype == torch.bool


def test_a_mix_draws_from_all_its_rains_by_weight():
    dry = RainConfig(amount=0)
    data = SyntheticRain(PHOTOS, rain=[("storm", 3.0), (dry, 1.0)], patch_size=32)
    unchanged = [torch.equal(s["rainy"], s["clean"]) for s in (data[k] for k in range(200))]
    assert 0.15 < np.mean(unchanged) < 0.35  # a quarter, within three standard deviations


def test_workers_share_one_stream_without_repeats():
    data = SyntheticRain(PHOTOS, patch_size=8)

    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(data)

    loader = DataLoader(Endless(), batch_size=None, num_workers=2)
    drawn = [sample["rainy"] for sample in itertools.islice(loader, 6)]
    expected = [data[k]["rainy"] for k in range(6)]
    for got, wanted in zip(drawn, expected, strict=True):
        assert torch.equal(got, wanted)


def test_photos_smaller_than_a_patch_are_explained():
    with pytest.raises(DerainError, match="64×64"):
        SyntheticRain(PHOTOS)
    with pytest.raises(DerainError, match="counted from 0"):
        SyntheticRain(PHOTOS, patch_size=8)[-1]


def how_it_was_augmented(clean, photo):
    """Return (flips, turned, channels) that make ``clean`` of ``photo``, up to one gamma."""
    for across, down, turned in itertools.product((False, True), repeat=3):
        laid = photo.flip([d for d, on in ((-1, across), (-2, down)) if on])
        laid = laid.transpose(-1, -2) if turned else laid
        for channels in itertools.permutations(range(3)):
            gamma = clean.log() / laid[list(channels)].log()
            if (gamma - gamma.mean()).abs().max() < 1e-3:
                assert 0.6 < gamma.mean() < 1.66
                return across, down, turned, channels
    raise AssertionError("this is no mirrored, turned and recoloured photo")


def test_augmented_patches_are_the_photo_mirrored_turned_and_recoloured():
    photo = (torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)) * 200 + 20).round()
    photo = photo / 255
    data = SyntheticRain([photo], patch_size=16, scales=(1.0,), augment=True)
    ways = [how_it_was_augmented(data[k]["clean"], photo) for k in range(120)]
    assert len({way[:3] for way in ways}) == 8 and len({way[3] for way in ways}) == 6
    assert torch.equal(data[5]["rainy"], data[5]["rainy"]), "the same index is the same sample"
    assert (data[5]["rainy"] >= data[5]["clean"] - 1e-6).all(), "it rains on the changed patch"


def test_augmented_photos_are_also_seen_from_further_away():
    photo = torch.rand(3, 80, 100)
    near, far = (SyntheticRain([photo], patch_size=16, augment=on) for on in (False, True))
    assert [min(p.shape[1:]) for p in near.pictures] == [80, 56, 40]
    assert [min(p.shape[1:]) for p in far.pictures] == [80, 56, 40, 28, 20]


def test_a_round_is_put_in_order_once(tmp_path, monkeypatch):
    """A permutation of 600,000 pairs for each patch would cost more than the patch."""
    for folder in ("rainy", "clean"):
        (tmp_path / folder).mkdir()
        for name in ("a.webp", "b.tif", "c.png"):
            de.to_pil(torch.rand(3, 8, 8)).save(tmp_path / folder / name)
    patches = RandomPatches(de.PairedFolder(tmp_path), 8)
    assert len(patches.pairs) == 3  # also the formats that derain reads and writes
    drawn = []
    monkeypatch.setattr(np.random, "default_rng", counting(np.random.default_rng, drawn))
    for index in range(6):
        patches[index]
    assert sum(len(seed) == 3 and seed[2] == 0 for seed in drawn) == 2  # two rounds


def counting(real, seen):
    def default_rng(seed):
        seen.append(seed)
        return real(seed)

    return default_rng
