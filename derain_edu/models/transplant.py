"""Transplants: SPANet's spatial attention module (SAM) moved into the baseline or into PRN.

The host is a head, a row of residual blocks and a tail. The first half of the blocks stays as it
is, then the module looks at the features and makes a map A, and A gates the branch of each later
block::

    rainy ── head ── blocks 1 … n ──┬── blocks n+1 … N, each relu(gate·branch(x) + x) ── tail
                                    └── A = SAM(x), (B, 1, H, W) in (0, 1)

A PRN host does this in every stage, with one module for all of them. ``graft`` says how the map
becomes a gate, and so how far the network is from its host before the first step:

===========  ========================  ==========================================================
``graft``    gate of block k           at the start
===========  ========================  ==========================================================
``none``     (no module)               the host alone
``blocks``   (no module)               the control: more residual blocks, as many parameters as
                                       the module has, so they can't explain what it gains
``dropped``  A                         about ½: the gated branches lose half of their size
``matched``  s_k·A                     branches as large as in the host: s_k is measured once on
                                       a fixed batch in rain, and then stays
``zero``     1 + γ_k·(2A − 1), γ = 0   exactly the host, while the module can learn to act
===========  ========================  ==========================================================

``create_model("transplant", host="prn", graft="zero")`` makes a fresh one;
:func:`transplant` puts the module into a host that is trained.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute_in_backward

from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.models.blocks import ResidualBlock, conv3x3
from derain_edu.models.prn import PRN, PRNConfig
from derain_edu.models.residual import Residual, ResidualConfig
from derain_edu.models.spanet import SPANetConfig, SpatialAttention
from derain_edu.rain.synthesis import add_rain

HOSTS = ("residual", "prn")
GRAFTS = ("none", "blocks", "dropped", "matched", "zero")
GATED = ("dropped", "matched", "zero")  # the grafts that hold the module
State = tuple[Tensor, ...] | None  # of a PReNet's memory


@dataclass(frozen=True)
class TransplantConfig:
    """Who receives the module, and how.

    Attributes
    ----------
    host : str, default "residual"
        The network that receives the module: ``"residual"`` or ``"prn"``.
    graft : str, default "none"
        How the module's map becomes a gate, one of :data:`GRAFTS`.
    channels : int, default 16
        C, feature channels of host and module.
    blocks : int, default 5
        N, residual blocks of the host (per stage). At least 2 where there is a module.
    stages : int, default 4
        T of a PRN host. A residual host always has 1.
    recurrent : str, default "none"
        Memory of a PRN host: ``"none"``, ``"gru"`` or ``"lstm"``.
    alpha_init : float | str, default 0.2
        Start of the module's α, as in :class:`~derain_edu.models.spanet.SPANetConfig`.
    """

    host: str = "residual"
    graft: str = "none"
    channels: int = 16
    blocks: int = 5
    stages: int = 4
    recurrent: str = "none"
    alpha_init: float | str = 0.2

    def __post_init__(self) -> None:
        for name, choices in (("host", HOSTS), ("graft", GRAFTS)):
            if (value := getattr(self, name)) not in choices:
                raise DerainError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")
        if self.host == "residual":
            object.__setattr__(self, "stages", 1)
            if self.recurrent != "none":
                raise DerainError("a residual host has no memory: take host='prn'")
        if self.graft in GATED and self.blocks < 2:
            raise DerainError(f"a module needs blocks before and after it, got {self.blocks}")

    @property
    def before(self) -> int:
        """How many blocks stand before the module; those behind it are gated."""
        return self.blocks // 2


def build_host(config: TransplantConfig) -> Residual | PRN:
    """Return the host alone, fresh: what ``create_model(host, …)`` makes."""
    options = {"channels": config.channels, "blocks": config.blocks}
    if config.host == "prn":
        return PRN(PRNConfig(stages=config.stages, recurrent=config.recurrent, **options))
    return Residual(ResidualConfig(**options))


def build_attention(config: TransplantConfig) -> SpatialAttention:
    """Return a fresh module as SPANet was released, without its idle direction branch."""
    options = {"channels": config.channels, "alpha_init": config.alpha_init}
    attention = SpatialAttention(SPANetConfig(**options))
    del attention.directions
    return attention


class NarrowBlock(ResidualBlock):
    """A residual block with fewer channels inside: fills up what whole blocks leave over."""

    def __init__(self, channels: int, inside: int) -> None:
        nn.Module.__init__(self)
        self.conv1 = conv3x3(channels, inside)
        self.conv2 = conv3x3(inside, channels)


def rain_over_waves(count: int = 4, size: int = 32) -> Tensor:
    """Return always the same (count, 3, size, size) in [0, 1]: slow waves of colour in light rain.

    Enough to calibrate a host that knows nothing yet, and no photo has to be read for it.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    waves = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    return add_rain(waves, "light", seed=0).rainy


