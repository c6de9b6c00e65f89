"""Turn an exported network into one that computes its convolutions with 8-bit whole numbers.

A number x becomes a byte q: ``x ≈ scale · (q − zero)``. Weights get a scale per output channel.
Features get one per layer, from the smallest and largest value on some rainy pictures: the
*calibration*. The processor then multiplies bytes, four in the time of one float, and moves a
quarter of the memory. The tool is ONNX Runtime's own, ``quantize_static``. What this module adds
is the choice of what to leave alone:

*What touches a picture stays float.* A derained picture is the rainy one plus small corrections,
so the convolutions at both ends (3 or 6 channels in, or 3 out), and the sums of pictures between
them, would spend their 256 steps on the wrong range. They are 2 % of PReNet's work.

*The gates of the last stage compute in float.* They read features and memory joined, which share
one scale though the memory is much smaller. A stage corrects the one before it, rounding included;
nobody comes after the last. (Its weights are those of the other stages: the rounded ones.)

*Weights have seven bits.* A processor without VNNI multiplies bytes in pairs and adds each pair up
in 16 bits, which two products of 255 · 127 do not fit into: the sum is cut off, silently, and the
picture is spoiled (the authors' PReNet in heavy rain: 4.6 dB less on average, 10.9 dB at worst,
ten pictures). With weights up to 64 nothing is cut off, and all processors agree: .16 dB less.
(Weights without a sign take more work per product: .13 dB less, and 1.7 times as long.)

*Sums and products stay float.* What a residual block or a memory cell adds up over and over, adds
up the rounding as well.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.files import is_one_of
from derain_edu.images import check_batch
from derain_edu.inference.onnx_export import (
    add_metadata,
    check_free_sizes,
    check_onnx_path,
    remove_notes,
    save_onnx,
    silence,
)
from derain_edu.inference.onnx_network import OnnxModel, first_line, load_onnx, needed
from derain_edu.rain.config import RainConfig
from derain_edu.rain.presets import PRESETS

OPERATIONS = ["Conv", "Relu"]  # the rest stays float
CROPS, CROP_SIZE = 32, 128  # calibration pictures: how many, and pixels on a side
FAITHFUL = 20.0  # dB: below that, a result is another picture and not a rounded one
# (rain, weight): the mix for which the choices above were made, on training pairs and validation
# photos. It stays as it was when the rain that networks are trained on changes.
CALIBRATION_RAIN = (
    (PRESETS["light"], 0.25),
    (
        RainConfig(
            density=(0.3, 8.0),
            layers=(1, 2),
            length=(8, 70),
            width=(0.8, 3.5),
            angle=(-45, 45),
            angle_spread=4,
            brightness=(0.05, 0.5),
            variation=0.6,
            tint=(-0.03, 0.06),
            blending="either",
        ),
        0.5,
    ),
    (
        RainConfig(
            density=(5, 25),
            layers=(2, 5),
            length=(15, 70),
            width=(0.9, 3.0),
            angle=(-35, 35),
            angle_spread=5,
            brightness=(0.07, 0.3),
            variation=0.6,
            tint=(-0.02, 0.04),
            blending="either",
        ),
        0.25,
    ),
)


def quantize_onnx(
    source: str | Path, path: str | Path, pictures: Sequence[Tensor] | None = None
) -> Path:
    """Write an int8 version of an exported network.

    Parameters
    ----------
    source : str or Path
        A file of :func:`derain_edu.export_onnx`.
    path : str or Path
        The new file, a name that ends in ``.onnx``.
    pictures : sequence of Tensor, optional
        Rainy pictures (3, H, W) in [0, 1] to measure the ranges of the layers on: like those
        that the network is for, and none that its quality is measured on. Default: crops of the
        course's training photos in the training rain.

    Returns
    -------
    Path
        The file; :func:`derain_edu.load_onnx` and everything that takes the source take it too.

    Raises
    ------
    DerainError
        If the source is not a float file of this package or would be overwritten, if there are
        no pictures, if the network can't be quantized, or if its output then differs too much.
        No file is left behind.
    """
    path = check_onnx_path(path)
    if is_one_of(path, [Path(source)]):
        raise DerainError(f"{path} would overwrite the float file: choose another name")
    network = load_onnx(source)
    if network.info.precision != "float32":
        raise DerainError(f"{source} is {network.info.precision} already: give the float file")
    pictures = calibration_pictures() if pictures is None else list(pictures)
    if not pictures:
        raise DerainError("there are no pictures to calibrate with: give at least one")
    batches = [check_batch(picture[None], "pictures") for picture in pictures]
    proto = _quantize(network, batches)
    check_free_sizes(proto)
    note = f"int8 convolutions, calibrated on {len(batches)} pictures"
    add_metadata(proto, network.info.metadata | {"precision": note})
    int8 = OnnxModel(path, proto.SerializeToString())
    difference, fidelity = _compare(network, int8, batches)
    sizes = sorted({tuple(batch.shape) for batch in batches})
    checked = json.dumps({"sizes": sizes, "largest_difference": difference})
    add_metadata(proto, {"checked": checked, "fidelity_dB": f"{fidelity:.1f}"})
    return save_onnx(proto, path)


def calibration_pictures(count: int = CROPS, size: int = CROP_SIZE) -> list[Tensor]:
    """Return crops of training photos in many kinds of rain, always the same.

    A list of (3, size, size), in steps of 1/255 as a file would hold them. Every second one is in
    heavy rain: a range that is too narrow cuts off the features of a rainy day, and that costs far
    more (decibels) than the coarser steps of one that is too wide (tenths).
    """
    rains = [SyntheticRain(rain=rain, patch_size=size) for rain in (CALIBRATION_RAIN, "heavy")]
    crops = [rains[k % 2][k // 2]["rainy"] for k in range(count)]
    return [(crop * 255).round() / 255 for crop in crops]


def _quantize(network: OnnxModel, batches: list[Tensor]) -> Any:
    onnx = needed("onnx")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, silence():
        simplified, result = Path(folder) / "simplified.onnx", Path(folder) / "int8.onnx"
        try:
            quant_pre_process(str(network.path), str(simplified), skip_symbolic_shape=True)
            quantize_static(
                str(simplified), str(result), _Reader(network, batches),
                quant_format=QuantFormat.QDQ, per_channel=True, op_types_to_quantize=OPERATIONS,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
                nodes_to_exclude=_stay_float(onnx.load(simplified).graph),
            )  # fmt: skip
            proto = onnx.load(result)
        except Exception as error:  # whatever ONNX Runtime's tool meets in a graph
            raise DerainError(
                f"{network.path} can't be quantized ({first_line(error)}): use the float file"
            ) from error
    remove_notes(proto)
    return proto


class _Reader:
    """What ``quantize_static`` calls for its next input."""

    def __init__(self, network: OnnxModel, batches: list[Tensor]) -> None:
        name = network.session.get_inputs()[0].name
        self.inputs = iter([{name: batch.float().numpy()} for batch in batches])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.inputs, None)


def _stay_float(graph: Any) -> list[str]:
    """Return the names of the nodes that touch a picture, and of the last stage's gates.

    A picture has 3 channels, two of them side by side have 6. A stage ends with a convolution that
    makes a picture; a network with one such convolution has no stages. Gates read what was joined.
    """
    weights = {item.name: item.dims for item in graph.initializer if len(item.dims) == 4}
    nodes = [n for n in graph.node if n.op_type == "Conv" and n.input[1] in weights]
    convs = [(n.name, n.input[0], weights[n.input[1]]) for n in nodes]
    ends = {name for name, _, shape in convs if shape[0] == 3 or shape[1] in (3, 6)}
    makers = [k for k, (_, _, shape) in enumerate(convs) if shape[0] == 3]
    last = convs[makers[-2] :] if len(makers) > 1 else []
    joined = {node.output[0] for node in graph.node if node.op_type == "Concat"}
    return sorted(ends | {name for name, source, _ in last if source in joined})


def _compare(network: OnnxModel, int8: OnnxModel, batches: list[Tensor]) -> tuple[float, float]:
    """Compare the int8 network's pictures with the float network's.

    Returns
    -------
    tuple of float
        The largest difference of a value, in [0, 1], and the PSNR in dB.
    """
    differences = [int8(batch).clamp(0, 1) - network(batch).clamp(0, 1) for batch in batches]
    error = float(torch.stack([d.square().mean() for d in differences]).mean())
    fidelity = math.inf if error == 0 else -10 * math.log10(error)
    if not fidelity >= FAITHFUL:
        raise DerainError(
            f"the int8 network's pictures differ from the float one's ({fidelity:.1f} dB, less "
            f"than {FAITHFUL:.0f}): calibrate with other pictures, or use the float file"
        )
    return max(float(d.abs().max()) for d in differences), fidelity
