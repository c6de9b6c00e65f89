"""One picture of any size: the plan of tiles, the result with and without cuts, the memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import derain_edu as de
from derain_edu.datasets.held_out import synthetic_test_set
from derain_edu.errors import DerainError
from derain_edu.evaluation.benchmarks import open_pairs
from derain_edu.evaluation.scores import evaluate, mean_score
from derain_edu.images import read_picture
from derain_edu.inference.restoration import derain_tensor, load_model
from derain_edu.inference.tiles import OVERLAP, TILE, plan_tiles
from derain_edu.models import create_model
from derain_edu.picture_files import save_picture

SMALL = {"channels": 4, "blocks": 1, "stages": 2}


class Half(nn.Module):
    """The simplest network: every value halved. No weights, sees one pixel."""

    halo = 0

    def forward(self, rainy):
        self.sizes = [*getattr(self, "sizes", []), tuple(rainy.shape[-2:])]
        return rainy / 2


# ------------------------------------------------------------------------------ the plan

SIZES = [1, 2, 3, 7, 10, 11, 16, 23, 50]


@pytest.mark.parametrize(("tile", "overlap"), [(1, 0), (7, 0), (7, 3), (10, 2), (11, 5), (60, 9)])
def test_tiles_cover_every_pixel_once_and_keep_their_distance_from_cuts(tile, overlap):
    for height in SIZES:
        for width in (5, 23):
            count = np.zeros((height, width), int)
            for piece in plan_tiles(height, width, tile, overlap):
                count[piece.core] += 1
                for axis, length in enumerate((height, width)):
                    window, core, inside = (
                        getattr(piece, name)[axis] for name in ("window", "core", "inside")
                    )
                    assert 0 <= window.start < window.stop <= length
                    assert window.stop - window.start <= tile
                    assert core.start < core.stop
                    assert window.start + inside.start == core.start
                    assert window.start + inside.stop == core.stop
                    assert window.start == 0 or core.start - window.start >= overlap
                    assert window.stop == length or window.stop - core.stop >= overlap
            assert (count == 1).all()


def test_windows_are_equal_and_no_larger_than_needed():
    pieces = plan_tiles(100, 1000, tile=300, overlap=20)
    sizes = {piece.window[1].stop - piece.window[1].start for piece in pieces}
    assert len(pieces) == 4 and sizes == {280}  # 4 × 280 = 1000 + 3 × 40
    assert len(plan_tiles(300, 300, tile=300, overlap=20)) == 1


def test_a_tile_without_a_core_is_refused():
    with pytest.raises(DerainError, match="tile of 40 pixels with an overlap of 20.*above 40"):
        plan_tiles(100, 100, tile=40, overlap=20)
    with pytest.raises(DerainError, match="overlap of -1"):
        plan_tiles(100, 100, tile=40, overlap=-1)


# ------------------------------------------------------------------------------ tensors


@pytest.mark.parametrize("name", ["prn", "prenet", "prenet_gru", "residual"])
def test_with_the_halo_as_overlap_cuts_leave_no_trace(name):
    options = {"channels": 4, "blocks": 2} if name == "residual" else SMALL
    model = create_model(name, **options)
    for weight in model.parameters():  # far from the harmless start: every path must carry
        torch.nn.init.uniform_(weight, -0.3, 0.3)
    rainy = torch.rand(2, 3, 70, 61)
    whole = derain_tensor(model, rainy)
    with torch.no_grad():
        assert torch.allclose(whole, model.eval()(rainy), atol=1e-6)
    tiled = derain_tensor(model, rainy, tile=2 * model.halo + 9, overlap=model.halo)
    assert torch.allclose(tiled, whole, atol=1e-5)
    # And the halo is not just a large number: without overlap the cuts are plain to see.
    assert (derain_tensor(model, rainy, tile=30, overlap=0) - whole).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["prn_r", "prenet", "prenet_r"])
def test_the_default_overlap_stays_below_what_8_bits_show(name, filled_cache):
    """The authors' heavy-rain weights look furthest; their pictures are the hard case."""
    model = create_model(name, pretrained="official-rain100h")
    rainy = de.to_tensor(filled_cache / "rain100h" / "rainy" / "015.png")[:, 100:164, :280]
    whole = derain_tensor(model, rainy)
    tiled = derain_tensor(model, rainy, tile=190)
    assert len(plan_tiles(64, 280, 190, OVERLAP)) > 1
    assert (tiled - whole).abs().max() < 0.5 / 255


def test_a_model_that_sees_everything_is_not_cut_unless_told():
    model = Half()
    model.halo = None
    derain_tensor(model, torch.rand(3, 600, 520))
    assert model.sizes == [(600, 520)]
    with pytest.warns(UserWarning, match="sees the whole picture, and 520×600 pixels"):
        derain_tensor(model, torch.rand(3, 600, 520), tile=320)
    assert len(model.sizes) > 3 and all(max(size) <= 320 for size in model.sizes[1:])
    model = Half()
    derain_tensor(model, torch.rand(3, 600, 520))
    assert max(max(size) for size in model.sizes) <= TILE


