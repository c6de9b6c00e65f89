"""Write a network as an ONNX file, and believe it only after checking.

ONNX is a graph of standard operations with the weights inside: a program in any language can run
it. PyTorch makes the graph by watching one forward pass on one example, and that is where an
export goes wrong in silence. A Python ``for`` over the columns is watched column by column, so the
graph holds for exactly the example's width, and nothing complains; with ``Dim.AUTO`` even the
graph's input still looks free. So :func:`export_onnx`

1. asks for a graph with free batch, height and width, and reads in the graph that they are free;
2. runs it in ONNX Runtime on pictures of other sizes, and compares with the network;
3. writes the file only then, first under a temporary name.

PReNet's stages are unrolled (six copies of the operations), but their weights are stored once.
SPANet's sweeps become ``Scan``, ONNX's loop. :mod:`derain_edu.inference.onnx_forms` says which
operations are chosen, and why. :mod:`derain_edu.inference.onnx_stage` writes a single stage.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu import __version__
from derain_edu.errors import DerainError
from derain_edu.files import check_writable, write_atomically
from derain_edu.inference.onnx_forms import maps_form, runtime_form
from derain_edu.inference.onnx_network import first_line, needed, open_session
from derain_edu.models import model_name, model_options

OPSET = 18  # version of the operators: what PyTorch's exporter writes without a conversion
DIMS = ("batch", 3, "height", "width")
EXAMPLE = (2, 3, 21, 19)  # 0 and 1 would be taken for constants, equal sizes for one size
CHECKED = ((1, 3, 16, 31), (3, 3, 40, 9), (2, 3, 25, 24))  # sizes that the export has not seen
TOLERANCE = 1e-5  # largest difference to the network, for pictures in [0, 1]
PREPROCESSING = {
    "colours": "RGB",
    "type": "float32",
    "range": "0 to 1",
    "layout": "NCHW: batch, colour, row, column",
    "output": "not clamped: clamp to 0 to 1 before saving",
}


def export_onnx(model: nn.Module, path: str | Path, maps: bool = False) -> Path:
    """Write a network as an ONNX file with free batch, height and width.

    Parameters
    ----------
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out: every model of :func:`derain_edu.list_models`, and
        your own if PyTorch can export it. It is not changed, on whatever device it is.
    path : str or Path
        A name that ends in ``.onnx``. Missing folders are made.
    maps : bool
        Give the graph a second output ``maps``, (B, stages, H, W): where SPANet looks, as its
        ``attend`` returns it.

    Returns
    -------
    Path
        The file. It gives the network's output to 1e-5 on sizes that the export has not seen.

    Raises
    ------
    DerainError
        If the network has no maps to give, if it can't be exported, if a size froze, or if the
        graph's output differs. No file is left behind, and one that was there before stays. Also
        if a package is missing.
    """
    path = check_export(path)
    if maps and not hasattr(model, "attend"):
        raise DerainError(f"{model_name(model)} has no attention maps: export it without maps")
    copied = copy_for_export(model)
    proto = _translate(copied, model_name(model), maps)
    check_free_sizes(proto)
    difference = check_outputs(copied, proto.SerializeToString(), path)
    add_metadata(proto, describe(model, proto, difference))
    return save_onnx(proto, path)


def check_export(path: str | Path) -> Path:
    """Raise a DerainError now, if a package is missing or this can't be the file."""
    path = check_onnx_path(path)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package)
    return path


def check_onnx_path(path: str | Path) -> Path:
    """Raise a DerainError now rather than after a minute of work, if this can't be the file."""
    path = Path(path)
    if path.suffix.lower() != ".onnx" or os.path.isdir(path):
        raise DerainError(f"{path} is not an ONNX file name: choose one that ends in .onnx")
    check_writable(path)
    return path


