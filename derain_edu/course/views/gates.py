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

from derain_edu.course.views.plots import colour_bar, coloured, strip_png
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
