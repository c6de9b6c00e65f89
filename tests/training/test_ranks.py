"""Two processes that share every batch do what one process does."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from derain_edu.errors import DerainError
from derain_edu.training import ranks
from derain_edu.training.checkpoints import load_checkpoint
from derain_edu.training.ranks import Ranks, joined_ranks
from derain_edu.training.trainer import train

SCRIPT = Path(__file__).with_name("train_with_ranks.py")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run the script under torchrun with two processes; return its folder."""
    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("this PyTorch has no gloo")
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node=2", str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same run in this process."""
    spec = importlib.util.spec_from_file_location("train_with_ranks", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("alone")
    return train(script.config(folder), data=script.Pairs())


def test_two_ranks_match_one(both, alone):
    expected = load_file(alone.out / "model.safetensors")
    found = load_file(both / "whole" / "model.safetensors")
    start = load_checkpoint_of_a_fresh_model(alone)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5, rtol=0), name
        assert not torch.allclose(start[name], value, atol=1e-5, rtol=0), "nothing was trained"


def load_checkpoint_of_a_fresh_model(run):
    from derain_edu import create_model, set_seed

    set_seed(0)
    return create_model("prenet", stages=2, channels=4, blocks=1).state_dict()


def test_the_log_is_that_of_the_whole_batch(both, alone):
    log = load_checkpoint(both / "whole" / "last.pt")["log"]
    for row, expected in zip(log, alone.log, strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert row["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)
        assert row["samples"] == expected["samples"]


def test_only_the_first_rank_writes_and_all_agree(both):
    first, second = (json.loads((both / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert "wrote True" in first[0] and "wrote False" in second[0]
    assert first[0].replace("wrote True", "wrote False") == second[0]


def test_ctrl_c_on_one_rank_stops_both_and_resumes(both):
    for rank in (0, 1):
        said = json.loads((both / f"rank{rank}.json").read_text())
        assert said[1] == "stopped after step 3"
        assert said[2].startswith("6 steps")
    states = [load_checkpoint(both / name / "last.pt") for name in ("whole", "stopped")]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name])


def test_a_nan_on_one_rank_stops_both(both):
    for rank in (0, 1):
        said = json.loads((both / f"rank{rank}.json").read_text())[3]
        assert said == "the loss of step 3 is not finite; its batch is samples [8, 9, 10, 11]"


def test_a_batch_that_can_not_be_shared(both):
    for rank in (0, 1):
        said = json.loads((both / f"rank{rank}.json").read_text())[4]
        assert said.startswith("a batch of 3 can't be shared by 2 processes")


def test_shares_are_the_batch():
    batch = list(range(12))
    for size in (1, 2, 3, 4):
        assert sum((list(Ranks(r, size).share(batch)) for r in range(size)), []) == batch
    with pytest.raises(DerainError, match="multiple of 5"):
        Ranks(0, 5).share(batch)


@pytest.mark.parametrize("ask", ["join", "device"])
def test_each_rank_turns_to_its_own_gpu_first(ask, monkeypatch):
    """Whatever touches "cuda" before that would open a context on GPU 0."""
    done = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda gpu: done.append(f"turn to {gpu}"))
    for module, name in ((ranks, "choose_device"), (dist, "init_process_group")):
        monkeypatch.setattr(
            module, name, lambda *_, n=name: done.append(n) or torch.device("cuda")
        )
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    if ask == "join":
        with joined_ranks("auto") as found:
            assert found == Ranks(1, 2)
    else:
        assert Ranks(1, 2).device("auto") == torch.device("cuda", 1)
    assert done[0] == "turn to 1" and len(done) > 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DerainError, match="there are 1 GPUs .* choose --nproc-per-node=1"):
        Ranks(1, 2).device("cuda")


def test_one_process_needs_no_others(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_ranks("cpu") as ranks:
        assert ranks == Ranks(0, 1) and not dist.is_initialized()
        values = [torch.tensor(2.0)]
        ranks.average(values)
        assert values == [torch.tensor(2.0)] and ranks.agree(3.0, False) == (3.0, False)
