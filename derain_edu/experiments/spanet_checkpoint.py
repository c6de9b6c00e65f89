"""A checkpoint is evidence: what a training run leaves in its file, read without running it.

A file that can be *continued* from holds more than weights. Adam keeps two running means per
weight, of its gradients (``exp_avg``) and of their squares (``exp_avg_sq``), and counts its steps.
So the file tells which weights ever got a gradient, at which rate they learned, and for how long;
whatever a paper, a README or a script says.

The authors' file has no clear licence, so this repository holds no copy of it. It holds what was
measured in it: one line per tensor in ``data/results/spanet_checkpoint.csv`` and the rest in the
JSON beside it. With the file in the cache the same is measured anew.

========================  =====================================================================
:func:`examine`           what a file holds, and per tensor: size now, size at the start, moments
:func:`imports_of`        which functions a file would call if it were loaded carelessly
:func:`idle_parameters`   the test that finds a part of a network that does nothing
:func:`dropped_results`   a rough search for lines that compute something and drop it
========================  =====================================================================
"""

from __future__ import annotations

import csv
import json
import math
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from derain_edu import __version__
from derain_edu.datasets.download import cached_files, official_weight_path
from derain_edu.errors import DerainError
from derain_edu.experiments.results import write_rows
from derain_edu.files import data_folder, write_atomically
from derain_edu.models.pretrained import convert_official

NAME, FILE = "spanet_checkpoint", "spanet_spa.pth"
# How a file names its network, its optimizer and its counter: the SPANet code, and this project.
_LAYOUTS = (("net", "opt", "clock"), ("model", "optimizer", "step"))
_SETTINGS = ("lr", "initial_lr", "betas", "eps", "weight_decay", "amsgrad")
_LEGACY_PICKLES = 5  # a file of PyTorch before 1.6 begins with that many, one after the other


@dataclass(frozen=True)
class Trace:
    """What training left in one tensor.

    Attributes
    ----------
    name : str
        In this project's terms.
    shape : str
        Such as 16×32×3×3.
    number : int
        Of weights.
    start : float
        Upper bound of every |weight| when training began.
    largest : float
        Largest |weight| now.
    spread : float
        Standard deviation of the weights now.
    moment : float
        Largest |exp_avg|, the running mean of the gradients.
    square : float
        Largest exp_avg_sq, the running mean of their squares.
    steps : int
        How often Adam changed it. 0: it keeps no record of this tensor.
    """

    name: str
    shape: str
    number: int
    start: float
    largest: float
    spread: float
    moment: float
    square: float
    steps: int

    @property
    def idle(self) -> bool:
        """Whether it was trained, and no gradient ever arrived."""
        return self.steps > 0 and self.moment == 0 and self.square == 0


@dataclass(frozen=True)
class Evidence:
    """What :func:`examine` found.

    Attributes
    ----------
    source : str
        ``"opened now"`` or ``"recorded"``.
    traces : list[Trace]
        One per tensor.
    entries : list[str]
        The file's own keys.
    imports : list[str]
        Functions that the file names, see :func:`imports_of`.
    counter : int
        The step number that the training script wrote.
    settings : dict[str, Any]
        Of the optimizer: lr, initial_lr, betas …
    """

    source: str
    traces: list[Trace]
    entries: list[str]
    imports: list[str]
    counter: int
    settings: dict[str, Any]

    @property
    def idle(self) -> list[Trace]:
        """The tensors that never got a gradient."""
        return [trace for trace in self.traces if trace.idle]


# -- reading a file -------------------------------------------------------------------------------


def released_checkpoint() -> Evidence:
    """Return the evidence of the released SPANet: measured now if the cache has it, else recorded.

    Raises
    ------
    DerainError
        If nothing is recorded.
    """
    if FILE in cached_files("official-weights"):
        return examine(official_weight_path(FILE))
    path = data_folder() / "results" / f"{NAME}.csv"
    if not path.is_file():
        raise DerainError(f"nothing is recorded under {path}: call record() of spanet_checkpoint")
    kinds = {"name": str, "shape": str, "number": int, "steps": int}
    with open(path, newline="", encoding="utf-8") as file:
        traces = [
            Trace(**{key: kinds.get(key, float)(value) for key, value in row.items()})
            for row in csv.DictReader(file)
        ]
    rest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    rest = {name: rest[name] for name in ("entries", "imports", "counter", "settings")}
    return Evidence("recorded", traces, **rest)


