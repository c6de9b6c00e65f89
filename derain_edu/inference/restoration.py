"""Take the rain out of one picture of any kind and any size.

A network needs memory in proportion to the pixels that it sees at once: PReNet takes about
1 GB per megapixel while it works. So a large photo is cut into windows, one after the other,
and from each window only the part is kept that does not feel the cut.

How far a cut is felt: :mod:`derain_edu.inference.tiles`.

SPANet is another case: each of its pixels sees the whole picture, so every cut changes the result
everywhere. Up to 1024×1024 pixels (about 2 GiB) it gets the picture whole; a larger one is cut
all the same, with a warning that says so.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from derain_edu.devices import choose_device, ran_out_of_memory
from derain_edu.errors import DerainError
from derain_edu.images import PictureLike, check_batch, read_picture
from derain_edu.inference.engine import choose_engine
from derain_edu.inference.onnx_network import OnnxModel, has_cuda, load_onnx
from derain_edu.inference.tiles import OVERLAP, TILE, plan_tiles
from derain_edu.models import create_model, list_models
from derain_edu.models.pretrained import read_weights
from derain_edu.text import bars_are_off

# A network that sees the whole picture gets up to this many pixels whole; SPANet then fills about
# 2 GiB. A larger picture is cut into windows.
WHOLE_PIXELS = 2**20


def derain_tensor(
    model: nn.Module,
    rainy: Tensor,
    tile: int | None = None,
    overlap: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Run a network over pictures of any size, window by window if they are large.

    Parameters
    ----------
    model : nn.Module
        (B, 3, h, w) in, (B, 3, h, w) out. Its attribute ``halo`` says how many pixels away an
        input can still change an output; None, or no such attribute, means the whole picture.
    rainy : Tensor
        (3, H, W) or (B, 3, H, W), RGB in [0, 1].
    tile : int, optional
        Largest side of a window in pixels. Default: 1024; a network that sees the whole picture
        gets it uncut up to 1024×1024 pixels in all.
    overlap : int, optional
        Least distance of what is kept from a cut. Default: the model's halo, but at most 48
        (see the module's table). ``overlap=model.halo`` is exact.
    progress : bool
        Show a bar, if there is more than one window.

    Returns
    -------
    Tensor
        Like ``rainy``, on the same device, not clamped. Beside it and ``rainy`` only one
        window is held in memory.

    Raises
    ------
    DerainError
        If a tensor is not a picture, the tile size does not fit, or there is not enough memory.

    Warns
    -----
    UserWarning
        If a network that sees the whole picture gets it in pieces.
    """
    batch = check_batch(rainy[None] if isinstance(rainy, Tensor) and rainy.dim() == 3 else rainy)
    halo = getattr(model, "halo", None)
    if tile is None:
        tile = TILE if halo is not None else _tile_of_the_whole(*batch.shape[-2:])
    if overlap is None:
        overlap = min(OVERLAP, (tile - 1) // 2) if halo is None else min(OVERLAP, halo)
    if max(batch.shape[-2:]) <= tile:
        overlap = 0  # nothing is cut
    pieces = plan_tiles(*batch.shape[-2:], tile, overlap)
    if halo is None and len(pieces) > 1:
        warnings.warn(
            f"each pixel of this network sees the whole picture, and {batch.shape[-1]}×"
            f"{batch.shape[-2]} pixels are processed in {len(pieces)} windows: the result differs "
            "from the uncut one (a larger tile needs more memory)",
            stacklevel=2,
        )
    like = next(model.parameters(), batch)  # its device and type
    result = torch.empty_like(batch, requires_grad=False)
    was_training = model.training
    model.eval()
    try:
        shown = progress and len(pieces) > 1 and not bars_are_off()
        with torch.inference_mode(), _megapixels(batch, shown) as bar:
            for piece in pieces:
                window = batch[(..., *piece.window)]
                # Channels-last is the layout that convolutions on a CPU are fastest in.
                window = window.to(like).contiguous(memory_format=torch.channels_last)
                core = result[(..., *piece.core)]
                core[:] = _run(model, window)[(..., *piece.inside)]
                bar.update(core[0, 0].numel() / 1e6)
    finally:
        if was_training:
            model.train()
    return result[0] if rainy.dim() == 3 else result


def _megapixels(batch: Tensor, shown: bool) -> tqdm[Any]:
    """Return a bar over the megapixels of a picture, which says how much time is left."""
    form = "{percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} megapixels, {remaining} left"
    total = batch.shape[-2] * batch.shape[-1] / 1e6
    return tqdm(total=total, bar_format=form, disable=not shown, leave=None)  # gone if inside


def _tile_of_the_whole(height: int, width: int) -> int:
    """Return the default tile of a network that sees the whole picture: no cut, if it is small."""
    return max(height, width) if height * width <= WHOLE_PIXELS else TILE


def _run(model: nn.Module, window: Tensor) -> Tensor:
    try:
        derained = model(window)
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise DerainError(
            f"a window of {window.shape[-1]}×{window.shape[-2]} pixels does not fit into the "
            f"memory of {window.device}: choose a smaller tile, for example tile=256"
        ) from error
    if derained.shape != window.shape:
        raise DerainError(
            f"the model turned {tuple(window.shape)} into {tuple(derained.shape)}: it must keep "
            "the picture's shape"
        )
    return derained


def load_model(
    model: str | Path | nn.Module, pretrained: str | Path = "open", **options: Any
) -> nn.Module:
    """Return a network that is ready to derain.

    Parameters
    ----------
    model : str, Path or nn.Module
        A name of :func:`derain_edu.list_models`; a file of the trainer, which knows its model;
        an ``.onnx`` file of :func:`derain_edu.export_onnx`; or a network, which is returned as
        it is.
    pretrained : str or Path
        With a name: which weights, see :func:`derain_edu.create_model`.
    **options
        Fields of the model's configuration, for example ``stages=4``.

    Raises
    ------
    DerainError
        For an unknown model or weights that do not fit.
    """
    if isinstance(model, nn.Module):
        if options:
            raise DerainError(f"{', '.join(options)}: options go with a model's name only")
        return model
    if str(model) in list_models():
        return create_model(str(model), pretrained=pretrained, **options)
    if not Path(model).is_file():
        raise DerainError(
            f"{str(model)!r} is neither a model ({', '.join(list_models())}) nor an existing file"
        )
    if Path(model).suffix.lower() == ".onnx":
        return _load_onnx(model, pretrained, **options)
    name = read_weights(Path(model)).model
    if name is None:
        raise DerainError(
            f"{model} does not say which model it belongs to: give the model's name, and this "
            "file as its weights (pretrained=… in Python, --weights in the shell)"
        )
    if pretrained != "open":
        raise DerainError(f"{model} and {pretrained} are both weights: give one of the two")
    return create_model(name, pretrained=Path(model), **options)


def _load_onnx(model: str | Path, pretrained: str | Path, **options: Any) -> OnnxModel:
    if pretrained != "open":
        raise DerainError(f"{model} already contains its weights: give it without {pretrained!r}")
    if options:
        raise DerainError(f"{model} is fixed: it can't take the options {', '.join(options)}")
    return load_onnx(model)


def place(network: nn.Module, device: str = "auto") -> torch.device:
    """Move a network to a device, see :func:`derain_edu.choose_device`, and return the device.

    With ``"auto"`` an ONNX file stays on the CPU where ONNX Runtime can't use the GPU.
    """
    stays = device == "auto" and isinstance(network, OnnxModel) and not has_cuda()
    chosen = choose_device("cpu" if stays else device)
    network.to(chosen)
    return chosen


def derain(
    picture: PictureLike,
    model: str | Path | nn.Module = "prenet",
    pretrained: str | Path = "open",
    device: str | torch.device | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    progress: bool = False,
    engine: str = "auto",
    fast: bool = False,
    **options: Any,
) -> Image.Image:
    """Take the rain out of a picture.

    Parameters
    ----------
    picture : str, Path, bytes, PIL.Image.Image, numpy.ndarray, Tensor or Picture
        What :func:`derain_edu.images.read_picture` takes.
    model : str, Path or nn.Module
        A name of :func:`derain_edu.list_models`, a file that the trainer or
        :func:`derain_edu.export_onnx` wrote, or a network.
    pretrained : str or Path
        Which weights for a model given by name. Default: ``"open"``, the course's own.
    device : str or torch.device, optional
        Default: where a given network is, else :func:`derain_edu.choose_device`. A given
        network is moved there.
    tile, overlap, progress
        See :func:`derain_tensor`.
    engine, fast
        For a model given by name or file, see
        :func:`derain_edu.inference.engine.choose_engine`.
    **options
        Fields of the model's configuration, for example ``stages=4``.

    Returns
    -------
    PIL.Image.Image
        RGB, 8 bits, of the same size (upright, if the file says how it was held). A grey
        picture comes back grey; transparency and colour profile come back as they were.

    Raises
    ------
    DerainError
        One sentence on what is wrong with the picture, the model or the weights.
    """
    source = read_picture(picture)
    network = load_model(model, pretrained, **options)
    if not isinstance(model, nn.Module):
        network = choose_engine(network, choose_device(str(device or "auto")), engine, fast)
    elif engine != "auto" or fast:
        raise DerainError("engine and fast go with a model's name or file only")
    if device is not None or not isinstance(model, nn.Module):
        place(network, str(device or "auto"))
    return source.give_back(derain_tensor(network, source.rgb, tile, overlap, progress))