def copy_for_export(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, float32, on the CPU, in the default memory layout."""
    try:
        copied = copy.deepcopy(model)
    except Exception as error:
        raise DerainError(f"{model_name(model)} can't be copied ({first_line(error)})") from error
    copied = copied.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)
    return copied.requires_grad_(False).eval()


# -- the graph ------------------------------------------------------------------------------------


def _translate(model: nn.Module, name: str, maps: bool = False) -> Any:
    """Return a network as an ``onnx.ModelProto``."""
    example = torch.rand(EXAMPLE, generator=torch.Generator().manual_seed(0))
    # As plain names, or as Dim.AUTO, other things happen to a frozen size: see check_free_sizes.
    free = {axis: torch.export.Dim(d) for axis, d in enumerate(DIMS) if isinstance(d, str)}
    make_form, outputs = runtime_form, ["derained"]
    if maps:
        make_form, outputs = maps_form, [*outputs, "maps"]
    return translate(lambda: make_form(model), (example,), (free,), ["rainy"], outputs, name)


def translate(
    make_form: Callable[[], tuple[nn.Module, dict[Any, Any]]],
    example: tuple[Tensor, ...],
    shapes: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    name: str,
) -> Any:
    """Return a graph as an ``onnx.ModelProto``, without notes about this machine.

    Parameters
    ----------
    make_form : callable
        Returns the module to export and its translations, see
        :mod:`derain_edu.inference.onnx_forms`.
    example : tuple of Tensor
        What the module is watched with.
    shapes : tuple
        Which of their sizes are free, as ``torch.onnx.export`` takes it.
    inputs, outputs : list of str
        Their names in the graph.
    name : str
        The model's, for messages.

    Raises
    ------
    DerainError
        If the network can't be exported.
    """
    try:
        with silence(), torch.no_grad():
            form, translations = make_form()
            program = torch.onnx.export(
                form, example, dynamo=True, dynamic_shapes=shapes, opset_version=OPSET,
                input_names=inputs, output_names=outputs, verbose=False,
                custom_translation_table=translations,
            )  # fmt: skip
            proto = program.model_proto
    except Exception as error:  # whatever the network's own code or the exporter raises
        raise DerainError(
            f"{name} can't be exported to ONNX ({_root_cause(error)}): write its forward pass "
            "with tensor operations only, and no Python if or for that looks into a tensor"
        ) from error
    for opset in [o for o in proto.opset_import if o.domain and not proto.functions]:
        proto.opset_import.remove(opset)  # of functions that were inlined
    remove_notes(proto)
    return proto


def remove_notes(proto: Any) -> None:
    """Remove what a tool noted for each node: names of files on this machine, mostly."""
    for item in (*_all_nodes(proto.graph), *proto.graph.value_info, proto.graph):
        item.doc_string = ""
        del item.metadata_props[:]


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _all_nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph, and those inside its loops."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


@contextmanager
def silence() -> Iterator[None]:
    """Keep the progress, warnings and log lines of a chatty tool off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            with redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
    finally:
        logging.disable(before)


def sizes(value: Any) -> list[str | int]:
    """Return the sizes of an input or output of a graph: a letter where it is free."""
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def check_free_sizes(proto: Any) -> None:
    """Read in the graph itself that batch, height and width are free.

    Raises
    ------
    DerainError
        If one of them froze at the size of the example.
    """
    values = (*proto.graph.input, *proto.graph.output)
    pictures = [value for value in values if value.name != "maps"]
    if len(pictures) != 2 or any(len(sizes(value)) != 4 for value in values):
        shapes = {value.name: sizes(value) for value in values}
        raise DerainError(f"the graph has {shapes}: a model takes one picture and gives one back")
    for value in values:
        for name, size in zip(DIMS, sizes(value), strict=True):
            if isinstance(name, str) and not isinstance(size, str):
                raise DerainError(
                    f"the {name} of {value.name!r} froze at {size} during the export, so the file "
                    "would hold for this size only: replace Python loops and if over the "
                    f"{name} by tensor operations, or by torch's scan"
                )


def check_outputs(model: nn.Module, content: bytes, path: Path) -> float:
    """Compare the graph with the network on sizes that the export has not seen.

    Returns
    -------
    float
        The largest difference of an output value, for pictures in [0, 1].

    Raises
    ------
    DerainError
        If it is above 1e-5, or if ONNX Runtime can't run the graph.
    """
    session = open_session(content, path)
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    for size in CHECKED:
        rainy = torch.rand(size, generator=generator)
        difference = _difference(model, session, rainy)
        if not difference <= TOLERANCE:  # also if it is not a number
            raise DerainError(
                f"the exported graph differs from the model by {difference:.1e} on {size}, more "
                f"than {TOLERANCE:.0e}: the forward pass depends on something that an export "
                "can't see, such as the values of a tensor in a Python if"
            )
        worst = max(worst, difference)
    return worst


def _difference(model: nn.Module, session: Any, rainy: Tensor) -> float:
    size = tuple(rainy.shape)
    names = [value.name for value in session.get_outputs()]
    try:
        with torch.inference_mode():
            expected, *maps = model.attend(rainy) if "maps" in names else [model(rainy)]
    except Exception as error:
        raise DerainError(
            f"{model_name(model)} itself fails on {size} ({first_line(error)}): a model must take "
            "any batch, height and width"
        ) from error
    if expected.shape != rainy.shape:
        raise DerainError(
            f"{model_name(model)} turned {size} into {tuple(expected.shape)}: a model must keep "
            "the picture's shape"
        )
    try:
        found = session.run(None, {session.get_inputs()[0].name: rainy.numpy()})
    except Exception as error:
        raise DerainError(
            f"the exported graph fails on {size} ({first_line(error)}): the forward pass depends "
            "on the size in a way that an export can't see"
        ) from error
    pairs = [*zip(map(torch.from_numpy, found), [expected, *maps], strict=True)]
    if any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    return float(torch.stack([(one - other).abs().max() for one, other in pairs]).max())


# -- the file -------------------------------------------------------------------------------------


def describe(model: nn.Module, proto: Any, difference: float) -> dict[str, str]:
    """Return the metadata of a file, see :mod:`derain_edu.inference.onnx_network`."""
    shapes = [
        json.dumps({value.name: sizes(value) for value in values})
        for values in (proto.graph.input, proto.graph.output)
    ]
    options = model_options(model) if hasattr(model, "config") else {}
    return {
        "derain_edu": __version__,
        "model": model_name(model),
        "options": json.dumps(options),
        "halo": json.dumps(getattr(model, "halo", None)),
        "inputs": shapes[0],
        "outputs": shapes[1],
        "preprocessing": json.dumps(PREPROCESSING),
        "precision": "float32",
        "checked": json.dumps({"sizes": CHECKED, "largest_difference": difference}),
        "opset": str(proto.opset_import[0].version),
        "producer": f"{proto.producer_name} {proto.producer_version}",
    }


def add_metadata(proto: Any, metadata: dict[str, str]) -> None:
    """Write metadata into a model; what is there under the same keys is replaced."""
    kept = {item.key: item.value for item in proto.metadata_props} | metadata
    del proto.metadata_props[:]
    for key, value in kept.items():
        proto.metadata_props.add(key=key, value=value)


def save_onnx(proto: Any, path: Path) -> Path:
    """Write the file so that it is never seen half-written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, proto.SerializeToString())
    except OSError as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error
    return path
