"""From a name to a network: the course's own, and those that you register.

:func:`create_model` builds one, :func:`register_model` makes one of your own known by name, and
:func:`run_code` runs the file in which you do that.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import nn

from derain_edu.devices import reuse_memory
from derain_edu.errors import DerainError
from derain_edu.models.nafnet import NAFNet, NAFNetConfig
from derain_edu.models.pretrained import load_into, weights_for
from derain_edu.models.prn import PRN, PRNConfig
from derain_edu.models.residual import Residual, ResidualConfig
from derain_edu.models.spanet import SPANet, SPANetConfig
from derain_edu.models.transplant import TransplantConfig
from derain_edu.models.transplant import build as build_transplant

# name -> (class, configuration class, the options that make this member of the family)
_MODELS: dict[str, tuple[Callable[..., nn.Module], type, dict[str, Any]]] = {
    "residual": (Residual, ResidualConfig, {}),
    "prn": (PRN, PRNConfig, {}),
    "prn_r": (PRN, PRNConfig, {"shared_block": True}),
    "prenet": (PRN, PRNConfig, {"recurrent": "lstm"}),
    "prenet_r": (PRN, PRNConfig, {"recurrent": "lstm", "shared_block": True}),
    "prenet_gru": (PRN, PRNConfig, {"recurrent": "gru", "residual_output": False}),
    "prenet_lstm": (PRN, PRNConfig, {"recurrent": "lstm", "residual_output": False}),
    "prenet_x": (
        PRN,
        PRNConfig,
        {"recurrent": "lstm", "residual_output": False, "concat_rainy": False},
    ),
    "spanet": (SPANet, SPANetConfig, {}),
    "nafnet_small": (NAFNet, NAFNetConfig, {}),
}
# Built by name like the others, but not on the list: they serve one lesson.
_OF_ONE_LESSON: dict[str, tuple[Callable[..., nn.Module], type, dict[str, Any]]] = {
    "transplant": (build_transplant, TransplantConfig, {}),
}
# What register_model added: your own.
_REGISTERED: dict[str, tuple[Callable[..., nn.Module], type, dict[str, Any]]] = {}


def list_models() -> list[str]:
    """Return the names of the course's networks, which :func:`create_model` knows."""
    return list(_MODELS)


def register_model(name: str, model_class: Callable[..., nn.Module], config_class: type) -> None:
    """Make a network of your own known to :func:`create_model`, and so to the trainer.

    Parameters
    ----------
    name : str
        A new name. Registering it again replaces what you registered before.
    model_class : callable
        ``model_class(config)`` returns the network, which keeps it as ``.config``.
    config_class : type
        A dataclass of plain values (numbers, words, tuples), all with defaults.

    Raises
    ------
    DerainError
        If the name is one of the course's, or ``config_class`` is not a dataclass.
    """
    if name in _MODELS or name in _OF_ONE_LESSON:
        raise DerainError(f"{name!r} is a model of the course: choose another name")
    if not is_dataclass(config_class):
        raise DerainError(f"config_class must be a dataclass, got {config_class!r}")
    _REGISTERED[name] = (model_class, config_class, {})


def create_model(name: str, pretrained: str | Path | None = None, **options: Any) -> nn.Module:
    """Build a network by name, with or without trained weights.

    Parameters
    ----------
    name : str
        One of :func:`list_models`.
    pretrained : str or path, optional
        ``None`` for a fresh start; ``"open"`` for the weights that come with the course;
        ``"official-rain100l"``, ``"official-rain100h"``, ``"official-rain1400"`` for the
        authors' (research use only, see ``derain-edu download official-weights``), for SPANet
        ``"official-spa"``; or a file that the trainer wrote (``.pt``, ``.safetensors``) or the
        authors' code wrote (``.pth``).
    **options
        Fields of the model's configuration, for example ``stages=4`` or ``head_relu=False``.
        They win over what the weight file says about itself.

    Returns
    -------
    torch.nn.Module
        In training mode without weights, in evaluation mode with them; ``model.config`` holds
        the configuration.

    Raises
    ------
    DerainError
        For an unknown model, option or weight file, and for weights that do not fit.
    """
    reuse_memory()  # layers of large pictures are large tensors
    model_class, config_class, defaults = _entry(name)
    known = {field.name for field in fields(config_class)}
    for option in options:
        if option not in known:
            raise DerainError(
                f"{name} has no option {option!r}: choose from {', '.join(sorted(known))}"
            )
    if pretrained is None:
        return model_class(config_class(**{**defaults, **options}))
    weights = weights_for(name, pretrained)
    if unknown := weights.options.keys() - known:
        raise DerainError(
            f"{weights.source} was saved with options that {name} does not have "
            f"({', '.join(sorted(unknown))}): it belongs to another network or version"
        )
    try:
        model = model_class(config_class(**{**defaults, **weights.options, **options}))
    except TypeError as error:  # such as a list where a number is expected
        raise DerainError(
            f"{name} can't be built with the options of {weights.source} ({weights.options}): "
            "export the weights again"
        ) from error
    return load_into(model, weights).eval()


def model_options(model: nn.Module) -> dict[str, Any]:
    """Return the options that rebuild ``model`` with :func:`create_model`, as plain values."""
    return asdict(model.config)


def model_name(model: nn.Module) -> str:
    """Return the name under which :func:`create_model` knows a network, else that of its class.

    >>> model_name(create_model("prenet_r", stages=2))
    'prenet_r'
    """
    config = getattr(model, "config", None)
    for name, (model_class, config_class, defaults) in _known().items():
        if type(config) is not config_class:
            continue
        if isinstance(model_class, type) and type(model) is not model_class:
            continue
        # The options that tell the members of a family apart; PRN and PReNet share a class.
        family = (options for owner, _, options in _known().values() if owner is model_class)
        switches = {option for options in family for option in options}
        member = config_class(**defaults)
        if all(getattr(config, option) == getattr(member, option) for option in switches):
            return name
    return type(model).__name__


def _known() -> dict[str, tuple[Callable[..., nn.Module], type, dict[str, Any]]]:
    return {**_MODELS, **_OF_ONE_LESSON, **_REGISTERED}


def _entry(name: str) -> tuple[Callable[..., nn.Module], type, dict[str, Any]]:
    known = _known()
    if name not in known:
        raise DerainError(f"unknown model {name!r}: choose one of {', '.join(known)}")
    return known[name]


def run_code(path: str | Path) -> list[str]:
    """Run a Python file that registers networks, and return the names that it registered.

    The file may do anything that a program may do: run only what you have read.

    Raises
    ------
    DerainError
        If it is missing, raises an error, or registers nothing.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise DerainError(f"{path} is not a Python file: give the file with your network")
    spec = importlib.util.spec_from_file_location(f"own_code_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    # A dataclass with postponed annotations looks for its module here while the file runs.
    sys.modules[spec.name] = module
    before = dict(_REGISTERED)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise DerainError(f"{path} stops with {type(error).__name__}: {error}") from error
    # (A file that registers a name again makes a new class, so it counts.)
    registered = [name for name, it in _REGISTERED.items() if before.get(name) != it]
    if not registered:
        raise DerainError(
            f"{path} registers no network: call register_model(name, class, config class) in it"
        )
    return registered
