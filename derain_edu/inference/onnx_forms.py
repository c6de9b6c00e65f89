"""Networks in the form that ONNX Runtime is fastest in: other operations, the same numbers.

A graph that is only translated runs, and wastes time. :func:`runtime_form` changes three things
before the export; the weights stay the same tensors, and :mod:`derain_edu.inference.onnx_export`
compares the result with the network as it was.

*Gates one by one.* On a CPU ONNX Runtime keeps features in blocks of 8 or 16 channels between
operations that know this layout, and turns them round before and after every other one. PReNet's
LSTM computes four gates in one convolution and splits the result; ``Split`` is one of those,
and so are the zeros that start the memory. Four convolutions, and a first stage that leaves the
empty memory out, need 7 turns in a graph of six stages instead of 90.

*Needless ReLUs.* The branch of a residual block is never negative, and from the second block on
neither is its skip: their outer ReLU changes nothing.

*Sweeps as one operation.* ``Scan`` runs along any axis, backwards too. PyTorch's own ``scan``
operator is translated with flips and transposes around it and copies α and β at every step; an
operation of our own with a translation of our own needs none of it, and a whole SPANet is exported
in a seventh of the time.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.models.blocks import ConvLSTM, ResidualBlock
from derain_edu.models.prn import PRN
from derain_edu.models.spanet import SPANet


def runtime_form(model: nn.Module) -> tuple[nn.Module, dict[Any, Any]]:
    """Return a network to export in the place of ``model``, which is not changed.

    Parameters
    ----------
    model : nn.Module
        Any network; PReNet and its family, and SPANet, come back in another form.

    Returns
    -------
    form : nn.Module
        The network to export.
    translations : dict
        For ``torch.onnx.export``: how an operation of our own reads in ONNX.
    """
    if isinstance(model, PRN):
        return _prn_form(model), {}
    if isinstance(model, SPANet):
        return _spanet_form(model)
    return model, {}


def _prn_form(model: PRN) -> PRN:
    form, count = copy.deepcopy(model), model.config.blocks
    blocks = [form.blocks[k % len(form.blocks)] for k in range(count)]
    form.blocks = nn.ModuleList([blocks[0], *map(LaterBlock, blocks[1:])])
    if isinstance(form.memory, ConvLSTM):
        form.memory = GateByGate(form.memory)
    return form


def stage_form(model: PRN) -> nn.Module:
    """Return one stage as a module: (rainy, x, h, c) to (x, h, c), or with less memory."""
    return OneStage(_prn_form(model))


def maps_form(model: nn.Module) -> tuple[nn.Module, dict[Any, Any]]:
    """Return a form as :func:`runtime_form` does, whose output is that of ``model.attend``."""
    form, translations = runtime_form(model)
    return WithMaps(form), translations


def _spanet_form(model: SPANet) -> tuple[SPANet, dict[Any, Any]]:
    from derain_edu.inference.onnx_sweeps import (  # onnxscript: seconds to import
        TRANSLATIONS,
        ScanIRNN,
    )

    form = copy.deepcopy(model)
    for name in ("irnn1", "irnn2"):
        setattr(form.attention, name, ScanIRNN(getattr(form.attention, name)))
    return form, TRANSLATIONS


class WithMaps(nn.Module):
    """A network with attention whose maps go out, too: rainy to (derained, maps)."""

    def __init__(self, form: nn.Module) -> None:
        super().__init__()
        self.form = form

    def forward(self, rainy: Tensor) -> tuple[Tensor, Tensor]:
        return self.form.attend(rainy)


class OneStage(nn.Module):
    """A stage whose memory comes in and goes out as single tensors, as a graph needs it."""

    def __init__(self, form: PRN) -> None:
        super().__init__()
        self.form = form

    def forward(self, rainy: Tensor, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x, after = self.form.stage(rainy, x, state or None)
        return x, *(after or ())


class LaterBlock(nn.Module):
    """A residual block whose input is never negative: ``branch(x) + x`` without the last ReLU."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.conv1, self.conv2 = block.conv1, block.conv2

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x)))) + x  # (B, C, H, W)


class GateByGate(nn.Module):
    """A :class:`~derain_edu.models.blocks.ConvLSTM` with a convolution 2C → C for each gate."""

    def __init__(self, cell: ConvLSTM) -> None:
        super().__init__()
        joint = cell.gate_conv  # 2C -> 4C
        outputs = joint.out_channels // 4
        self.gates = nn.ModuleList()
        for weight, bias in zip(joint.weight.chunk(4), joint.bias.chunk(4), strict=True):
            # "meta": no random start, because the weights follow.
            conv = nn.Conv2d(joint.in_channels, outputs, 3, padding=1, device="meta")
            conv.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
            conv.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
            self.gates.append(conv)

    def start(self, x: Tensor) -> tuple[None, None]:
        """Return the empty memory: nothing is there yet."""
        return None, None

    def forward(
        self, x: Tensor, state: tuple[Tensor | None, Tensor | None]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        i, f, g, o = (_gate(conv, x, h) for conv in self.gates)  # (B, C, H, W) each
        new = torch.sigmoid(i) * torch.tanh(g)
        c = new if c is None else torch.sigmoid(f) * c + new
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


def _gate(conv: nn.Conv2d, x: Tensor, h: Tensor | None) -> Tensor:
    """Convolve cat(x, h); zeros in the place of h need no computing."""
    if h is None:
        return F.conv2d(x, conv.weight[:, : x.shape[1]], conv.bias, padding=1)
    return conv(torch.cat((x, h), dim=1))
