"""Trained weights: this course's own, the authors', and those of your last run.

The authors' files name their layers ``conv0.0``, ``res_conv1.2``, ``SAM1.conv_in`` and so on, keep
the gates of a memory cell in separate convolutions, and SPANet's expects BGR.
:func:`convert_official` translates them into the names, and the RGB, of :mod:`derain_edu.models`;
nothing else in the package knows about the old ways. The translated networks give the authors'
outputs to 1e-5, PReNet's at every stage and SPANet's with all four attention maps.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from derain_edu.datasets.download import cached_files, official_weight_path
from derain_edu.errors import DerainError
from derain_edu.files import PACKAGE
from derain_edu.models.irnn import DIRECTIONS

# (model, tag) -> (file of the authors, options that this file needs)
OFFICIAL: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    **{
        (name, f"official-{data}"): (f"{name}_{data}.pth", {})
        for name in ("prn", "prn_r", "prenet", "prenet_r")
        for data in ("rain100l", "rain100h", "rain1400")
    },
    **{
        (name, "official-rain100h"): (f"{name}_rain100h_ablation.pth", {})
        for name in ("prenet_gru", "prenet_lstm", "prenet_x")
    },
    ("prenet_lstm", "official-rain100h-t5"): ("prenet_lstm5_rain100h_ablation.pth", {"stages": 5}),
    ("prenet_lstm", "official-rain100h-t7"): ("prenet_lstm7_rain100h_ablation.pth", {"stages": 7}),
    ("prenet_lstm", "official-rain100h-recssim"): (
        "prenet_lstm_recssim_rain100h_ablation.pth",
        {},
    ),
    # The mode that these weights were trained in: see derain_edu.models.spanet.
    ("spanet", "official-spa"): ("spanet_spa.pth", {"direction_attention": False}),
}


@dataclass(frozen=True)
class Weights:
    """A state dict and what its file says about the network that it belongs to.

    Attributes
    ----------
    source : str
        Where it came from, for messages.
    state : dict[str, Tensor]
        The tensors by name.
    options : dict[str, Any]
        Options of the network, where the file holds them.
    model : str | None, default None
        The model's name, where the file holds it.
    """

    source: str
    state: dict[str, Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    model: str | None = None


def open_weights_folder() -> Path:
    """Return the folder of the weights that come with the course."""
    return PACKAGE / "models" / "weights"


def list_pretrained(name: str) -> list[str]:
    """Return the tags that ``create_model(name, pretrained=tag)`` knows."""
    stems = [file.stem for file in open_weights_folder().glob("*.safetensors")]
    own = [stem for stem in stems if stem == name or stem.startswith(f"{name}-")]
    shipped = sorted(f"open{stem.removeprefix(name)}" for stem in own)
    return shipped + [tag for model, tag in OFFICIAL if model == name]


def _open_weights(name: str, tag: str) -> Path:
    """``open`` is NAME.safetensors, ``open-paper`` is NAME-paper.safetensors."""
    return open_weights_folder() / f"{name}{tag.removeprefix('open')}.safetensors"


def best_pretrained(name: str) -> str:
    """Return the tag of the best weights of a model for light rain that are on this machine.

    ``"official-rain100l"`` where the cache holds the authors' file, else ``"open"``.

    Parameters
    ----------
    name : str
        A model of :func:`derain_edu.list_models`.
    """
    tag = "official-rain100l"
    if (name, tag) not in OFFICIAL:
        return "open"
    return tag if OFFICIAL[name, tag][0] in cached_files("official-weights") else "open"


def weights_for(name: str, pretrained: str | Path) -> Weights:
    """Find, read and, where needed, convert the weights ``pretrained`` of the model ``name``.

    Parameters
    ----------
    name : str
        A model of :func:`derain_edu.list_models`.
    pretrained : str or path
        A tag of :func:`list_pretrained` or a weight file.

    Raises
    ------
    DerainError
        If the tag is unknown, the file is missing, damaged, or holds another model.
    """
    if (name, str(pretrained)) in OFFICIAL:
        file, options = OFFICIAL[name, str(pretrained)]
        state = read_weights(official_weight_path(file)).state
        return Weights(str(pretrained), state, options, name)
    tag = str(pretrained)
    path = _open_weights(name, tag) if re.fullmatch(r"open(-\w+)?", tag) else Path(pretrained)
    if not path.is_file():
        raise DerainError(
            f"{name} has no weights {str(pretrained)!r}: choose one of "
            f"{', '.join(list_pretrained(name)) or '(none shipped)'} or an existing file"
        )
    weights = read_weights(path)
    if weights.model not in (None, name):
        raise DerainError(f"{path} holds the weights of {weights.model!r}, not of {name!r}")
    return weights


def load_into(model: nn.Module, weights: Weights) -> nn.Module:
    """Load ``weights`` strictly; a mismatch is one sentence that names the first differences."""
    try:
        model.load_state_dict(weights.state)
    except RuntimeError as error:
        own, given = model.state_dict(), weights.state
        differences = [f"no {key}" for key in own if key not in given]
        differences += [f"unexpected {key}" for key in given if key not in own]
        differences += [
            f"{key} is {tuple(given[key].shape)}, not {tuple(own[key].shape)}"
            for key in own
            if key in given and own[key].shape != given[key].shape
        ]
        raise DerainError(
            f"the weights of {weights.source} do not fit this model "
            f"({'; '.join(differences[:3])}): check the model's name and options"
        ) from error
    return model


# What other programs call the state dict where they save more beside it
_WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "model", "net")


def read_weights(path: Path) -> Weights:
    """Read a weight file of any kind that the course meets, without running code from it.

    Raises
    ------
    DerainError
        If the file is damaged, holds no state dict or more than numbers, or if a weight is NaN or
        infinite.
    """
    try:
        if path.suffix == ".safetensors":
            weights = _read_safetensors(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise nearly anything, IndexError included
        reason = "train or download it again"
        if found := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
            reason = f"it holds {found[1]} beside the weights; save the state dict alone"
        raise DerainError(f"{path} is not a readable weight file: {reason}") from error
    if path.suffix != ".safetensors":
        weights = _from_pickle(path, content)
    _check(weights)
    return weights


def _from_pickle(path: Path, content: Any) -> Weights:
    ours = isinstance(content, dict) and isinstance(content.get("config"), dict)
    if ours and {"model", "ema", "optimizer"} <= content.keys():  # a checkpoint of our trainer
        config = content["config"]
        state = _state_dict(path, content["ema"] or content["model"])
        return Weights(str(path), state, config.get("options", {}), config.get("model"))
    return Weights(str(path), convert_official(_state_dict(path, content)))


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """Take the state dict out of what other programs save around it."""
    if isinstance(content, dict):
        inside = (content[key] for key in _WRAPPERS if isinstance(content.get(key), dict))
        content = next(inside, content)
    if isinstance(content, dict) and all(isinstance(v, Tensor) for v in content.values()):
        return content
    found = type(content).__name__
    if isinstance(content, dict):
        found = "a dict of " + (", ".join(map(str, [*content][:4])))
    raise DerainError(
        f"{path} holds no state dict but {found}: give a file of weights, alone or under the key "
        "state_dict"
    )


def _check(weights: Weights) -> None:
    if not isinstance(weights.options, dict):
        raise DerainError(
            f"{weights.source} says that the options of its network are {weights.options!r}, "
            "which are no options by name: export it again"
        )
    for name, values in weights.state.items():
        if not torch.isfinite(values).all():
            raise DerainError(
                f"{weights.source} holds NaN or infinite numbers in {name}: take an earlier "
                "checkpoint, or train again with a lower learning rate"
            )


def _read_safetensors(path: Path) -> Weights:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}
    options = json.loads(metadata.get("options", "{}"))
    return Weights(str(path), state, options, metadata.get("model"))


def convert_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Translate a state dict of the released PReNet or SPANet code into this project's names.

    A state dict that already uses our names passes unchanged; ``module.`` prefixes, which
    ``DataParallel`` leaves behind, are dropped.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "conv0.0.weight" in state:
        return _convert_prn(state)
    if "SAM1.conv_in.weight" in state:
        return _convert_spanet(state)
    return state


def _convert_prn(state: dict[str, Tensor]) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        ours[f"head.{kind}"] = state[f"conv0.0.{kind}"]
        ours[f"tail.{kind}"] = state[f"conv.0.{kind}"]
        if f"conv_i.0.{kind}" in state:  # LSTM: four convolutions become one, in our gate order
            gates = [state[f"conv_{gate}.0.{kind}"] for gate in "ifgo"]
            ours[f"memory.gate_conv.{kind}"] = torch.cat(gates)
        elif f"conv_z.0.{kind}" in state:  # GRU; the authors call the reset gate b
            gates = [state[f"conv_{gate}.0.{kind}"] for gate in "zb"]
            ours[f"memory.gate_conv.{kind}"] = torch.cat(gates)
            ours[f"memory.candidate_conv.{kind}"] = _swap_halves(state[f"conv_g.0.{kind}"])
    for key, value in state.items():
        if match := re.fullmatch(r"res_conv(\d+)\.([02])\.(weight|bias)", key):
            block, layer, kind = match.groups()
            ours[f"blocks.{int(block) - 1}.conv{'1' if layer == '0' else '2'}.{kind}"] = value
    return ours


def _convert_spanet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Translate SPANet; turn BGR to RGB where pictures enter and leave."""
    ours = {
        "head.weight": state["conv_in.0.weight"].flip(1),
        "tail.weight": state["conv_out.0.weight"].flip(0),
    }
    convs = {"conv_in": "conv1", "conv2": "conv2", "conv3": "conv3", "conv_out": "conv4"}
    for theirs, name in convs.items():
        ours[f"attention.{name}.weight"] = state[f"SAM1.{theirs}.weight"]
    for irnn in ("irnn1", "irnn2"):
        for kind, factor in (("weight", "alpha"), ("bias", "beta")):
            parts = [state[f"SAM1.{irnn}.{d}_weight.{kind}"].flatten() for d in DIRECTIONS]
            ours[f"attention.{irnn}.{factor}"] = torch.stack(parts)
    for key, value in state.items():
        if match := re.fullmatch(r"SAM1\.attention_layer\.(.+)", key):
            ours[f"attention.directions.{match[1]}"] = value
        elif match := re.fullmatch(r"res_block(\d+)\.group1\.(.+)", key):
            ours[f"blocks.{int(match[1]) - 1}.{match[2]}"] = value
    return ours


def _swap_halves(tensor: Tensor) -> Tensor:
    """Swap the input halves of a kernel: the authors' candidate sees cat(r·h, x), ours cat(x, r·h).

    A bias (one dimension) has no inputs and stays as it is.
    """
    if tensor.dim() == 1:
        return tensor
    first, second = tensor.chunk(2, dim=1)
    return torch.cat((second, first), dim=1)
