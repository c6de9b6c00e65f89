"""A network in an ONNX file, run by ONNX Runtime as if it were one of the course's own.

:func:`load_onnx` returns a module with the same contract as every model: (B, 3, H, W) in,
(B, 3, H, W) out, and a ``halo`` that tells :mod:`derain_edu.inference.restoration` how to cut large
pictures. Nothing of the network's Python code is needed: weights and operations are in the file,
and what a graph can't say stands in its metadata, a table of strings:

================  =================================================================
key               value
================  =================================================================
derain_edu        version of this package that wrote the file
model, options    what :func:`derain_edu.create_model` was given; options as JSON
halo              reach of the network in pixels as JSON; ``null``: the whole picture
inputs, outputs   names and shapes as JSON; letters are free sizes
preprocessing     the contract of the numbers, one sentence in JSON per rule
precision         ``float32``, or ``int8`` and how it was made
checked           sizes and largest difference of the comparison with the network, as JSON;
                  in an int8 file the comparison with the float file
opset, producer   version of the operators, and who translated the network
================  =================================================================
"""

from __future__ import annotations

import importlib
import json
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.devices import ran_out_of_memory
from derain_edu.errors import DerainError

# What ONNX Runtime says of a file whose format or operators are newer than it is.
_TOO_NEW = re.compile(r"unsupported model IR version|opset \d+ is under development", re.IGNORECASE)
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True)
class OnnxInfo:
    """What a file says about itself, see the module's table.

    Attributes
    ----------
    model : str
        The name that :func:`derain_edu.create_model` was given.
    options : dict[str, Any]
        The options that it was given.
    halo : int | None
        Reach of the network in pixels; None: the whole picture.
    precision : str
        ``"float32"``, or ``"int8"`` and how it was made.
    opset : int
        Version of the ONNX operators.
    metadata : dict[str, str]
        All of it, as it stands in the file.
    """

    model: str
    options: dict[str, Any]
    halo: int | None
    precision: str
    opset: int
    metadata: dict[str, str]


class OnnxModel(nn.Module):
    """A network in a file: (B, 3, H, W) in, (B, 3, H, W) out, float32, any B, H, W ≥ 1.

    Made by :func:`load_onnx`. It has no parameters to train, and no gradient passes it.
    """

    def __init__(self, path: Path, content: bytes, device: str = "cpu") -> None:
        super().__init__()
        self.path = path
        self._content = content
        self._threads = 0
        self.device = torch.device("cpu")
        self._session = None
        self.to(device)
        self.info = _read_info(path, self.session)
        self.eval()

    @property
    def halo(self) -> int | None:
        """How many pixels away an input pixel can change an output pixel; None: everywhere."""
        return self.info.halo

    @property
    def session(self) -> Any:
        """The session of ONNX Runtime; a new one if PyTorch's number of threads has changed."""
        if self._session is None or self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._session = open_session(self._content, self.path, self.device.type)
        return self._session

    def to(
        self,
        device: str | torch.device | torch.dtype | Tensor | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
        **layout: Any,
    ) -> OnnxModel:
        """Choose where ONNX Runtime computes: on the CPU or, with its CUDA provider, on a GPU.

        It takes what ``nn.Module.to`` takes. A ``memory_format`` changes nothing: how numbers lie
        in memory is ONNX Runtime's own affair.

        Raises
        ------
        DerainError
            For another device, for a GPU that ONNX Runtime can't use here, and for another type
            than float32: the type of the numbers stands in the file.
        """
        if isinstance(device, Tensor):
            device, dtype = device.device, device.dtype
        elif isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype not in (None, torch.float32):
            raise DerainError(
                f"{self.path} takes and returns float32, not {dtype}: a smaller network is made by "
                "derain_edu.quantize_onnx"
            )
        place = self.device if device is None else torch.device(device)
        if place.type not in ("cpu", "cuda"):
            raise DerainError(f"{self.path} runs on cpu or cuda, not on {place}")
        if place.type == "cuda" and not has_cuda():
            raise DerainError(
                f"{self.path} can't run on a GPU: this onnxruntime has no CUDA provider, so "
                "choose the device cpu or install onnxruntime-gpu"
            )
        if place != self.device:
            self.device, self._session = place, None
        return self

    # nn.Module has ways of its own for these, which would find no parameters to move.
    def cuda(self, device: int | torch.device | None = None) -> OnnxModel:
        """Compute on a GPU, see :meth:`to`."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else device or "cuda")

    def cpu(self) -> OnnxModel:
        """Compute on the CPU, see :meth:`to`."""
        return self.to("cpu")

    def half(self) -> OnnxModel:
        """Raise: see :meth:`to`."""
        return self.to(torch.float16)

    def bfloat16(self) -> OnnxModel:
        """Raise: see :meth:`to`."""
        return self.to(torch.bfloat16)

    def double(self) -> OnnxModel:
        """Raise: see :meth:`to`."""
        return self.to(torch.float64)

    def forward(self, rainy: Tensor) -> Tensor:
        """Run the graph; the result comes back on the device of ``rainy``."""
        import numpy as np

        array = np.ascontiguousarray(rainy.detach().to("cpu", torch.float32).numpy())
        try:
            derained, *_ = self.session.run(None, {self.session.get_inputs()[0].name: array})
        except Exception as error:
            if ran_out_of_memory(error):
                raise MemoryError(f"{self.path}: {error}") from error
            raise DerainError(
                f"{self.path} can't compute {tuple(rainy.shape)} ({first_line(error)}): give "
                "(B, 3, H, W)"
            ) from error
        return torch.from_numpy(derained).to(rainy.device)

    def extra_repr(self) -> str:
        return f"{self.path}, {self.info.model}, {self.info.precision}, halo={self.halo}"


def load_onnx(path: str | Path, device: str = "cpu") -> OnnxModel:
    """Open a network that :func:`derain_edu.export_onnx` or :func:`derain_edu.quantize_onnx` wrote.

    Parameters
    ----------
    path : str or Path
        The ``.onnx`` file.
    device : str
        ``"cpu"``, or ``"cuda"`` where onnxruntime-gpu is installed.

    Returns
    -------
    OnnxModel
        It works as many threads as ``torch.get_num_threads()`` says, also if that changes.

    Raises
    ------
    DerainError
        If there is no such file, if it is damaged, or if this package did not write it.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise DerainError(f"{path} does not exist: check the name, or export the model first")
    return OnnxModel(path, path.read_bytes(), device)


