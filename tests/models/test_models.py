"""Every network of the course: shapes, gradients, odd sizes, and what the papers say of them."""

from __future__ import annotations

import pytest
import torch

from derain_edu.errors import DerainError
from derain_edu.models import create_model, list_models, model_name, model_options
from derain_edu.models.blocks import ConvLSTM
from derain_edu.models.prn import PRN, PRNConfig
from derain_edu.models.residual import Residual, ResidualConfig

FAMILY = [name for name in list_models() if name.startswith("pr")]

# The papers' networks: counted from the authors' released code.
PARAMETERS = {
    "prn": 95_107,
    "prn_r": 21_123,
    "prenet": 168_963,
    "prenet_r": 94_979,
    "prenet_gru": 150_499,
    "prenet_lstm": 168_963,
    "prenet_x": 168_099,
    "spanet": 283_716,
    "nafnet_small": 250_515,  # of the course: at most 300,000
}


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (13, 1), (17, 12)])
def test_any_size_goes_through_forward_and_backward(name, size):
    model = create_model(name)
    rainy = torch.rand(2, 3, *size)
    derained = model(rainy)
    assert derained.shape == rainy.shape
    derained.square().mean().backward()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:  # SPANet's direction branch, which is idle as released
            assert key.startswith("attention.directions.")
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", list_models())
def test_state_and_options_rebuild_the_model(name):
    model = create_model(name, channels=8)
    rebuilt = create_model(name, **model_options(model))
    rebuilt.load_state_dict(model.state_dict())
    rainy = torch.rand(1, 3, 9, 9)
    assert torch.equal(model(rainy), rebuilt(rainy))


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameters_are_the_papers_and_do_not_depend_on_stages(name, expected):
    assert count(create_model(name)) == expected
    if name in FAMILY:
        assert count(create_model(name, stages=1)) == expected


@pytest.mark.parametrize("name", FAMILY)
def test_unroll_goes_beyond_the_trained_stages(name):
    model, rainy = create_model(name, stages=3, channels=8), torch.rand(1, 3, 8, 9)
    five = model.unroll(rainy, stages=5)
    assert len(five) == 5
    assert torch.equal(five[2], model(rainy))
    assert torch.equal(model.unroll(rainy, stages=1)[0], five[0])
    longer = create_model(name, stages=5, channels=8)
    longer.load_state_dict(model.state_dict())
    assert torch.equal(longer(rainy), five[-1])


@pytest.mark.parametrize("name", FAMILY)
def test_checkpointing_changes_nothing_but_memory(name):
    model, rainy = create_model(name, stages=3, channels=8), torch.rand(2, 3, 8, 9)
    gradients = []
    for checkpoint in (False, True):
        model.zero_grad()
        model.unroll(rainy, checkpoint=checkpoint)[-1].square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.allclose(plain, recomputed, rtol=1e-5, atol=1e-6)


def test_a_stage_is_the_baseline_that_is_looped():
    """One stage of PRN without the second look at the rainy picture IS the baseline."""
    baseline = Residual(ResidualConfig(blocks=5))
    prn = PRN(PRNConfig(stages=1, concat_rainy=False))
    prn.load_state_dict(baseline.state_dict())
    rainy = torch.rand(1, 3, 16, 16)
    assert torch.allclose(baseline(rainy), prn(rainy), atol=1e-6)


def test_the_baseline_predicts_rain_or_picture():
    rain, picture = (create_model("residual", predicts=p) for p in ("rain", "picture"))
    picture.load_state_dict(rain.state_dict())
    rainy = torch.rand(1, 3, 8, 8)
    assert torch.allclose(rain(rainy), picture(rainy) + rainy, atol=1e-6)


@pytest.mark.parametrize("model", ["residual", "prn"])
def test_the_head_relu_can_be_switched_off(model):
    on, off = (create_model(model, head_relu=relu) for relu in (True, False))
    off.load_state_dict(on.state_dict())
    rainy = torch.rand(1, 3, 8, 8)
    assert not torch.allclose(on(rainy), off(rainy))


def test_the_released_block_can_only_add():
    block = create_model("prn").blocks[0]
    x = torch.rand(1, 32, 8, 8)
    assert (block(x) >= x).all()


def test_lstm_cell_against_a_plain_loop():
    """Gate by gate and pixel by pixel, on a cell whose convolutions look at one pixel only."""
    cell = ConvLSTM(2).double()
    with torch.no_grad():
        cell.gate_conv.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    x, h, c = torch.rand(3, 1, 2, 2, 3, dtype=torch.float64)
    weight, bias = cell.gate_conv.weight[:, :, 1, 1], cell.gate_conv.bias
    expected_h, expected_c = torch.empty_like(h), torch.empty_like(c)
    for row in range(2):
        for column in range(3):
            seen = torch.cat((x[0, :, row, column], h[0, :, row, column]))
            i, f, g, o = (weight @ seen + bias).split(2)
            memory = f.sigmoid() * c[0, :, row, column] + i.sigmoid() * g.tanh()
            expected_c[0, :, row, column] = memory
            expected_h[0, :, row, column] = o.sigmoid() * memory.tanh()
    got_h, (same_h, got_c) = cell(x, (h, c))
    assert torch.allclose(got_h, expected_h) and torch.equal(got_h, same_h)
    assert torch.allclose(got_c, expected_c)


@pytest.mark.parametrize(
    "name", [name for name in list_models() if name not in ("spanet", "nafnet_small")]
)
def test_halo_is_the_reach_of_one_pixel(name):
    """An input pixel reaches exactly `halo` pixels far, found by gradients."""
    short = {"blocks": 1} if name == "residual" else {"blocks": 1, "stages": 2}
    model = create_model(name, channels=16, **short).double()
    halo = model.halo
    width = 2 * halo + 9
    rainy = torch.rand(1, 3, width, width, dtype=torch.float64, requires_grad=True)
    model(rainy)[0, :, width // 2, width // 2].sum().backward()
    reached = rainy.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (reached - width // 2).abs().max().item() == halo


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {}, "unknown model 'unet': choose one of residual, prn"),
        ("prn", {"stage": 3}, "no option 'stage'.*stages"),
        ("prn", {"stages": 0}, "at least 1"),
        ("prn", {"recurrent": "rnn"}, "none, gru, lstm"),
        ("residual", {"predicts": "noise"}, "'rain' or 'picture'"),
    ],
)
def test_a_wrong_name_is_explained(name, options, message):
    with pytest.raises(DerainError, match=message):
        create_model(name, **options)


def test_zero_stages_are_explained():
    with pytest.raises(DerainError, match="at least 1, got 0"):
        create_model("prn").unroll(torch.rand(1, 3, 4, 4), stages=0)


@pytest.mark.parametrize("name", list_models())
def test_a_network_knows_its_name(name):
    small = {"stages": 2} if "stages" in model_options(create_model(name)) else {"blocks": 2}
    assert model_name(create_model(name, **small)) == name


def test_names_beyond_the_list():
    class Own(PRN):
        pass

    assert model_name(create_model("transplant", host="prn", graft="zero")) == "transplant"
    assert model_name(create_model("prn", recurrent="gru")) == "PRN"  # no member of the family
    assert model_name(Own()) == "Own" and model_name(torch.nn.Identity()) == "Identity"
