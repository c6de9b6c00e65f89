"""NAFNet: a fresh one changes nothing, a block against plain loops, a picture of an odd size."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.models import create_model
from derain_edu.models.nafnet import NAFBlock, gate


def lively(module):
    """Give every parameter a random value: fresh scales are zero and hide the rest."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return module


def test_a_fresh_block_returns_its_input():
    x = torch.rand(2, 6, 5, 7)
    assert torch.equal(NAFBlock(6)(x), x)


def test_a_gate_is_a_product_of_two_halves():
    x = torch.arange(8.0).view(1, 4, 1, 2)
    assert gate(x).flatten().tolist() == [0 * 4, 1 * 5, 2 * 6, 3 * 7]


def test_a_block_against_plain_loops():
    """Pixel by pixel, in float64, from the formulas of the paper (its figure 2c and section 3)."""
    block = lively(NAFBlock(3).double())
    x = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    _, channels, height, width = x.shape

    def normed(pixel, norm):
        centred = pixel - pixel.mean()
        return centred / (centred.square().mean() + 1e-6).sqrt() * norm.weight + norm.bias

    def one_by_one(conv, pixel):
        return conv.weight[:, :, 0, 0] @ pixel + conv.bias

    wide = torch.zeros(2 * channels, height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            wide[:, i, j] = one_by_one(block.widen, normed(x[0, :, i, j], block.norm1))
    gated = torch.zeros(channels, height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            seen = block.neighbours.bias.clone()
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if 0 <= i + di < height and 0 <= j + dj < width:
                        kernel = block.neighbours.weight[:, 0, di + 1, dj + 1]
                        seen += kernel * wide[:, i + di, j + dj]
            gated[:, i, j] = seen[:channels] * seen[channels:]
    weight = one_by_one(block.attention, gated.mean(dim=(1, 2)))
    expected = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            pixel = x[0, :, i, j]
            added = one_by_one(block.project, weight * gated[:, i, j])
            pixel = pixel + block.scale1[0, :, 0, 0] * added
            both = one_by_one(block.mix, normed(pixel, block.norm2))
            added = one_by_one(block.mix_project, both[:channels] * both[channels:])
            expected[0, :, i, j] = pixel + block.scale2[0, :, 0, 0] * added
    assert torch.allclose(block(x), expected, atol=1e-12)


def sizes_seen(model, height, width):
    sizes = []
    for row in model.encoder:
        row.register_forward_hook(lambda module, inputs, y: sizes.append(tuple(y.shape[1:])))
    model(torch.rand(1, 3, height, width))
    return sizes


def test_each_level_halves_the_side_and_doubles_the_channels():
    model = create_model("nafnet_small", channels=4, blocks=1, levels=3)
    assert sizes_seen(model, 16, 8) == [(4, 16, 8), (8, 8, 4), (16, 4, 2), (32, 2, 1)]
    model = create_model("nafnet_small", channels=4, blocks=1, levels=2)
    assert sizes_seen(model, 13, 1) == [(4, 13, 1), (8, 7, 1), (16, 4, 1)], "rounded up"


def test_what_is_added_to_an_even_side_counts_nothing():
    """Halving is the plain convolution of the paper wherever nothing has to be rounded."""
    model = lively(create_model("nafnet_small", channels=4, blocks=1, levels=1))
    rainy, found = torch.rand(1, 3, 6, 10), {}
    model.encoder[0].register_forward_hook(lambda m, i, y: found.update(before=y))
    model.down[0].register_forward_hook(lambda m, i, y: found.update(after=y))
    model(rainy)
    weight, bias = model.down[0].weight, model.down[0].bias
    plain = F.conv2d(found["before"], weight, bias, stride=2)
    assert torch.allclose(found["after"], plain, atol=1e-6)


def test_nonsense_is_explained():
    with pytest.raises(DerainError, match="at least 1 and levels at least 0, got 24, 0 and 2"):
        create_model("nafnet_small", blocks=0)
