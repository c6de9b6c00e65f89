"""A run that was stopped and resumed equals the run that was not, to the last bit."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from derain_edu import files
from derain_edu.errors import DerainError
from derain_edu.files import write_atomically
from derain_edu.training.checkpoints import (
    KEYS,
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
    stop_requests,
)
from derain_edu.training.config import TrainConfig
from derain_edu.training.trainer import Trainer, train

KILLED = Path(__file__).with_name("train_and_die.py")


class Pairs:
    """Tiny random pairs; sample ``stop_at`` presses Ctrl-C."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        if k == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        clean = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k))
        return {"rainy": 0.7 * clean + 0.3, "clean": clean}


class NoisyTrainer(Trainer):
    """A trainer that uses every random number generator in every step."""

    def loss_of(self, batch):
        noise = random.random() + np.random.rand() + torch.rand(())
        batch["rainy"] = batch["rainy"] + 0.01 * noise
        return super().loss_of(batch)


VALIDATION = [Pairs()[1000]]


def config(out, **changes):
    settings = {
        "model": "prn", "stages": 2, "options": {"channels": 4, "blocks": 1}, "steps": 8,
        "batch_size": 2, "ema": 0.9, "grad_clip": 1.0, "log_every": 3, "validate_every": 4,
        "save_every": 100, "out": out,
    }  # fmt: skip
    return TrainConfig(**{**settings, **changes})


def run(out, stop_at=None, trainer=Trainer, **changes):
    trainer = trainer(config(out, **changes), Pairs(stop_at), VALIDATION)
    if (out / "last.pt").exists():
        trainer.load_state(load_checkpoint(out / "last.pt"))
    return trainer.run()


