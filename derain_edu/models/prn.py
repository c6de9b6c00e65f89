"""PRN and PReNet: progressive deraining networks (Ren et al., CVPR 2019, arXiv 1901.09221).

One small network is applied T times. Stage t sees the rainy picture O and its own last
result::

    x_0 = O
    z_t = relu(head(cat(O, x_{t-1})))         (B, 6, H, W) -> (B, C, H, W)
    h_t, s_t = memory(z_t, s_{t-1})           PReNet only: a convolutional LSTM or GRU
    x_t = tail(blocks(h_t)) + O               (B, C, H, W) -> (B, 3, H, W)

and the last x_T is the derained picture. The weights of all stages are the same tensors, so
the number of parameters does not depend on T. Nothing is clamped between stages.

The published family, as switches of :class:`PRNConfig`:

============  =========  ============  ===============  ============
model         memory     shared_block  residual_output  concat_rainy
============  =========  ============  ===============  ============
prn           none       no            yes              yes
prn_r         none       yes           yes              yes
prenet        lstm       no            yes              yes
prenet_r      lstm       yes           yes              yes
prenet_gru    gru        no            no               yes
prenet_lstm   lstm       no            no               yes
prenet_x      lstm       no            no               no
============  =========  ============  ===============  ============

In the paper's tables the last three are ablations of PReNet. The released code shows that
they also drop the ``+ O`` at the end, so "PReNet against PReNet_LSTM" is really the ablation of
that addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute_in_backward

from derain_edu.errors import DerainError
from derain_edu.models.blocks import ConvGRU, ConvLSTM, ResidualBlock, conv3x3

MEMORIES = {"none": None, "gru": ConvGRU, "lstm": ConvLSTM}


@dataclass(frozen=True)
class PRNConfig:
    """One member of the family, and every ablation between them.

    Attributes
    ----------
    stages : int, default 6
        T, how often the network is applied if ``unroll`` is not told otherwise. The paper's is 6.
    recurrent : str, default "none"
        The memory between stages: ``"none"``, ``"gru"`` or ``"lstm"``.
    concat_rainy : bool, default True
        Show the rainy picture to every stage, not only the last result.
    residual_output : bool, default True
        Add the rainy picture to what the tail predicts.
    head_relu : bool, default True
        Apply a ReLU after the head convolution.
    shared_block : bool, default False
        Apply one residual block ``blocks`` times: the paper's _r variants.
    channels : int, default 32
        C, feature channels.
    blocks : int, default 5
        Residual blocks per stage.
    """

    stages: int = 6
    recurrent: str = "none"
    concat_rainy: bool = True
    residual_output: bool = True
    head_relu: bool = True
    shared_block: bool = False
    channels: int = 32
    blocks: int = 5

    def __post_init__(self) -> None:
        if self.recurrent not in MEMORIES:
            raise DerainError(
                f"recurrent must be one of {', '.join(MEMORIES)}, got {self.recurrent!r}"
            )
        if min(self.stages, self.channels, self.blocks) < 1:
            raise DerainError(
                "stages, channels and blocks must be at least 1, "
                f"got {self.stages}, {self.channels} and {self.blocks}"
            )


class PRN(nn.Module):
    """The progressive network: one set of weights, T stages.

    Parameters
    ----------
    config : PRNConfig

    Notes
    -----
    ``forward`` takes (B, 3, H, W) in [0, 1] with any H, W ≥ 1 and returns the same shape, not
    clamped.
    """

    def __init__(self, config: PRNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PRNConfig()
        memory = MEMORIES[config.recurrent]
        own_blocks = 1 if config.shared_block else config.blocks
        self.head = conv3x3(6 if config.concat_rainy else 3, config.channels)
        self.memory = memory(config.channels) if memory else None
        self.blocks = nn.ModuleList(ResidualBlock(config.channels) for _ in range(own_blocks))
        self.tail = conv3x3(config.channels, 3)

    @property
    def halo(self) -> int:
        """How many pixels away an input pixel can still change an output pixel."""
        memory = {"none": 0, "gru": 2, "lstm": 1}[self.config.recurrent]
        reach = self.config.stages * (2 + memory + 2 * self.config.blocks)
        # The GRU's second convolution needs a memory to look at: not yet in the first stage.
        return reach - 1 if self.config.recurrent == "gru" else reach

    def stage(
        self, rainy: Tensor, x: Tensor, state: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Run one stage: (O, x_{t-1}, s_{t-1}) to (x_t, s_t)."""
        cat = torch.cat((rainy, x), dim=1) if self.config.concat_rainy else x  # (B, 6 or 3, H, W)
        z = self.head(cat)  # (B, C, H, W)
        if self.config.head_relu:
            z = F.relu(z)
        if self.memory is not None:
            z, state = self.memory(z, self.memory.start(z) if state is None else state)
        for k in range(self.config.blocks):
            z = self.blocks[k % len(self.blocks)](z)
        x = self.tail(z)  # (B, C, H, W) -> (B, 3, H, W)
        return (x + rainy if self.config.residual_output else x), state

    def unroll(
        self, rainy: Tensor, stages: int | None = None, checkpoint: bool = False
    ) -> list[Tensor]:
        """Return the picture after every stage.

        Parameters
        ----------
        rainy : Tensor
            (B, 3, H, W) in [0, 1], RGB.
        stages : int, optional
            How many stages, 1 or more; also beyond the trained T. Default: ``config.stages``.
        checkpoint : bool
            Keep only the stage borders for the backward pass and compute the inside of each
            stage again when it is needed: less memory, about a third more time.

        Returns
        -------
        list of Tensor
            ``stages`` tensors (B, 3, H, W); the last one is what ``forward`` returns.
        """
        stages = self.config.stages if stages is None else stages
        if stages < 1:
            raise DerainError(f"stages must be at least 1, got {stages}")
        x, state, pictures = rainy, None, []
        for _ in range(stages):
            if checkpoint:
                x, state = recompute_in_backward(self.stage, rainy, x, state, use_reentrant=False)
            else:
                x, state = self.stage(rainy, x, state)
            pictures.append(x)
        return pictures

    def forward(self, rainy: Tensor) -> Tensor:
        return self.unroll(rainy)[-1]