def test_a_large_picture_is_cut_with_a_note_even_if_the_model_sees_everything():
    model = Half()
    model.halo = None
    derain_tensor(model, torch.rand(3, 256, 4096))  # 2²⁰ pixels, of any shape
    assert model.sizes == [(256, 4096)]
    with pytest.warns(UserWarning, match="1100×1000 pixels are processed in 2 windows"):
        derain_tensor(model, torch.rand(3, 1000, 1100))
    assert all(max(size) <= 1024 for size in model.sizes[1:])


def test_a_cut_changes_what_spanet_sees():
    """Uncut, the first and the last column are joined; the windows of a cut are not."""
    model = create_model("spanet", alpha_init=1, channels=4, blocks=1, stages=1)
    rainy = torch.rand(3, 8, 120)
    changed = rainy.clone()
    changed[:, :, 0] = 0
    whole = derain_tensor(model, rainy)[..., -8:] - derain_tensor(model, changed)[..., -8:]
    with pytest.warns(UserWarning, match="windows"):
        cut = [derain_tensor(model, p, tile=64, overlap=8)[..., -8:] for p in (rainy, changed)]
    assert whole.abs().max() > 0 and torch.equal(*cut)


def test_the_model_is_left_as_it_was():
    model = create_model("prn", **SMALL).train()
    rainy = torch.rand(3, 9, 9, requires_grad=True)
    result = derain_tensor(model, rainy)
    assert model.training and not result.requires_grad and result.shape == rainy.shape
    result.mul_(2)  # an ordinary tensor, not one of inference mode


class Broken(nn.Module):
    def forward(self, rainy):
        return rainy[..., :-1]


class Greedy(nn.Module):
    def forward(self, rainy):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")


@pytest.mark.parametrize(
    ("model", "message"),
    [(Broken(), "must keep the picture's shape"), (Greedy(), "9×8 pixels.*smaller tile")],
)
def test_models_that_fail(model, message):
    with pytest.raises(DerainError, match=message):
        derain_tensor(model, torch.rand(3, 8, 9))


def test_a_fault_that_speaks_of_memory_stays_what_it_is():
    class Faulty(nn.Module):
        def forward(self, rainy):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        derain_tensor(Faulty(), torch.rand(3, 8, 9))


@pytest.mark.parametrize(
    "rainy", [np.zeros((3, 4, 4)), torch.rand(4, 4), torch.rand(3, 4, 4) * 9, torch.rand(3, 4) / 0]
)
def test_tensors_that_are_no_pictures(rainy):
    with pytest.raises(DerainError, match="^rainy: expected"):
        derain_tensor(Half(), rainy)


