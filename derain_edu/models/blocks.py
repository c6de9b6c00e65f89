"""The parts that the networks of the course share: a residual block and two kinds of memory.

All of them keep the size of what passes through: (B, C, H, W) in, (B, C, H, W) out. Every
convolution is 3×3 with bias and zero padding 1, as in Ren et al., CVPR 2019 (arXiv 1901.09221)
and its released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Return the convolution of the paper: 3×3, bias, zero padding 1, same size out."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class ResidualBlock(nn.Module):
    """``relu(branch(x) + x)`` with branch = conv, ReLU, conv, ReLU.

    The branch ends in a ReLU, so it can only add. The outer ReLU therefore matters only where
    ``x`` itself can be negative: in the first block after a layer that has no ReLU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.relu(self.conv2(F.relu(self.conv1(x))))  # (B, C, H, W), never negative
        return F.relu(branch + x)


class ConvLSTM(nn.Module):
    """A convolutional LSTM cell, as PReNet uses it.

    ``c = f·c + i·g`` and ``h = o·tanh(c)``; the gates i, f, o are sigmoids and g is a tanh, all
    of them 3×3 convolutions of ``cat(x, h)``. The released code runs four convolutions 2C → C;
    one convolution 2C → 4C gives the same numbers and reads better, so that is what stands here.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate_conv = conv3x3(2 * channels, 4 * channels)

    def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the empty memory (h, c) for features like ``x``."""
        return torch.zeros_like(x), torch.zeros_like(x)

    def gates(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return i, f, g, o, each (B, C, H, W): what to write, keep, add and show."""
        i, f, g, o = self.gate_conv(torch.cat((x, h), dim=1)).chunk(4, dim=1)
        return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        i, f, g, o = self.gates(x, h)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, (h, c)


class ConvGRU(nn.Module):
    """A convolutional GRU cell: ``h = (1 − z)·h + z·g`` with g seeing the reset memory r·h."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate_conv = conv3x3(2 * channels, 2 * channels)
        self.candidate_conv = conv3x3(2 * channels, channels)

    def start(self, x: Tensor) -> tuple[Tensor]:
        """Return the empty memory (h,) for features like ``x``."""
        return (torch.zeros_like(x),)

    def gates(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (how much to renew) and r (how much of the past the candidate sees)."""
        z, r = torch.sigmoid(self.gate_conv(torch.cat((x, h), dim=1))).chunk(2, dim=1)
        return z, r

    def forward(self, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        (h,) = state
        z, r = self.gates(x, h)
        g = torch.tanh(self.candidate_conv(torch.cat((x, r * h), dim=1)))
        h = (1 - z) * h + z * g
        return h, (h,)
