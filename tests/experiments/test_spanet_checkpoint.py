"""Checkpoints as evidence: what is read in them, what is refused, and the test for idle parts."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from derain_edu.errors import DerainError
from derain_edu.experiments import spanet_checkpoint
from derain_edu.models import create_model, list_models
from derain_edu.models.idle_parts import dropped_results, idle_parameters

SMALL = {"channels": 4, "blocks": 1, "stages": 2}
BOTH_FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])


class Trap:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def save(content, path: Path, zipped: bool) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def train_a_little(steps: int, fill_zeros: bool):
    """Train a SPANet as released, its idle branch included; return it, Adam, and its gradients."""
    model = create_model("spanet", **SMALL).requires_grad_(True)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    gradients = []
    for _ in range(steps):
        adam.zero_grad()
        model(torch.rand(1, 3, 8, 8)).square().mean().backward()
        for parameter in model.parameters():
            if parameter.grad is None and fill_zeros:
                parameter.grad = torch.zeros_like(parameter)
        gradients.append(model.head.weight.grad.clone())
        adam.step()
    return model, adam, gradients


def checkpoint(path: Path, model: nn.Module, adam: torch.optim.Adam, zipped: bool = True) -> Path:
    net = model.state_dict()
    return save({"net": net, "opt": adam.state_dict(), "clock": 7}, path, zipped)


@BOTH_FORMATS
def test_the_evidence_of_a_run_of_our_own(tmp_path, zipped):
    model, adam, gradients = train_a_little(3, fill_zeros=True)
    evidence = spanet_checkpoint.examine(checkpoint(tmp_path / "run.pth", model, adam, zipped))
    assert evidence.source == "opened now" and evidence.counter == 7
    assert evidence.entries == ["net", "opt", "clock"] and evidence.settings["lr"] == 0.01
    assert {trace.name for trace in evidence.idle} == {
        name for name in model.state_dict() if name.startswith("attention.directions.")
    }
    head = next(trace for trace in evidence.traces if trace.name == "head.weight")
    mean = mean_of_squares = 0
    for g in gradients:  # Adam's two running means, from their definition
        mean = 0.9 * mean + 0.1 * g
        mean_of_squares = 0.999 * mean_of_squares + 0.001 * g.square()
    assert head.moment == pytest.approx(mean.abs().max().item(), rel=1e-4)
    assert head.square == pytest.approx(mean_of_squares.max().item(), rel=1e-4)
    weight = model.head.weight.detach()
    assert head.largest == pytest.approx(weight.abs().max().item(), rel=1e-5)
    assert head.spread == pytest.approx(np.std(weight.numpy()), rel=1e-5)
    assert (head.shape, head.number, head.steps) == ("4×3×3×3", 108, 3)


def test_what_adam_never_recorded_is_not_called_idle(tmp_path):
    """No gradient at all (None) leaves no record: that is not a record of zeros."""
    model, adam, _ = train_a_little(2, fill_zeros=False)
    evidence = spanet_checkpoint.examine(checkpoint(tmp_path / "run.pth", model, adam))
    steps = {t.name: t.steps for t in evidence.traces}
    assert steps["attention.directions.conv1.weight"] == 0 and steps["head.weight"] == 2
    assert evidence.idle == []


def test_an_optimizer_of_another_network(tmp_path):
    model, adam, _ = train_a_little(1, fill_zeros=True)
    content = {"net": nn.Linear(3, 2).state_dict(), "opt": adam.state_dict(), "clock": 1}
    with pytest.raises(DerainError, match="can't be matched by their order"):
        spanet_checkpoint.examine(save(content, tmp_path / "mixed.pth", True))
    net = dict(reversed(model.state_dict().items()))
    content = {"net": net, "opt": adam.state_dict(), "clock": 1}
    with pytest.raises(DerainError, match="their shapes differ"):
        spanet_checkpoint.examine(save(content, tmp_path / "reversed.pth", True))


@BOTH_FORMATS
def test_a_trap_is_seen_and_never_sprung(tmp_path, zipped):
    victim = tmp_path / "victim"
    path = save({"net": Trap(victim)}, tmp_path / "trap.pth", zipped)
    assert "open" in " ".join(spanet_checkpoint.imports_of(path))
    with pytest.raises(DerainError, match="not a file of tensors"):
        spanet_checkpoint.examine(path)
    assert not victim.exists()
    torch.load(path, weights_only=False)["net"].close()
    assert victim.exists(), "the trap would have worked"


@BOTH_FORMATS
def test_tensors_name_only_how_to_build_tensors(tmp_path, zipped):
    path = save({"w": torch.ones(2)}, tmp_path / "w.pth", zipped)
    assert spanet_checkpoint.imports_of(path) == [
        "collections.OrderedDict", "torch.FloatStorage", "torch._utils._rebuild_tensor_v2"
    ]


def test_a_name_that_is_put_together_while_it_runs(tmp_path):
    torch.save({"net": Trap(tmp_path / "victim")}, tmp_path / "trap.pth", pickle_protocol=4)
    found = spanet_checkpoint.imports_of(tmp_path / "trap.pth")
    assert found == ["(a name that is put together while it runs)"]


def test_files_that_are_no_checkpoints(tmp_path):
    text = tmp_path / "text.pth"
    text.write_text("not a checkpoint")
    weights = save({"w": torch.ones(2)}, tmp_path / "weights.pth", True)
    for path in (text, tmp_path / "missing.pth"):
        with pytest.raises(DerainError, match="not a file of tensors, or it is damaged"):
            spanet_checkpoint.examine(path)
        with pytest.raises(DerainError, match="not a file that torch.save wrote"):
            spanet_checkpoint.imports_of(path)
    with pytest.raises(DerainError, match="does not hold a network, an optimizer and a step"):
        spanet_checkpoint.examine(weights)


@pytest.mark.parametrize("shape", [(64, 3, 3, 3), (32, 128, 3, 3), (300, 40, 1, 1)])
def test_the_bound_of_new_weights(shape):
    conv = nn.Conv2d(shape[1], shape[0], shape[2])
    state = {f"conv.{name}": value for name, value in conv.state_dict().items()}
    for name, value in state.items():
        bound = spanet_checkpoint.start_bound(name, state)
        assert 0.85 * bound < value.abs().max() <= bound, name


@pytest.mark.parametrize("acts", [False, True])
def test_a_new_network_lies_within_its_bounds(acts):
    state = create_model("spanet", direction_attention=acts).state_dict()
    for name, value in state.items():
        bound = spanet_checkpoint.start_bound(name, state)
        assert 0.5 * bound < value.abs().max() <= bound * (1 + 1e-6), name


def test_a_start_that_is_not_known():
    with pytest.raises(DerainError, match="the start of norm.weight is unknown"):
        spanet_checkpoint.start_bound("norm.weight", {"norm.weight": torch.ones(3)})


def test_the_oldest_visible_gradient_in_float32():
    steps, beta2 = 3000, 0.98
    bound = spanet_checkpoint.oldest_visible_gradient(steps, beta2)
    for factor, visible in ((1.1, True), (0.9, False)):
        square = np.float32(1 - beta2) * np.float32(factor * bound) ** 2
        for _ in range(steps - 1):
            square = np.float32(beta2) * square
        assert (square >= np.finfo(np.float32).tiny) == visible


def test_the_recorded_evidence(empty_cache):
    evidence = spanet_checkpoint.released_checkpoint()
    model = create_model("spanet")
    assert evidence.source == "recorded"
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert {trace.name: trace.number for trace in evidence.traces} == sizes
    assert {t.name for t in evidence.idle} == {n for n in sizes if ".directions." in n}
    assert sum(trace.number for trace in evidence.idle) == 7012
    assert all(trace.largest <= trace.start for trace in evidence.idle)
    assert {trace.steps for trace in evidence.traces} == {40_001} and evidence.counter == 40_000
    assert (evidence.settings["initial_lr"], evidence.settings["lr"]) == (5e-4, 5e-5)


def test_nothing_recorded(empty_cache, monkeypatch, tmp_path):
    monkeypatch.setattr(spanet_checkpoint, "data_folder", lambda: tmp_path)
    with pytest.raises(DerainError, match="nothing is recorded"):
        spanet_checkpoint.released_checkpoint()


class Weighted(nn.Module):
    """Two branches; the product of the second is used, or computed and dropped."""

    def __init__(self, dropped: bool) -> None:
        super().__init__()
        self.main, self.branch, self.dropped = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3), dropped

    def forward(self, x):
        y, w = self.main(x), torch.sigmoid(self.branch(x))
        if self.dropped:
            y.mul(w)
            return y
        return y.mul(w)


@pytest.mark.parametrize("dropped", [True, False])
def test_the_test_finds_a_dropped_product(dropped):
    model = Weighted(dropped)
    idle = idle_parameters(model, model(torch.rand(1, 1, 5, 5)).sum())
    assert idle == (["branch.weight", "branch.bias"] if dropped else [])


def test_gradients_of_zeros_count_as_none_and_frozen_is_no_fault():
    model = nn.ModuleDict({"times 0": nn.Linear(2, 1), "frozen": nn.Linear(2, 1)})
    model["frozen"].requires_grad_(False)
    x = torch.ones(1, 2)
    loss = (0 * model["times 0"](x) + model["frozen"](x)).sum()
    assert idle_parameters(model, loss) == ["times 0.weight", "times 0.bias"]


def test_old_gradients_don_t_hide_an_idle_part():
    model = Weighted(dropped=True)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    loss = model(torch.rand(1, 1, 5, 5)).sum()
    assert idle_parameters(model, loss) == ["branch.weight", "branch.bias"]


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in list_models()), ("spanet", {"direction_attention": True})],
)
def test_no_model_of_the_course_has_an_idle_part(name, options):
    model = create_model(name, **options)
    with torch.no_grad():  # NAFNet starts with scales of zero, and all before them waits
        for key, parameter in model.named_parameters():
            parameter.add_(".scale" in key)
    assert idle_parameters(model, model(torch.rand(1, 3, 12, 12)).square().mean()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("x.mul(w)", True),
        ("top[:, 0].mul(w[:, 0])", True),
        ("x.clamp(0, 1)", True),
        ("y = x.mul(w)", False),
        ("x.mul_(w)", False),
        ("torch.clamp(x, min=0, out=y)", False),
        ("files.append(x)", False),
        ("print(x.mul(w))", False),
    ],
)
def test_the_search_for_dropped_results(line, found):
    code = f"def f(x):\n    if x is not None:\n        {line}\n"
    assert dropped_results(code) == ([f"line 3: {line}"] if found else [])


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize(("line", "reported"), [("w", True), ("y.mul(w)", False)])
def test_a_linter_reports_a_bare_name_and_no_call(line, reported):
    """What lesson 10 says about rule B018."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "B018", "-"]
    code = f"def f(y, w):\n    {line}\n    return y\n"
    result = subprocess.run(command, input=code, capture_output=True, text=True)
    assert ("B018" in result.stdout) == reported, result.stdout + result.stderr
