"""What an LSTM's gates do from stage to stage: the pure functions behind the gate slider.

A gate is a number between 0 and 1 per pixel and channel (``ConvLSTM`` in
:mod:`derain_edu.models.blocks`). Its level alone says little. What a gate does about *rain* shows
when the same picture passes through the network twice, with rain and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.views.plots import (
    colour_bar,
    coloured,
    draw_map,
    draw_picture,
    strip_png,
)
from derain_edu.course.views.sliders import slider_over
from derain_edu.errors import DerainError
from derain_edu.models.blocks import ConvLSTM
from derain_edu.models.prn import PRN


@dataclass(frozen=True)
class GateView:
    """What rain does to the gates of a PReNet's memory at one stage.

    Attributes
    ----------
    stage : int
        Counted from 1.
    picture : Tensor
        (3, H, W), the output of this stage, clamped.
    changes : dict[str, Tensor]
        Gate → (H, W), the mean over the channels of |with − without rain|.
    """

    stage: int
    picture: Tensor
    changes: dict[str, Tensor]


@torch.no_grad()
def gate_views(
    model: PRN, rainy: Tensor, clean: Tensor, stages: int | None = None
) -> list[GateView]:
    """Run a network with an LSTM on a picture with and without rain, and compare the gates.

    Everything else in the two pictures is equal, so each difference is the rain's doing.

    Parameters
    ----------
    model : PRN
        With ``recurrent="lstm"``.
    rainy, clean : Tensor
        (3, H, W) in [0, 1].
    stages : int, optional
        Default: the network's own T.

    Raises
    ------
    DerainError
        If the network has no LSTM.
    """
    wet, dry = (_stages_and_gates(model, picture[None], stages) for picture in (rainy, clean))
    views = []
    for stage, ((x, gates), (_, without)) in enumerate(zip(wet, dry, strict=True), 1):
        # (1, C, H, W) -> (H, W)
        changes = {name: (gates[name] - without[name]).abs().mean(dim=(0, 1)) for name in gates}
        views.append(GateView(stage, x[0].clamp(0, 1), changes))
    return views


def _stages_and_gates(
    model: PRN, rainy: Tensor, stages: int | None
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    if not isinstance(model.memory, ConvLSTM):
        raise DerainError("this network has no LSTM and so no gates: take a PReNet")
    caught = []

    def catch(memory: ConvLSTM, inputs: Any, _output: Any) -> None:
        z, (h, _c) = inputs
        i, f, _g, o = memory.gates(z, h)
        caught.append({"write gate i": i, "forget gate f": f, "output gate o": o})

    hook = model.memory.register_forward_hook(catch)
    try:
        pictures = model.unroll(rainy, stages)
    finally:
        hook.remove()
    return list(zip(pictures, caught, strict=True))


@torch.no_grad()
def memory_inputs(
    model: PRN, picture: Tensor, stages: int | None = None
) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
    """Return what the memory is given at each stage, (z, h), and the picture after each stage.

    Parameters
    ----------
    model : PRN
        With ``recurrent="lstm"``.
    picture : Tensor
        (3, H, W) in [0, 1].
    stages : int, optional
        Default: the network's own T.

    Returns
    -------
    list of tuple
        z, the features of this stage, and h of the stage before, (1, C, H, W) each.
    list of Tensor
        (3, H, W) each.
    """
    caught = []

    def catch(memory: ConvLSTM, inputs: Any, _output: Any) -> None:
        z, (h, _c) = inputs
        caught.append((z, h))

    hook = model.memory.register_forward_hook(catch)
    try:
        pictures = [x[0] for x in model.unroll(picture[None], stages)]
    finally:
        hook.remove()
    return caught, pictures


@torch.no_grad()
def forget_gates(model: PRN, picture: Tensor, stages: int | None = None) -> Tensor:
    """Return the forget gates of all stages on a picture (3, H, W): (T, C, H, W)."""
    inputs, _ = memory_inputs(model, picture, stages)
    return torch.cat([model.memory.gates(z, h)[1] for z, h in inputs])


@torch.no_grad()
def forget_changes(
    model: PRN, rainy: Tensor, clean: Tensor, where: Tensor
) -> dict[str, list[float]]:
    """Return how much rain changes the forget gate where ``where`` is True, stage by stage.

    A gate sees two things: z, which comes from the pictures, and h, the memory. ``"both"`` is the
    mean |with − without rain|. For ``"by the memory"`` only h is taken from the run with rain, and
    for ``"by the pictures"`` only z. The two need not add up.
    """
    (wet, _), (dry, _) = memory_inputs(model, rainy), memory_inputs(model, clean)
    changes: dict[str, list[float]] = {"both": [], "by the memory": [], "by the pictures": []}
    for (z_wet, h_wet), (z_dry, h_dry) in zip(wet, dry, strict=True):
        normal = model.memory.gates(z_dry, h_dry)[1]
        given = ((z_wet, h_wet), (z_dry, h_wet), (z_wet, h_dry))
        for values, (z, h) in zip(changes.values(), given, strict=True):
            change = (model.memory.gates(z, h)[1] - normal).abs()[0]  # (C, H, W)
            values.append(change[:, where].mean().item())
    return changes


def draw_gate_table(figure_axes: Any, views: Sequence[GateView]) -> None:
    """Draw the picture and the changes of the three gates, a column per stage, into 4 × T axes."""
    top = max(float(change.max()) for view in views for change in view.changes.values())
    for column, view in zip(figure_axes.T, views, strict=True):
        draw_picture(column[0], view.picture, f"after stage {view.stage}")
        for axis, (name, change) in zip(column[1:], view.changes.items(), strict=True):
            draw_map(axis, change, name, vmin=0, vmax=top)


def draw_gates(views: Sequence[GateView], stage: int, zoom: int = 1) -> bytes:
    """Return the picture (PNG bytes) of the gate slider at ``stage``, counted from 1.

    All stages share one colour scale, from 0 to the largest change of any gate.
    """
    view = views[stage - 1]
    top = max(float(change.max()) for v in views for change in v.changes.values()) or 1.0
    parts: dict[str, Any] = {f"after stage {stage}": _enlarge(view.picture, zoom)}
    for name, change in view.changes.items():
        parts[name] = _enlarge(coloured(change / top), zoom)
    parts["change"] = colour_bar(top, parts[f"after stage {stage}"].shape[-2])
    return strip_png(parts)


def _enlarge(picture: Tensor, zoom: int) -> Tensor:
    """Draw each pixel of (3, H, W) ``zoom`` × ``zoom``."""
    return picture.repeat_interleave(zoom, -2).repeat_interleave(zoom, -1)


def gate_slider(
    model: PRN, rainy: Tensor, clean: Tensor, zoom: int = 1, start: int = 1
) -> Any:
    """Return a slider over the stages: the picture, and how the rain changes each gate.

    ``zoom`` draws each pixel ``zoom`` × ``zoom``, for small pictures.
    """
    views = gate_views(model, rainy, clean)
    frames = [draw_gates(views, view.stage, zoom) for view in views]

    def describe(stage: int) -> str:
        mean = {k: float(change.mean()) for k, change in views[stage - 1].changes.items()}
        words = ", ".join(f"{name} by {value:.2g}" for name, value in mean.items())
        return f"Stage {stage}: on average over all pixels the rain changes the {words}"

    return slider_over(
        lambda stage: frames[stage - 1], "stage", 1, len(views), start, describe
    )
