"""SPANet: a spatial attentive network (Wang et al., CVPR 2019, arXiv 1904.01538).

::

    rainy ── 3×3, 3→C ── ReLU ── 3 blocks ──┬─ 4 × (A = SAM(x), then 3 blocks gated by A) ──
                                            └─ 2 blocks ── 3×3, C→3 ── derained

A gated block is ``relu(A·block(x) + x)``: where the attention map A is 0 the picture passes
unchanged, where it is 1 the block works. One spatial attention module (SAM) serves all four
stages. It lets every pixel see the whole picture: two rounds of four sweeps
(:mod:`derain_edu.models.irnn`), each followed by a 3×3 convolution of the four results.

Two modes. In the paper a small branch of the module makes four maps of *direction weights* that
multiply the four sweeps of each round (section 3.2). In the released code the products are
computed and dropped, so they never acted and the branch was never trained.

==========================  =========================================================
``direction_attention``     what it is
==========================  =========================================================
``False``                   the network as released; the branch is there, and idle
``True``                    the network of the paper; the branch acts and is trained
==========================  =========================================================

The output is the picture itself: nothing is added to the rainy one, and nothing is clamped. The
released weights expect BGR; :mod:`derain_edu.models.pretrained` reverses the channels of their
first and last layer, so this module, like all others, sees RGB only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.models.irnn import DIRECTIONS, irnn_stack


@dataclass(frozen=True)
class SPANetConfig:
    """What a SPANet is made of.

    Attributes
    ----------
    channels : int, default 32
        C, feature channels. An even number.
    direction_attention : bool, default False
        Let the direction weights act, as in the paper (section 3.2). The released code computes
        and drops them.
    alpha_init : float | str, default 0.2
        Start of α: a number (1 is the identity), or ``"random"`` for uniform in (−1, 1). The
        default is that of the released code.
    stages : int, default 4
        Attention maps, each followed by gated blocks.
    blocks : int, default 3
        Gated blocks per stage, and plain blocks before the first.
    irnn_method : str | None, default None
        A form of the recurrence, see :mod:`derain_edu.models.irnn`. None: the fastest.
    """

    channels: int = 32
    direction_attention: bool = False
    alpha_init: float | str = 0.2
    stages: int = 4
    blocks: int = 3
    irnn_method: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.alpha_init, str) and self.alpha_init != "random":
            raise DerainError(
                f"alpha_init must be a number such as 1 or 0.2, or 'random', got "
                f"{self.alpha_init!r}"
            )
        if min(self.channels, self.stages, self.blocks) < 1 or self.channels % 2:
            raise DerainError(
                "stages and blocks must be at least 1 and channels an even number, "
                f"got {self.stages}, {self.blocks} and {self.channels}"
            )


class BottleneckBlock(nn.Module):
    """``relu(A·branch(x) + x)`` with branch = 1×1, ReLU, 3×3 dilated by 2, ReLU, 1×1, no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=2, dilation=2, bias=False)
        self.conv3 = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, attention: Tensor | None = None) -> Tensor:
        branch = F.relu(self.conv1(x), inplace=True)
        branch = self.conv3(F.relu(self.conv2(branch), inplace=True))  # (B, C, H, W)
        if attention is not None:
            branch = branch * attention  # (B, 1, H, W) scales all channels of a pixel
        return F.relu(branch + x, inplace=True)


