"""A network of 2022 in the size of PReNet: NAFNet, "nonlinear activation free".

    rainy ── conv 3→C ── blocks ─┬─ down ── blocks ─┬─ down ── blocks ─┐   C, 2C, 4C channels on
                                 │                  │                  │   1/1, 1/2, 1/4 of the
    rainy + conv C→3 ── blocks ──+── up ── blocks ──+────── up ────────┘   side

After Chen et al., "Simple Baselines for Image Restoration", ECCV 2022 (arXiv 2204.04676). Three
years after PReNet nothing in it recurs and nothing is an activation: its only nonlinearities are
products. Its place in the course is a question: is a network of 2019 enough at this size?
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.errors import DerainError


@dataclass(frozen=True)
class NAFNetConfig:
    """What a NAFNet is made of.

    Attributes
    ----------
    channels : int, default 24
        C, feature channels at full size. Twice as many at half the side.
    blocks : int, default 2
        Blocks at each size on the way down; on the way up there is one. From 1.
    levels : int, default 2
        How often the side is halved. From 0.
    """

    channels: int = 24
    blocks: int = 2
    levels: int = 2

    def __post_init__(self) -> None:
        if self.channels < 1 or self.blocks < 1 or self.levels < 0:
            raise DerainError(
                "channels and blocks must be at least 1 and levels at least 0, "
                f"got {self.channels}, {self.blocks} and {self.levels}"
            )


def gate(x: Tensor) -> Tensor:
    """Return the product of the two halves of the channels, (B, 2C, H, W) -> (B, C, H, W).

    This *simple gate* stands where other networks have an activation.
    """
    one, other = x.chunk(2, dim=1)
    return one * other


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NAFBlock(nn.Module):
    """Two residual steps: one looks at the neighbours, one mixes the channels.

    Both begin with a normalisation and end in a scale per channel that starts at zero, so a fresh
    block returns its input. Between them a convolution doubles the channels and :func:`gate`
    halves them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        double = 2 * channels
        self.norm1, self.norm2 = (ChannelNorm(channels, eps=1e-6) for _ in range(2))
        self.widen = nn.Conv2d(channels, double, 1)
        self.neighbours = nn.Conv2d(double, double, 3, padding=1, groups=double)  # each channel
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.mix = nn.Conv2d(channels, double, 1)
        self.mix_project = nn.Conv2d(channels, channels, 1)
        self.scale1, self.scale2 = (
            nn.Parameter(torch.zeros(1, channels, 1, 1)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = gate(self.neighbours(self.widen(self.norm1(x))))
        # Simplified channel attention: one number per channel, from the mean of the whole picture.
        y = y * self.attention(y.mean(dim=(2, 3), keepdim=True))
        x = x + self.scale1 * self.project(y)
        return x + self.scale2 * self.mix_project(gate(self.mix(self.norm2(x))))


class NAFNet(nn.Module):
    """NAFNet, with ≤ 300,000 parameters as it stands here.

    Parameters
    ----------
    config : NAFNetConfig

    Notes
    -----
    ``forward`` takes (B, 3, H, W) in [0, 1] with any H, W ≥ 1 and returns the same shape, not
    clamped. An odd side is rounded up when it is halved, and cut back on the way up.
    """

    halo = None  # channel attention sees the whole picture: cutting it changes the result

    def __init__(self, config: NAFNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NAFNetConfig()
        widths = [config.channels * 2**level for level in range(config.levels + 1)]
        self.head = nn.Conv2d(3, config.channels, 3, padding=1)
        self.encoder = nn.ModuleList(_row(width, config.blocks) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        # 2W channels become W at twice the side: the pixels of four channels stand side by side.
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * w, 4 * w, 1, bias=False), nn.PixelShuffle(2))
            for w in widths[:-1]
        )
        self.decoder = nn.ModuleList(_row(width, 1) for width in widths[:-1])
        self.tail = nn.Conv2d(config.channels, 3, 3, padding=1)

    def forward(self, rainy: Tensor) -> Tensor:
        x = self.head(rainy)  # (B, 3, H, W) -> (B, C, H, W)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=False):
            x = blocks(x)
            skips.append(x)
            # The row and the column that are added count only where a side is odd.
            x = down(F.pad(x, (0, 1, 0, 1), mode="replicate"))  # (B, C, H, W) -> (B, 2C, H/2, W/2)
        x = self.encoder[-1](x)
        for level in reversed(range(self.config.levels)):
            height, width = skips[level].shape[-2:]
            x = self.decoder[level](self.up[level](x)[..., :height, :width] + skips[level])
        return rainy + self.tail(x)


def _row(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(blocks)))
