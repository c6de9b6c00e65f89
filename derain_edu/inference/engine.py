"""Which program computes a network: PyTorch, or ONNX Runtime where that is faster.

On a CPU ONNX Runtime gives the same pictures as PyTorch (to 1e-5) in less time, and an int8
network takes less again; ``derain-edu bench onnx`` measures both. The course's default network
comes with its ONNX files. For any other the file is made once, when somebody asks for it, and kept
in the cache.

A file's name holds a fingerprint of the network, so a file that belongs to other weights or other
options is never found.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from derain_edu.datasets.download import cache_folder
from derain_edu.errors import DerainError
from derain_edu.files import changing
from derain_edu.inference.onnx_export import check_export, export_onnx
from derain_edu.inference.onnx_int8 import quantize_onnx
from derain_edu.inference.onnx_network import OnnxModel, load_onnx
from derain_edu.models import create_model, model_name, model_options
from derain_edu.models.pretrained import open_weights_folder

ENGINES = ("auto", "torch", "onnx")
MOST_SECONDS = 1800.0  # that a second program waits for a file: a slow machine may need minutes


def choose_engine(
    network: nn.Module,
    device: torch.device,
    engine: str = "auto",
    fast: bool = False,
    say: Callable[[str], None] = print,
) -> nn.Module:
    """Return the network as the program that shall compute it takes it.

    Parameters
    ----------
    network : nn.Module
        One of the course's networks, with its weights, or an :class:`OnnxModel`.
    device : torch.device
        Where it will work.
    engine : str
        ``"torch"``: the network as it is. ``"onnx"``: ONNX Runtime; the file is made if there is
        none (some 20 s, once). ``"auto"``: ONNX Runtime on a CPU where the course brings the
        file, else PyTorch.
    fast : bool
        The int8 network: faster again, and a little less exact. Needs ONNX Runtime; its file is
        made if there is none (about two minutes, once).
    say : callable
        Gets a sentence before a file is made.

    Raises
    ------
    DerainError
        If the choices contradict each other, or a package is missing.
    """
    if engine not in ENGINES:
        raise DerainError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if engine == "torch" and fast:
        raise DerainError("fast takes the int8 network of ONNX Runtime: drop engine torch")
    if isinstance(network, OnnxModel):
        if engine == "torch" or (fast and network.info.precision == "float32"):
            raise DerainError(
                f"{network.path} is an ONNX file and is computed as it is: "
                "drop engine torch and fast, or name the model"
            )
        return network
    if engine == "torch" or (engine == "auto" and not fast and device.type != "cpu"):
        return network
    shipped = open_weights_folder() / onnx_file_name(network, fast)
    if engine == "auto" and not fast:
        return _open_quietly(shipped) or network
    return load_onnx(shipped if shipped.is_file() else _cached(network, fast, say))


def onnx_file_name(network: nn.Module, int8: bool = False) -> str:
    """Return the name of a network's ONNX file: the model, its fingerprint, and the precision.

    The fingerprint is over the options and over every weight.
    """
    digest = hashlib.sha256(json.dumps(model_options(network), sort_keys=True).encode())
    for name, weight in network.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return f"{model_name(network)}-{digest.hexdigest()[:12]}{'-int8' * int8}.onnx"


def write_shipped() -> list[Path]:
    """Write the ONNX files that come with the course; for whoever trained its default weights anew.

    Files of earlier weights are deleted.
    """
    folder, network = open_weights_folder(), create_model("prenet", "open")
    exported, quantized = (folder / onnx_file_name(network, int8) for int8 in (False, True))
    for old in folder.glob("*.onnx"):
        if old not in (exported, quantized):
            old.unlink()
    return [export_onnx(network, exported), quantize_onnx(exported, quantized)]


def _open_quietly(path: Path) -> OnnxModel | None:
    """Return the network of a file that comes with the course; None where it can't be run here."""
    if not path.is_file() or find_spec("onnxruntime") is None:
        return None
    try:
        return load_onnx(path)
    except DerainError as error:  # somebody should know what is damaged or broken
        warnings.warn(f"{error}; PyTorch computes", stacklevel=3)
        return None


def _cached(network: nn.Module, int8: bool, say: Callable[[str], None]) -> Path:
    """Return the network's file in the cache, which is made first if it is not there."""
    path = cache_folder() / "onnx" / onnx_file_name(network, int8)
    if path.is_file():  # also in a cache that can only be read
        return path
    check_export(path)
    time = "about two minutes" if int8 else "about 20 s"
    say(
        f"there is no {'int8' if int8 else 'ONNX'} file of this network yet: it is made now, which "
        f"takes {time} once, and kept in {path.parent}"
    )
    with changing(path, MOST_SECONDS):  # a second program waits for the first
        if path.is_file():
            return path
        if not int8:
            return export_onnx(network, path)
        with tempfile.TemporaryDirectory() as folder:
            return quantize_onnx(export_onnx(network, Path(folder) / "float.onnx"), path)