MEASURE = """
import resource, sys, torch
from derain_edu.models import create_model
from derain_edu.inference.restoration import derain
from PIL import Image
model = create_model("prn", channels=8, blocks=1, stages=1)
for name in sys.argv[1:]:
    derain(name, model)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units")
def test_memory_grows_with_the_picture_and_not_with_the_features(tmp_path):
    """3.5 more megapixels: their own floats twice (84 MB), not 8 channels again and again."""
    names = []
    for side in ((700, 700), (2300, 1750)):
        names.append(str(tmp_path / f"{side[0]}.jpg"))
        Image.linear_gradient("L").resize(side).convert("RGB").save(names[-1])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *names], capture_output=True, text=True, check=True
    )
    small, large = (int(line) / 1024 for line in done.stdout.split())  # MiB
    megapixels = (2300 * 1750 - 700 * 700) / 1e6
    picture_and_result = 2 * 12 * megapixels / 1.048576
    assert large - small < 1.9 * picture_and_result  # with the 8-bit copies and clamping


# ------------------------------------------------------------------------------ pictures


def test_derain_takes_and_gives_any_kind_of_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for mode, expected in [("RGB", "RGB"), ("L", "L"), ("LA", "LA"), ("RGBA", "RGBA")]:
        image = Image.fromarray(pixels).convert(mode)
        result = de.derain(image, Half())
        assert (result.mode, result.size) == (expected, (30, 20))
        before, after = np.asarray(image.convert("RGBA")), np.asarray(result.convert("RGBA"))
        assert np.abs(before[..., :3] / 2 - after[..., :3]).max() <= 0.5
        assert np.array_equal(before[..., 3], after[..., 3])  # transparency is not rained on
    for source in (pixels, de.to_tensor(pixels), read_picture(pixels)):
        assert np.array_equal(np.asarray(de.derain(source, Half())), np.asarray(
            de.derain(Image.fromarray(pixels), Half())
        ))


def test_derain_turns_a_photo_upright(tmp_path):
    image = Image.new("RGB", (30, 20), "white")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "held.jpg", exif=exif)
    result = de.derain(tmp_path / "held.jpg", Half())
    assert result.size == (20, 30) and not result.getexif()


def test_derain_takes_the_name_or_the_file_of_a_model(tmp_path):
    photo = (de.load_photo("china", long_side=48) * 255).byte()
    rainy = de.add_rain(photo / 255, "light", seed=1).rainy
    by_name = de.derain(rainy, "residual", pretrained="open")
    model = create_model("residual", pretrained="open")
    assert np.array_equal(np.asarray(by_name), np.asarray(de.derain(rainy, model)))
    from derain_edu.models.pretrained import open_weights_folder

    file = open_weights_folder() / "residual.safetensors"
    assert np.array_equal(np.asarray(by_name), np.asarray(de.derain(rainy, file)))


def test_open_weights_remove_rain():
    rows = evaluate(create_model("prn", "open"), synthetic_test_set("light", long_side=160)[:2])
    assert mean_score(rows).psnr_derained > mean_score(rows).psnr_rainy + 2


def test_models_that_are_none(tmp_path):
    torch.save({"head.weight": torch.zeros(1)}, tmp_path / "nameless.pth")
    with pytest.raises(DerainError, match="'unknown' is neither a model .*prenet.* nor an"):
        de.derain(torch.rand(3, 8, 8), "unknown")
    with pytest.raises(DerainError, match="does not say which model.*--weights in the shell"):
        load_model(tmp_path / "nameless.pth")
    with pytest.raises(DerainError, match="do not fit this model"):
        load_model("prn", tmp_path / "nameless.pth")
    with pytest.raises(DerainError, match="prn has no weights 'wrong'"):
        load_model("prn", "wrong")
    with pytest.raises(DerainError, match="stages: options go with a model's name"):
        load_model(Half(), stages=3)
    with pytest.raises(DerainError, match="prn has no option 'colour'"):
        load_model("prn", "open", colour=3)


# ------------------------------------------------------------------------------ evaluation


def test_scores_are_those_of_the_metrics():
    pairs = synthetic_test_set("light", long_side=32)[:2]
    seen = []
    scores = evaluate(Half(), pairs, "rgb", on_score=seen.append)
    assert scores == seen and [score.name for score in scores] == ["astronaut-light", "china-light"]
    rainy, clean = pairs[1]["rainy"], pairs[1]["clean"]
    assert scores[1].psnr_rainy == de.psnr(rainy, clean, "rgb")
    assert scores[1].ssim_derained == de.ssim(rainy / 2, clean, "rgb")
    mean = mean_score(scores)
    by_hand = (scores[0].psnr_derained + scores[1].psnr_derained) / 2
    assert mean.psnr_derained == pytest.approx(by_hand)
    with pytest.raises(DerainError, match="unknown protocol 'best'"):
        evaluate(Half(), pairs, "best")
    with pytest.raises(DerainError, match="holds no pairs"):
        mean_score([])


def test_the_synthetic_test_set_is_fixed_and_made_of_test_photos():
    first, again = (synthetic_test_set("heavy", long_side=40) for _ in range(2))
    assert len(first) == len(de.photo_names("test")) == 6
    assert all(torch.equal(a["rainy"], b["rainy"]) for a, b in zip(first, again, strict=True))
    assert all((pair["rainy"] - pair["clean"]).abs().max() > 0.05 for pair in first)


def test_official_scores_come_out(filled_cache, reference):
    """One picture through everything that `derain-edu evaluate` does."""
    sentence, pairs = open_pairs("rain100l")
    assert sentence == "rain100l: 20 of 100 pairs"
    [score] = evaluate(create_model("prn_r", "official-rain100l"), [pairs[0]])
    lines = (reference / "benchmarks" / "official_scores.csv").read_text().splitlines()
    [row] = [line.split(",") for line in lines if line.startswith("rain100l,013.png,PRN6_r,")]
    assert score.psnr_derained == pytest.approx(float(row[3]), abs=0.01)
    assert score.ssim_derained == pytest.approx(float(row[4]), abs=0.0005)


def test_data_that_is_not_there(empty_cache, tmp_path):
    with pytest.raises(DerainError, match="not in the cache.*derain-edu download rain100h"):
        open_pairs("rain100h")
    with pytest.raises(DerainError, match="neither synthetic, rain100l, rain100h nor a folder"):
        open_pairs("rain200")
    with pytest.raises(DerainError, match="unknown layout 'mine'"):
        open_pairs(str(tmp_path), "mine")


def test_a_folder_of_pairs(tmp_path):
    for kind in ("rainy", "clean"):
        save_picture(Image.new("RGB", (16, 16), "grey"), tmp_path / kind / "1.png")
    sentence, pairs = open_pairs(str(tmp_path))
    assert sentence.endswith(": 1 pairs")
    assert evaluate(Half(), pairs)[0].psnr_rainy == float("inf")


def test_tqdm_disable_switches_the_bar_off(monkeypatch, capfd):
    for value, shown in (("0", True), ("1", False)):
        monkeypatch.setenv("TQDM_DISABLE", value)
        derain_tensor(Half(), torch.rand(3, 60, 60), tile=40, overlap=1, progress=True)
        assert bool(capfd.readouterr().err) == shown