def examine(path: str | Path) -> Evidence:
    """Open a checkpoint, running none of its code, and measure every tensor in it.

    Parameters
    ----------
    path : str or Path
        A file that the SPANet code or this project's trainer wrote.

    Raises
    ------
    DerainError
        If it can't be read, or holds no network together with an optimizer like Adam.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DerainError(
            f"{path} is not a file of tensors, or it is damaged: check the name"
        ) from error
    keys = list(content) if isinstance(content, dict) else []
    layout = next((layout for layout in _LAYOUTS if set(layout) <= set(keys)), None)
    if layout is None:
        raise DerainError(
            f"{path} does not hold a network, an optimizer and a step number: give a checkpoint "
            "that training can be resumed from"
        )
    net, optimizer, counter = (content[key] for key in layout)
    group = optimizer["param_groups"][0]
    settings = {key: group[key] for key in _SETTINGS if key in group}
    settings["betas"] = list(settings.get("betas", ()))  # as JSON keeps it
    traces = _traces(net, optimizer)
    return Evidence("opened now", traces, keys, imports_of(path), int(counter), settings)


def _traces(net: Mapping[str, Tensor], optimizer: Mapping[str, Any]) -> list[Trace]:
    """Match the optimizer's records with the tensors, by their order, and measure both."""
    order = [key for group in optimizer["param_groups"] for key in group["params"]]
    records = [optimizer["state"].get(key, {}) for key in order]
    shapes = [record["exp_avg"].shape for record in records if "exp_avg" in record]
    with_record = [w.shape for w, r in zip(net.values(), records, strict=False) if "exp_avg" in r]
    if len(order) != len(net) or shapes != with_record:
        raise DerainError(
            f"the optimizer knows {len(order)} tensors and the network {len(net)}, or their "
            "shapes differ: they can't be matched by their order"
        )

    def column(key: str) -> dict[str, Tensor]:
        """Return one record per tensor, filled up to the tensor's shape, under our names."""
        filled = {
            name: torch.as_tensor(record.get(key, 0.0)).expand_as(w)
            for (name, w), record in zip(net.items(), records, strict=True)
        }
        return convert_official(filled)

    state = convert_official(dict(net))
    parts = [state, column("exp_avg"), column("exp_avg_sq"), column("step")]
    return [
        Trace(
            name=name,
            shape="×".join(map(str, w.shape)),
            number=w.numel(),
            start=_rounded(start_bound(name, state)),
            largest=_rounded(w.abs().max()),
            spread=_rounded(w.double().std(correction=0)),
            moment=_rounded(moment.abs().max()),
            square=_rounded(square.max()),
            steps=int(steps.max()),
        )
        for name, w, moment, square, steps in (
            (name, *(part[name] for part in parts)) for name in state
        )
    ]


def _rounded(value: float | Tensor) -> float:
    return float(f"{float(value):.6g}")


def start_bound(name: str, state: Mapping[str, Tensor]) -> float:
    """Return what no weight of a tensor exceeds when it is new.

    PyTorch draws the weights and biases of a convolution from U(−b, b) with b = 1/√n, where n is
    the number of inputs of one output. SPANet's α all start at 0.2; its β are biases of
    convolutions with one input, so b = 1.

    Examples
    --------
    >>> round(start_bound("conv.bias", {"conv.weight": torch.zeros(4, 16, 5, 5)}), 4)  # 1/√400
    0.05
    """
    kind = name.rpartition(".")[2]
    if kind in ("alpha", "beta"):
        return 0.2 if kind == "alpha" else 1.0
    weight = state.get(name.removesuffix(kind) + "weight")
    if kind not in ("weight", "bias") or weight is None or weight.dim() < 2:
        raise DerainError(f"the start of {name} is unknown: only convolutions and sweeps are known")
    return 1 / math.sqrt(weight[0].numel())


def oldest_visible_gradient(steps: int, beta2: float = 0.999) -> float:
    """Return the smallest gradient of the very first step that Adam's record shows after ``steps``.

    Its square enters with weight 1 − β₂ and shrinks by β₂ in each later step. What falls below the
    smallest normal float32 may be lost.
    """
    kept = (1 - beta2) * beta2 ** (steps - 1)
    return math.sqrt(torch.finfo(torch.float32).tiny / kept)


def imports_of(path: str | Path) -> list[str]:
    """Return the functions and classes that a file of ``torch.save`` names, without loading it.

    Such a file is a *pickle*: a small program. Loading it carelessly imports what it names, and
    calls it. ``torch.load(…, weights_only=True)`` refuses all but a short list of names.

    Raises
    ------
    DerainError
        If it is no such file.
    """
    found: dict[str, None] = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
                with archive.open(member) as file:
                    _collect_imports(file, found)
        else:
            with open(path, "rb") as file:
                for _ in range(_LEGACY_PICKLES):
                    _collect_imports(file, found)
    except (ValueError, StopIteration, OSError, UnicodeDecodeError) as error:
        raise DerainError(f"{path} is not a file that torch.save wrote") from error
    return sorted(found)


def _collect_imports(file: BinaryIO, found: dict[str, None]) -> None:
    for opcode, argument, _position in pickletools.genops(file):  # reads up to the end of one
        if opcode.name == "GLOBAL":
            name = str(argument).replace(" ", ".")  # an old protocol says __builtin__, as Python 2
            found[name.replace("__builtin__.", "builtins.")] = None
        elif opcode.name == "STACK_GLOBAL":  # torch.save writes none
            found["(a name that is put together while it runs)"] = None


def record(folder: Path | None = None) -> list[Path]:
    """Write what the released checkpoint shows as CSV and JSON; it must be in the cache.

    Parameters
    ----------
    folder : Path, optional
        Default: ``data/results``.
    """
    evidence = examine(official_weight_path(FILE))
    path = (folder or data_folder() / "results") / f"{NAME}.csv"
    write_rows(path, [asdict(trace) for trace in evidence.traces])
    content = {
        "question": "What does the released SPANet checkpoint say about how it was trained?",
        "file": FILE,
        "made_by": "derain_edu.experiments.spanet_checkpoint.record",
        "entries": evidence.entries,
        "imports": evidence.imports,
        "counter": evidence.counter,
        "settings": evidence.settings,
        "derain_edu": __version__,
        "torch": torch.__version__,
    }
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path.with_suffix(".json"), text.encode())
    return [path, path.with_suffix(".json")]


# -- finding it before it is trained --------------------------------------------------------------