def control_blocks(channels: int, parameters: int) -> nn.ModuleList:
    """Return residual blocks that have about as many parameters in all as asked for."""
    whole = sum(p.numel() for p in ResidualBlock(channels).parameters())
    blocks = [ResidualBlock(channels) for _ in range(parameters // whole)]
    per_channel = 2 * 9 * channels + 1  # two 3×3 kernels and a bias
    inside = round((parameters % whole - channels) / per_channel)
    if inside > 0:
        blocks.append(NarrowBlock(channels, inside))
    return nn.ModuleList(blocks)


class Transplant(nn.Module):
    """A residual host with a graft. (:class:`ProgressiveTransplant` is the one with stages.)

    Parameters
    ----------
    config : TransplantConfig

    Notes
    -----
    ``forward`` takes (B, 3, H, W) in [0, 1] with any H, W ≥ 1 and returns the same shape, not
    clamped. The host is built first: with one seed, all grafts have the same host.
    """

    def __init__(self, config: TransplantConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TransplantConfig()
        self.host = build_host(config)
        gated = config.blocks - config.before
        if config.graft == "blocks":
            wanted = sum(p.numel() for p in build_attention(config).parameters())
            self.extra = control_blocks(config.channels, wanted)
        if config.graft in GATED:
            self.attention = build_attention(config)
        if config.graft == "matched":
            self.register_buffer("scales", torch.ones(gated))  # s_k, not trained
            self.calibrate(rain_over_waves())
        if config.graft == "zero":
            self.gains = nn.Parameter(torch.zeros(gated))  # γ_k

    @property
    def halo(self) -> int | None:
        """How many pixels away an input pixel can change an output pixel; None: any distance."""
        if self.config.graft in GATED:
            return None
        extra = len(self.extra) if self.config.graft == "blocks" else 0
        return self.host.halo + 2 * extra * self.config.stages

    def gate(self, k: int, attention: Tensor) -> Tensor:
        """Return what the branch of gated block k is multiplied by: (B, 1, H, W)."""
        if self.config.graft == "matched":
            return self.scales[k] * attention
        if self.config.graft == "zero":
            return 1 + self.gains[k] * (2 * attention - 1)
        return attention

    def body(self, x: Tensor, measure: bool = False) -> tuple[Tensor, Tensor | None]:
        """Run the row of blocks: features (B, C, H, W) to features, and the map (B, 1, H, W).

        With ``measure`` each s_k is set so that the gated branch is as large as the open one.
        """
        blocks, before = self.host.blocks, self.config.before
        if self.config.graft not in GATED:
            for block in [*blocks, *getattr(self, "extra", ())]:
                x = block(x)
            return x, None
        for block in blocks[:before]:
            x = block(x)
        attention = self.attention(x)  # (B, 1, H, W)
        for k, block in enumerate(blocks[before:]):
            branch = branch_of(block, x)  # (B, C, H, W)
            if measure:
                self.scales[k] = branch.std() / (attention * branch).std().clamp_min(1e-12)
            x = F.relu(self.gate(k, attention) * branch + x)
        return x, attention

    @torch.no_grad()
    def calibrate(self, rainy: Tensor) -> None:
        """Measure the s_k of a ``matched`` graft, in the first stage, on ``rainy`` (B, 3, H, W)."""
        if self.config.graft != "matched":
            raise DerainError(f"a graft {self.config.graft!r} has no scales to measure")
        self.body(self.enter(rainy.to(self.scales.device), None, None)[0], measure=True)

    def enter(self, rainy: Tensor, x: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Run what the host has before its blocks; ``x`` is a PRN's last picture."""
        host, config = self.host, self.host.config
        if self.config.host == "prn":
            x = rainy if x is None else x
            z = host.head(torch.cat((rainy, x), dim=1))  # (B, 6, H, W) -> (B, C, H, W)
        else:
            z = host.head(rainy)  # (B, 3, H, W) -> (B, C, H, W)
        z = F.relu(z) if config.head_relu else z
        if self.config.recurrent != "none":
            z, state = host.memory(z, host.memory.start(z) if state is None else state)
        return z, state

    def stage(
        self, rainy: Tensor, x: Tensor | None, state: State
    ) -> tuple[Tensor, State, Tensor | None]:
        """Run one stage: (O, x_{t-1}, s_{t-1}) to (x_t, s_t) and the map (B, 1, H, W)."""
        z, state = self.enter(rainy, x, state)
        z, attention = self.body(z)
        return self.host.tail(z) + rainy, state, attention

    def forward(self, rainy: Tensor) -> Tensor:
        return self.stage(rainy, None, None)[0]


class AttentiveTransplant(Transplant):
    """A residual host with the module: it can also show, and be taught, where it rains."""

    def attend(self, rainy: Tensor) -> tuple[Tensor, Tensor]:
        """Derain (B, 3, H, W), and return the map of where it rains too, (B, 1, H, W)."""
        derained, _, attention = self.stage(rainy, None, None)
        return derained, attention


class ProgressiveTransplant(Transplant):
    """A PRN host with a graft: the same weights in every stage."""

    def unroll(
        self, rainy: Tensor, stages: int | None = None, checkpoint: bool = False
    ) -> list[Tensor]:
        """Return the picture after every stage, like :meth:`derain_edu.models.prn.PRN.unroll`."""
        stages = self.config.stages if stages is None else stages
        if stages < 1:
            raise DerainError(f"stages must be at least 1, got {stages}")
        x, state, pictures = rainy, None, []
        for _ in range(stages):
            if checkpoint:
                x, state, _ = recompute_in_backward(
                    self.stage, rainy, x, state, use_reentrant=False
                )
            else:
                x, state, _ = self.stage(rainy, x, state)
            pictures.append(x)
        return pictures

    def forward(self, rainy: Tensor) -> Tensor:
        return self.unroll(rainy)[-1]


def build(config: TransplantConfig) -> Transplant:
    """Return the network that a configuration describes."""
    if config.host == "prn":
        return ProgressiveTransplant(config)
    return (AttentiveTransplant if config.graft in GATED else Transplant)(config)


def transplant(
    host: Residual | PRN, graft: str = "dropped", attention: SpatialAttention | None = None
) -> Transplant:
    """Put the module into a network that is already trained.

    Parameters
    ----------
    host : Residual or PRN
        It is copied. A PRN of the default kind, or one with a memory.
    graft : str
        One of :data:`GRAFTS`. A ``matched`` one is calibrated to this host, on four fixed patches
        of photos in light rain.
    attention : SpatialAttention, optional
        A trained module of the same width, also copied (without its direction branch). Default:
        a fresh one.

    Raises
    ------
    DerainError
        If the host is of another kind than :class:`TransplantConfig` can describe, or the module
        has another width.
    """
    kind = "prn" if isinstance(host, PRN) else "residual"
    names = ("channels", "blocks", "stages", "recurrent")
    options = {name: getattr(host.config, name) for name in names if hasattr(host.config, name)}
    model = build(TransplantConfig(host=kind, graft=graft, **options))
    if asdict(model.host.config) != asdict(host.config):
        raise DerainError(f"a host of this kind can't take a graft: {host.config}")
    model.host.load_state_dict(host.state_dict())
    if attention is not None:
        if attention.conv1.in_channels != model.config.channels:
            raise DerainError(
                f"the module has {attention.conv1.in_channels} channels, the host "
                f"{model.config.channels}: they must be the same"
            )
        model.attention = copy.deepcopy(attention)
        del model.attention.directions
    if graft == "matched":
        stream = SyntheticRain(rain="light", patch_size=32, seed=0)
        model.calibrate(torch.stack([stream[k]["rainy"] for k in range(4)]))
    return model.train(host.training)


def branch_of(block: ResidualBlock, x: Tensor) -> Tensor:
    """Return what a residual block would add to x, before any gate: (B, C, H, W)."""
    return F.relu(block.conv2(F.relu(block.conv1(x))))
