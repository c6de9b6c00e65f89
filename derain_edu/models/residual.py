"""The baseline: a head, a row of residual blocks, a tail.

    rainy ── head conv 3→C ── [ReLU] ── N residual blocks ── tail conv C→3 ── (+ rainy)

Each block is used once and has its own weights. What the tail holds depends on
``predicts``: minus the rain layer, which is then added to the rainy picture
(``"rain"``), or the clean picture itself (``"picture"``).

With ``predicts="rain"`` and five blocks this network *is* one stage of PRN
(:mod:`derain_edu.models.prn`) that does not see the rainy picture twice: a test in the
repository copies the weights across and compares the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.models.blocks import ResidualBlock, conv3x3


@dataclass(frozen=True)
class ResidualConfig:
    """What a baseline is made of.

    Attributes
    ----------
    channels : int, default 32
        C, feature channels between head and tail.
    blocks : int, default 10
        N, residual blocks, each with its own weights. From 0.
    head_relu : bool, default True
        Apply a ReLU after the head convolution.
    predicts : str, default "rain"
        ``"rain"``: output = rainy + tail. ``"picture"``: output = tail.
    """

    channels: int = 32
    blocks: int = 10
    head_relu: bool = True
    predicts: str = "rain"

    def __post_init__(self) -> None:
        if self.predicts not in ("rain", "picture"):
            raise DerainError(f"predicts must be 'rain' or 'picture', got {self.predicts!r}")
        if self.channels < 1 or self.blocks < 0:
            raise DerainError(
                "channels must be at least 1 and blocks at least 0, "
                f"got {self.channels} and {self.blocks}"
            )


class Residual(nn.Module):
    """The residual baseline.

    Parameters
    ----------
    config : ResidualConfig

    Notes
    -----
    ``forward`` takes (B, 3, H, W) in [0, 1] with any H, W ≥ 1 and returns the same shape, not
    clamped.
    """

    def __init__(self, config: ResidualConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResidualConfig()
        self.head = conv3x3(3, config.channels)
        self.blocks = nn.ModuleList(ResidualBlock(config.channels) for _ in range(config.blocks))
        self.tail = conv3x3(config.channels, 3)

    @property
    def halo(self) -> int:
        """How many pixels away an input pixel can still change an output pixel."""
        return 2 + 2 * self.config.blocks

    def features(self, rainy: Tensor) -> list[Tensor]:
        """Return what flows between the layers: after the head and after each block.

        A list of ``blocks + 1`` tensors (B, C, H, W).
        """
        x = self.head(rainy)  # (B, 3, H, W) -> (B, C, H, W)
        if self.config.head_relu:
            x = F.relu(x)
        found = [x]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found

    def forward(self, rainy: Tensor) -> Tensor:
        output = self.tail(self.features(rainy)[-1])  # (B, C, H, W) -> (B, 3, H, W)
        return rainy + output if self.config.predicts == "rain" else output