def differences(a, b, where=""):
    """Name everything in which two checkpoints differ, apart from the clock and the place."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), where
        skip = {"seconds", "minutes", "out"}
        return [d for k in a if k not in skip for d in differences(a[k], b[k], f"{where}/{k}")]
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        pairs = enumerate(zip(a, b, strict=True))
        return [d for i, (x, y) in pairs for d in differences(x, y, f"{where}/{i}")]
    equal = torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    return [] if equal else [where]


def table(folder):
    with open(folder / "log.csv", newline="") as file:
        return [{**row, "minutes": ""} for row in csv.DictReader(file)]


def assert_same_run(a, b):
    for name in ("last.pt", "best.pt"):
        assert differences(load_checkpoint(a / name), load_checkpoint(b / name)) == []
    weights = [load_file(folder / "model.safetensors") for folder in (a, b)]
    assert differences(*weights) == []
    assert table(a) == table(b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, trainer=NoisyTrainer)
    return folder


@pytest.mark.parametrize("step", [1, 2, 4, 5, 7])
def test_stopped_and_resumed_is_the_whole_run(whole, tmp_path, step):
    with pytest.raises(KeyboardInterrupt, match=f"after step {step}"):
        run(tmp_path, stop_at=2 * (step - 1) + 1, trainer=NoisyTrainer)
    assert load_checkpoint(tmp_path / "last.pt")["step"] == step
    random.seed(99), np.random.seed(99), torch.manual_seed(99)  # another process, another state
    run(tmp_path, trainer=NoisyTrainer)
    assert_same_run(whole, tmp_path)


def test_stopped_many_times(whole, tmp_path):
    for step in (1, 3, 4, 6):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, stop_at=2 * (step - 1) + 1, trainer=NoisyTrainer)
    run(tmp_path, trainer=NoisyTrainer)
    assert_same_run(whole, tmp_path)


def test_a_stop_in_the_last_step_changes_nothing(whole, tmp_path):
    assert run(tmp_path, stop_at=15, trainer=NoisyTrainer).steps == 8
    assert_same_run(whole, tmp_path)


def test_the_comparison_sees_small_differences(whole, tmp_path):
    run(tmp_path, trainer=NoisyTrainer, lr=1.001e-3)
    found = differences(load_checkpoint(whole / "last.pt"), load_checkpoint(tmp_path / "last.pt"))
    assert {"/config/lr", "/model/head.weight", "/optimizer/state/0/exp_avg"} <= set(found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_killed_and_resumed_is_the_whole_run(tmp_path):
    """SIGKILL between saves, in the middle of a write, and on both sides of the renaming."""
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {
        "in_the_first_step": 0,
        "between_two_saves": 6,
        "half_of_last_written": 4,
        "last_not_yet_renamed": 2,
        "last_just_renamed": 4,
        "half_of_best_written": 2,
        "half_of_the_export_written": 10,
    }
    for name in json.loads(done.stdout):
        assert_same_run(tmp_path / "whole", tmp_path / name)


def test_train_resumes_by_itself_and_returns_finished_runs(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(config(tmp_path), data=Pairs(stop_at=8), validation=VALIDATION)
    first = train(config(tmp_path), data=Pairs(), validation=VALIDATION)
    before = load_checkpoint(tmp_path / "last.pt")
    again = train(config(tmp_path), data=Pairs(stop_at=1), validation=VALIDATION)  # no step runs
    assert (again.steps, again.log) == (first.steps, first.log)
    assert differences(before, load_checkpoint(tmp_path / "last.pt")) == []


def test_never_starts_over(tmp_path):
    train(config(tmp_path), data=Pairs(), validation=VALIDATION)
    run = train(config(tmp_path, steps=3, validate_every=0), resume="never", data=Pairs())
    assert run.steps == 3
    names = sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock")
    assert names == ["last.pt", "log.csv", "model.safetensors"]
    with pytest.raises(DerainError, match="'auto' or 'never'"):
        train(config(tmp_path), resume="always", data=Pairs())


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 2e-3},
        {"steps": 9},
        {"options": {"channels": 4, "blocks": 2}},
        {"stage_weights": (0.5, 1.5)},
        {"seed": 1},
    ],
)
def test_another_configuration_is_not_resumed(whole, tmp_path, changes):
    (tmp_path / "last.pt").write_bytes((whole / "last.pt").read_bytes())
    name = next(iter(changes))
    with pytest.raises(DerainError, match=f"holds a run with {name}=.*another out folder"):
        train(config(tmp_path, **changes), data=Pairs(), validation=VALIDATION)


def test_other_data_are_not_resumed(whole, tmp_path):
    (tmp_path / "last.pt").write_bytes((whole / "last.pt").read_bytes())
    other = Pairs()
    other.__class__ = type("Other", (Pairs,), {"__getitem__": lambda self, k: Pairs()[k + 1]})
    with pytest.raises(DerainError, match="other data"):
        train(config(tmp_path), data=other, validation=VALIDATION)


def test_where_and_how_often_may_change(whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", stop_at=6)
    (tmp_path / "a").rename(tmp_path / "b")
    run(tmp_path / "b", save_every=1)
    run(tmp_path / "c")
    last = [load_checkpoint(tmp_path / name / "last.pt")["model"] for name in "bc"]
    assert differences(*last) == []


# -- the pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_damaged_checkpoints_are_explained(whole, tmp_path, content):
    data = (whole / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(DerainError, match="last.pt can't be read"):
        train(config(tmp_path), data=Pairs(), validation=VALIDATION)


def test_a_file_of_weights_is_not_a_checkpoint(tmp_path):
    torch.save({"head.weight": torch.zeros(3)}, tmp_path / "last.pt")
    with pytest.raises(DerainError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_checkpoint_never_runs_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'evil'}",))

    torch.save({"model": Evil(), "optimizer": {}, "step": 0}, tmp_path / "last.pt")
    with pytest.raises(DerainError):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "evil").exists()


def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch):
    save_checkpoint({**dict.fromkeys(KEYS), "step": 1}, tmp_path / "last.pt")

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError):
        write_atomically(tmp_path / "last.pt", b"half")
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 1


def test_an_unwritable_folder_is_found_out_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    data = Pairs(stop_at=2)
    with pytest.raises(DerainError, match="can't write to"):
        train(config(tmp_path / "file"), data=data)


def test_random_state_is_restored(tmp_path):
    def draw():
        return random.random(), np.random.randn(), np.random.rand(), torch.rand(()).item()

    np.random.randn()  # NumPy keeps the second number of a normal pair: part of the state
    save_checkpoint({**dict.fromkeys(KEYS), "random": random_state()}, tmp_path / "state")
    expected = draw()
    draw()
    set_random_state(load_checkpoint(tmp_path / "state")["random"])
    assert draw() == expected


def test_stop_requests_wait_and_then_insist():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_requests() as requests:
        os.kill(os.getpid(), signal.SIGINT)
        assert requests == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_stop_requests_outside_the_main_thread():
    seen = []

    def work():
        with stop_requests() as requests:
            seen.append(requests)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[]]


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path):
    """Nobody takes another one's temporary file, and no reader sees a part."""
    path, contents = tmp_path / "a.bin", [bytes([k]) * 50_000 for k in range(8)]
    write_atomically(path, contents[0])

    def write_and_read(content):
        for _ in range(10):
            write_atomically(path, content)
            assert path.read_bytes() in contents

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_and_read, contents))
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".csv")  # 254 bytes: the longest that file systems take is 255
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"