def has_cuda() -> bool:
    """Return whether this installation of ONNX Runtime can use a GPU of NVIDIA."""
    return CUDA in needed("onnxruntime").get_available_providers()


def needed(package: str) -> Any:
    """Import a package that only ONNX files need.

    Raises
    ------
    DerainError
        If it is not installed, or installed and broken.
    """
    if find_spec(package) is None:
        raise DerainError(f"ONNX files need {package}, which is missing: pip install {package}")
    try:
        return importlib.import_module(package)
    except Exception as error:  # a library that is missing, versions that don't fit together
        raise DerainError(
            f"{package} is installed but can't be loaded ({first_line(error)}): "
            f"pip install --force-reinstall {package}"
        ) from error


def open_session(content: bytes, path: Path, device: str = "cpu") -> Any:
    """Return a session of ONNX Runtime with as many threads as PyTorch uses.

    Raises
    ------
    DerainError
        If the content is no ONNX graph that ONNX Runtime can run.
    """
    onnxruntime = needed("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_mem_pattern = False  # a third less memory for a large picture, the same time
    options.log_severity_level = 3  # errors only, and those raise
    providers = [CUDA, CPU] if device == "cuda" else [CPU]
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime has a class of its own for each cause
        advice = "export or copy it again"
        if _TOO_NEW.search(str(error)):
            advice = "update onnxruntime (pip install --upgrade onnxruntime)"
        raise DerainError(
            f"{path} can't be opened by ONNX Runtime ({first_line(error)}): {advice}"
        ) from error


def _read_info(path: Path, session: Any) -> OnnxInfo:
    """Read and check what the file says about itself."""
    found = dict(session.get_modelmeta().custom_metadata_map)
    if "derain_edu" not in found:
        raise DerainError(
            f"{path} was not written by derain_edu, so its colours, range and reach are unknown: "
            "export a model with derain_edu.export_onnx or `derain-edu export`"
        )
    values = (*session.get_inputs(), *session.get_outputs())
    shapes = [[*value.shape] for value in values if value.name != "maps"]
    if [len(shape) for shape in shapes] != [4, 4] or any(shape[1] != 3 for shape in shapes):
        raise DerainError(
            f"{path} has inputs and outputs {shapes}, not one (B, 3, H, W) each: export it again"
        )
    try:
        options, halo = json.loads(found["options"]), json.loads(found["halo"])
        if not isinstance(options, dict):
            raise ValueError(f"options {options}")
        if halo is not None and (type(halo) is not int or halo < 0):
            raise ValueError(f"halo {halo}")
        return OnnxInfo(
            model=found["model"],
            options=options,
            halo=halo,
            precision=found["precision"],
            opset=int(found["opset"]),
            metadata=found,
        )
    except (KeyError, ValueError) as error:
        raise DerainError(f"{path} has damaged metadata ({error}): export it again") from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, for a sentence of our own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200].rstrip(":. ")
