"""What leaving Python is worth: PReNet in PyTorch and in ONNX Runtime, as float and as int8.

Speed and quality stand in one table but come from two networks. The paper's PReNet has T = 6
stages, so six are timed. The weights that come with the course were trained with fewer, and are
judged with their own number: in the table their PSNR, and what each way loses of it against
PyTorch. The pictures are validation photos in synthetic rain. The network has not seen them, the
calibration of int8 has not, and no test is made with them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from derain_edu.datasets.held_out import validation_pairs
from derain_edu.datasets.photos import photo_names
from derain_edu.evaluation.plain_prenet import as_plain_prenet
from derain_edu.evaluation.timing import interleave, machine_line, speedup
from derain_edu.inference.onnx_export import export_onnx
from derain_edu.inference.onnx_int8 import CROPS, calibration_pictures, quantize_onnx
from derain_edu.inference.onnx_network import load_onnx
from derain_edu.metrics import psnr
from derain_edu.models import create_model
from derain_edu.text import table

WAYS = (
    "plain",
    "this project",
    "this project, channels-last",
    "ONNX Runtime, float32",
    "ONNX Runtime, int8",
)


def ways_to_run(
    folder: Path, crops: int, **options: Any
) -> tuple[dict[str, Callable[[Tensor], Tensor]], dict[str, int]]:
    """Return the ways by name, each a function of a picture, and the bytes of those in a file."""
    model = create_model("prenet", "open", **options)
    files = [folder / "float.onnx", folder / "int8.onnx"]
    export_onnx(model, files[0])
    quantize_onnx(files[0], files[1], calibration_pictures(crops))
    last = create_model("prenet", "open", **options).to(memory_format=torch.channels_last)
    ways = {
        "plain": as_plain_prenet(model).eval(),
        "this project": model,
        "this project, channels-last": lambda x: last(
            x.contiguous(memory_format=torch.channels_last)
        ),
        "ONNX Runtime, float32": load_onnx(files[0]),
        "ONNX Runtime, int8": load_onnx(files[1]),
    }
    return ways, dict(zip(WAYS[3:], (file.stat().st_size for file in files), strict=True))


def bench_onnx(
    rounds: int = 3,
    size: int = 512,
    long_side: int = 256,
    crops: int = CROPS,
    stages: int = 6,
) -> str:
    """Compare five ways to run PReNet: time, size of the file, PSNR and what it loses.

    Parameters
    ----------
    rounds, size : int
        How often each way is timed, on one picture of size × size.
    long_side : int
        Pixels on the longer side of the validation photos for the PSNR.
    crops : int
        How many pictures calibrate int8.
    stages : int
        T of the timed network.
    """
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        own, _ = ways_to_run(Path(folder), crops)
        scores = {name: _mean_psnr(way, validation_pairs(long_side)) for name, way in own.items()}
        ways, sizes = ways_to_run(Path(folder), crops, stages=stages)
        rainy = torch.rand(1, 3, size, size)
        seconds = interleave({name: _call(way, rainy) for name, way in ways.items()}, rounds)
    rows = []
    for name, runs in seconds.items():
        megabytes = f"{sizes[name] / 1e6:.2f}" if name in sizes else ""
        cells = f"{median(runs):.3f}", f"{speedup(seconds['plain'], runs):.2f}×", megabytes
        loss = round(scores["this project"] - scores[name], 3) + 0.0  # and no "-0.000"
        rows.append([name, *cells, f"{scores[name]:.2f}", f"{loss:.3f}"])
    trained = own["this project"].config.stages
    title = (
        f"PReNet, T = {stages}, on one picture of {size}×{size}; PSNR on Y: the open "
        f"weights with their own T = {trained}, {len(photo_names('validation'))} validation photos"
    )
    header = ["way", "s", "speed", "MB", "PSNR", "loss in dB"]
    return "\n".join([title, machine_line(), table(header, rows)])


def _call(way: Callable[[Tensor], Tensor], rainy: Tensor) -> Callable[[], Tensor]:
    return lambda: way(rainy)


def _mean_psnr(way: Callable[[Tensor], Tensor], pairs: list[tuple[Tensor, Tensor]]) -> float:
    return sum(psnr(way(rainy).clamp(0, 1), clean) for rainy, clean in pairs) / len(pairs)
