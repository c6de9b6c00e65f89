"""One stage of a progressive network as an ONNX file: the loop stays outside.

:func:`derain_edu.export_onnx` writes a network with all its stages unrolled: a picture in, a
picture out, and how many stages there are is fixed. :func:`export_stage` writes one stage::

    rainy, x, h, c  ->  x, h, c

Whoever runs the file repeats it as often as they like, and sees the picture after each stage.
They start with ``x = rainy`` and ``h = c = 0``, and give what comes out back in. A network without
memory has no h and c, one with a GRU no c. The page *Try it* of the book does this in a browser.

Height and width are free; the batch is one picture. Weights are stored once in either file,
so both have the same size on the disk; the graph of a stage has a sixth of the nodes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.errors import DerainError
from derain_edu.inference.onnx_export import (
    TOLERANCE,
    add_metadata,
    check_export,
    copy_for_export,
    describe,
    save_onnx,
    sizes,
    translate,
)
from derain_edu.inference.onnx_forms import stage_form
from derain_edu.inference.onnx_network import first_line, open_session
from derain_edu.models import model_name
from derain_edu.models.prn import PRN

MEMORY = {"none": (), "gru": ("h",), "lstm": ("h", "c")}  # what goes from stage to stage, beside x
EXAMPLE = (21, 19)  # height and width
CHECKED = ((16, 31), (40, 9), (1, 1))  # sizes that the export has not seen
STAGES = 3  # that are compared at each of these sizes: the third sees a memory of two


def export_stage(model: nn.Module, path: str | Path) -> Path:
    """Write one stage of a progressive network as an ONNX file with free height and width.

    Parameters
    ----------
    model : nn.Module
        PRN, PReNet or another member of their family. It is not changed.
    path : str or Path
        A name that ends in ``.onnx``. Missing folders are made.

    Returns
    -------
    Path
        The file. Repeated, it gives the pictures of ``model.unroll`` to 1e-5.

    Raises
    ------
    DerainError
        If the network has no stages that are all the same, if the graph's output differs, or if a
        package is missing. No file is left behind, and one that was there before stays.
    """
    path = check_export(path)
    if not isinstance(model, PRN):
        raise DerainError(
            f"{model_name(model)} does not repeat one stage: export it whole, without --stage"
        )
    copied = copy_for_export(model)
    memory = MEMORY[model.config.recurrent]
    proto = _translate_stage(copied, memory)
    difference = _largest_difference(copied, proto.SerializeToString(), memory, path)
    metadata = describe(model, proto, difference) | {
        # The reach of one stage: PRN.halo is that of all of them.
        "halo": json.dumps(model.halo // model.config.stages),
        "stage": json.dumps({"published": model.config.stages, "start": "x = rainy, memory = 0"}),
        "checked": json.dumps({"sizes": CHECKED, "largest_difference": difference}),
    }
    add_metadata(proto, metadata)
    return save_onnx(proto, path)


def run_stages(session: Any, rainy: Tensor, stages: int, channels: int) -> list[Tensor]:
    """Repeat the file of one stage, and return the picture after every stage.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Of a file of :func:`export_stage`.
    rainy : Tensor
        (1, 3, H, W) in [0, 1].
    stages : int
        How often.
    channels : int
        Of the memory: ``model.config.channels``.
    """
    memory = [value.name for value in session.get_inputs()][2:]
    empty = torch.zeros(1, channels, *rainy.shape[-2:]).numpy()
    feeds = {"rainy": rainy.numpy(), "x": rainy.numpy()} | dict.fromkeys(memory, empty)
    pictures = []
    for _ in range(stages):
        x, *state = session.run(None, feeds)
        feeds |= {"x": x} | dict(zip(memory, state, strict=True))
        pictures.append(torch.from_numpy(x))
    return pictures


def _translate_stage(model: PRN, memory: tuple[str, ...]) -> Any:
    """Return one stage as an ``onnx.ModelProto`` whose height and width are free."""
    height, width = EXAMPLE
    generator = torch.Generator().manual_seed(0)
    channels = (3, 3, *(model.config.channels for _ in memory))
    example = tuple(torch.rand(1, c, height, width, generator=generator) for c in channels)
    free = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    shapes = (free, free, tuple(free for _ in memory)) if memory else (free, free)
    names = ["rainy", "x", *memory], [f"next_{name}" for name in ("x", *memory)]
    proto = translate(lambda: (stage_form(model), {}), example, shapes, *names, model_name(model))
    for value in (*proto.graph.input, *proto.graph.output):
        if [isinstance(size, str) for size in sizes(value)] != [False, False, True, True]:
            raise DerainError(f"{value.name!r} has the sizes {sizes(value)}: one of them froze")
    return proto


def _largest_difference(
    model: PRN, content: bytes, memory: tuple[str, ...], path: Path
) -> float:
    """Compare the repeated graph with ``unroll``; raise a DerainError if it is not the same."""
    session = open_session(content, path)
    generator, worst = torch.Generator().manual_seed(1), 0.0
    for size in CHECKED:
        rainy = torch.rand(1, 3, *size, generator=generator)
        with torch.inference_mode():
            expected = model.unroll(rainy, STAGES)
        try:
            found = run_stages(session, rainy, STAGES, model.config.channels)
        except Exception as error:
            raise DerainError(f"the stage fails on {size} ({first_line(error)})") from error
        for one, other in zip(found, expected, strict=True):
            worst = max(worst, float((one - other).abs().max()))
    if not worst <= TOLERANCE:  # also if it is not a number
        raise DerainError(f"the exported stage differs from the model by {worst:.1e}")
    return worst