class IRNN(nn.Module):
    """Four sweeps with a weight α and a bias β per direction and channel."""

    def __init__(self, channels: int, alpha_init: float | str, method: str | None = None) -> None:
        super().__init__()
        self.method = method
        if alpha_init == "random":
            alpha = torch.empty(len(DIRECTIONS), channels).uniform_(-1, 1)
        else:
            alpha = torch.full((len(DIRECTIONS), channels), float(alpha_init))
        self.alpha = nn.Parameter(alpha)
        # The released β belongs to a 1×1 convolution per channel, whose bias starts at U(−1, 1).
        # With α = 1 it is added at every pixel, so the identity start needs β = 0.
        bound = 0.0 if alpha_init == 1 else 1.0
        self.beta = nn.Parameter(torch.empty(len(DIRECTIONS), channels).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return irnn_stack(x, self.alpha, self.beta, self.method)  # (B, 4, C, H, W)


class DirectionBranch(nn.Module):
    """Four maps in (0, 1), one weight per pixel and direction: (B, C, H, W) to (B, 4, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(channels // 2, channels // 2, 3, padding=1)
        self.conv3 = nn.Conv2d(channels // 2, len(DIRECTIONS), 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))


class SpatialAttention(nn.Module):
    """The spatial attention module: features (B, C, H, W) to a map (B, 1, H, W) in (0, 1)."""

    def __init__(self, config: SPANetConfig) -> None:
        super().__init__()
        channels = config.channels
        self.direction_attention = config.direction_attention
        self.directions = DirectionBranch(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.irnn1 = IRNN(channels, config.alpha_init, config.irnn_method)
        self.conv2 = nn.Conv2d(4 * channels, channels, 3, padding=1, bias=False)
        self.irnn2 = IRNN(channels, config.alpha_init, config.irnn_method)
        self.conv3 = nn.Conv2d(4 * channels, channels, 3, padding=1, bias=False)
        self.conv4 = nn.Conv2d(channels, 1, 1, bias=False)
        if not self.direction_attention:
            self.directions.requires_grad_(False)  # idle: see the module's docstring

    def forward(self, x: Tensor) -> Tensor:
        weights = self.directions(x).unsqueeze(2) if self.direction_attention else None
        once = self.conv2(self.sweep(self.irnn1, self.conv1(x), weights))  # (B, C, H, W)
        twice = self.conv3(self.sweep(self.irnn2, once, weights))  # (B, C, H, W)
        return torch.sigmoid(self.conv4(F.relu(twice, inplace=True)))  # (B, 1, H, W)

    @staticmethod
    def sweep(irnn: IRNN, x: Tensor, weights: Tensor | None) -> Tensor:
        """Run one round of sweeps, weighted by (B, 4, 1, H, W): (B, C, H, W) to (B, 4C, H, W)."""
        swept = irnn(x)  # (B, 4, C, H, W)
        return (swept if weights is None else swept * weights).flatten(1, 2)


class SPANet(nn.Module):
    """The network.

    Parameters
    ----------
    config : SPANetConfig

    Notes
    -----
    ``forward`` takes (B, 3, H, W) in [0, 1] with any H, W ≥ 1 and returns the same shape, not
    clamped.
    """

    halo = None  # every pixel can change every other: cutting a picture changes the result

    def __init__(self, config: SPANetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SPANetConfig()
        count = config.blocks + config.stages * config.blocks + 2
        self.head = nn.Conv2d(3, config.channels, 3, padding=1, bias=False)
        self.attention = SpatialAttention(config)
        self.blocks = nn.ModuleList(BottleneckBlock(config.channels) for _ in range(count))
        self.tail = nn.Conv2d(config.channels, 3, 3, padding=1, bias=False)

    def attend(self, rainy: Tensor) -> tuple[Tensor, Tensor]:
        """Derain, and show where each stage looked.

        Parameters
        ----------
        rainy : Tensor
            (B, 3, H, W) in [0, 1], RGB.

        Returns
        -------
        derained : Tensor
            (B, 3, H, W), what ``forward`` returns.
        maps : Tensor
            (B, stages, H, W) in (0, 1). Only the first is compared with a mask in training.
        """
        blocks, gated = iter(self.blocks), self.config.blocks
        x = F.relu(self.head(rainy), inplace=True)  # (B, C, H, W)
        for _ in range(gated):
            x = next(blocks)(x)
        maps = []
        for _ in range(self.config.stages):
            maps.append(self.attention(x))  # (B, 1, H, W), the same module each time
            for _ in range(gated):
                x = next(blocks)(x, maps[-1])
        for block in blocks:  # the last two
            x = block(x)
        return self.tail(x), torch.cat(maps, dim=1)

    def forward(self, rainy: Tensor) -> Tensor:
        return self.attend(rainy)[0]
