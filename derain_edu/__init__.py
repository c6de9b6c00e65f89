"""derain_edu: single-image rain removal, taught from the inside.

Names are loaded when they are first used, so that ``import derain_edu`` costs next to nothing.

>>> import derain_edu as de
>>> de.list_models()[:3]
['residual', 'prn', 'prn_r']
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "DerainError": "errors",
    "load_photo": "datasets.photos",
    "photo_names": "datasets.photos",
    "choose_device": "devices",
    "set_seed": "devices",
    "to_tensor": "images",
    "to_pil": "images",
    "add_rain": "rain.synthesis",
    "RainConfig": "rain.config",
    "NoiseRain": "rain.config",
    "psnr": "metrics",
    "ssim": "metrics",
    "PairedFolder": "datasets.pairs",
    "SyntheticRain": "datasets.synthetic",
    "frames": "datasets.video",
    "truth_of": "datasets.tripod",
    "irnn": "models.irnn",
    "create_model": "models.registry",
    "list_models": "models.registry",
    "TrainConfig": "training.config",
    "Trainer": "training.trainer",
    "train": "training.trainer",
    "derain": "inference.restoration",
    "export_onnx": "inference.onnx_export",
    "load_onnx": "inference.onnx_network",
    "quantize_onnx": "inference.onnx_int8",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
