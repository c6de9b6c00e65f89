"""SPANet: its shapes, its two modes, and what each part must and must not reach."""

from __future__ import annotations

import pytest
import torch

from derain_edu.errors import DerainError
from derain_edu.evaluation.timing import LiveMemory
from derain_edu.models import create_model
from derain_edu.models.spanet import IRNN, BottleneckBlock, SPANet, SPANetConfig

SMALL = {"channels": 4, "blocks": 1, "stages": 2}


def test_attend_returns_the_picture_and_a_map_per_stage():
    model, rainy = create_model("spanet", **SMALL), torch.rand(2, 3, 7, 9)
    derained, maps = model.attend(rainy)
    assert derained.shape == rainy.shape and maps.shape == (2, 2, 7, 9)
    assert 0 < maps.min() and maps.max() < 1
    assert torch.equal(derained, model(rainy))
    assert create_model("spanet").attend(torch.rand(1, 3, 5, 5))[1].shape == (1, 4, 5, 5)


@pytest.mark.parametrize("acts", [False, True])
def test_every_parameter_that_is_trained_acts(acts):
    """The test that would have caught the dropped product: no parameter without a gradient."""
    model = create_model("spanet", direction_attention=acts, **SMALL)
    derained, maps = model.attend(torch.rand(1, 3, 8, 8))
    (derained.square().sum() + maps.square().sum()).backward()
    for name, parameter in model.named_parameters():
        idle = not acts and name.startswith("attention.directions.")
        assert parameter.requires_grad != idle, name
        assert idle or parameter.grad.abs().max() > 0, name


def test_the_attention_module_sees_the_whole_picture_and_one_block_does_not():
    model = create_model("spanet", alpha_init=1, **SMALL).double()
    with torch.no_grad():
        for name, parameter in model.attention.named_parameters():
            if "conv" in name:
                parameter.abs_().mul_(0.1)  # nothing cancels, no ReLU closes, no sigmoid is full
    x = torch.rand(1, 4, 21, 17, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.attention(x)[0, 0, 10, 8], x)
    assert (gradient.abs().amax((0, 1)) > 0).all()
    block = BottleneckBlock(4).double()
    (gradient,) = torch.autograd.grad(block(x)[0, :, 10, 8].sum(), x)
    seen = gradient.abs().amax((0, 1)) > 0
    assert seen.sum() <= 9 and not seen[0].any()


def test_a_map_of_zeros_lets_the_features_pass():
    block, x = BottleneckBlock(4), torch.rand(1, 4, 6, 6)
    assert torch.equal(block(x, torch.zeros(1, 1, 6, 6)), x)
    assert torch.equal(block(x, torch.ones(1, 1, 6, 6)), block(x))


def test_direction_weights_scale_their_own_direction():
    sam = create_model("spanet", direction_attention=True, **SMALL).attention
    x, weights = torch.randn(2, 4, 5, 6), torch.rand(2, 4, 1, 5, 6)
    swept = sam.sweep(sam.irnn1, x, weights)
    plain = sam.sweep(sam.irnn1, x, None)
    assert swept.shape == (2, 16, 5, 6)
    for k in range(4):
        part = slice(4 * k, 4 * k + 4)
        assert torch.allclose(swept[:, part], plain[:, part] * weights[:, k])


def test_starts_of_alpha():
    identity, small, random = (IRNN(8, start) for start in (1, 0.2, "random"))
    assert (identity.alpha == 1).all() and (identity.beta == 0).all()
    assert (small.alpha == 0.2).all() and small.beta.abs().max() <= 1 and small.beta.std() > 0.1
    assert random.alpha.min() < 0 < random.alpha.max() and random.alpha.abs().max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_init": "identity"}, "alpha_init must be a number such as 1 or 0.2, or 'random'"),
        ({"channels": 3}, "channels an even number"),
        ({"stages": 0}, "stages and blocks must be at least 1"),
        ({"irnn_method": "cuda"}, "unknown method 'cuda'"),
    ],
)
def test_impossible_networks(options, message):
    with pytest.raises(DerainError, match=message):
        create_model("spanet", **{**SMALL, **options})(torch.rand(1, 3, 4, 4))


def test_the_methods_of_the_recurrence_agree_in_the_network():
    model = SPANet(SPANetConfig(**SMALL)).double()
    rainy = torch.rand(1, 3, 9, 11, dtype=torch.float64)
    expected = model(rainy)
    for method in ("loop", "rows", "scan"):
        for irnn in (model.attention.irnn1, model.attention.irnn2):
            irnn.method = method
        assert torch.allclose(model(rainy), expected, atol=1e-12), method


def test_the_sweeps_are_concatenated_without_a_copy():
    """Four outputs of the recurrence are 4 pictures of features, not 8."""
    sam = create_model("spanet", **SMALL).attention
    x = torch.rand(1, 4, 32, 32)
    with torch.inference_mode(), LiveMemory() as memory:
        sam.sweep(sam.irnn1, x, None)
    assert memory.peak <= 1.1 * 4 * x.nbytes
