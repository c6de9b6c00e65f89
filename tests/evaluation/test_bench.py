"""The benchmarks: both ways must do the same work, and the tables must say it clearly.

No test looks at a clock: how fast something is depends on the machine and on its other guests.
"""

from __future__ import annotations

import gc

import pytest
import torch

from derain_edu.errors import DerainError
from derain_edu.evaluation import bench, timing
from derain_edu.evaluation.bench_derain import WAYS
from derain_edu.evaluation.bench_sweeps import indexed_sweeps
from derain_edu.evaluation.plain_prenet import PlainPReNet
from derain_edu.models import create_model
from derain_edu.models.irnn import irnn_stack
from derain_edu.training.losses import neg_ssim


@pytest.fixture(scope="module")
def ways():
    return bench.training_ways(batch_size=2, patch_size=16, stages=3)


def test_both_ways_give_the_same_loss(ways):
    expected = ways["plain"].loss().item()
    for name, way in ways.items():
        assert way.loss().item() == pytest.approx(expected, abs=1e-5), name


def test_both_ways_give_the_same_picture_and_gradients():
    model = create_model("prenet", stages=4)
    plain = bench.as_plain_prenet(model)
    rainy, clean = torch.rand(2, 2, 3, 13, 17)
    derained = model(rainy)
    assert torch.allclose(plain(rainy), derained, atol=1e-5)
    neg_ssim(derained, clean).backward()
    neg_ssim(plain(rainy), clean).backward()
    gates = [getattr(plain, f"gate_{gate}").weight.grad for gate in "ifgo"]
    assert torch.allclose(torch.cat(gates), model.memory.gate_conv.weight.grad, atol=1e-5)
    assert torch.allclose(plain.head.weight.grad, model.head.weight.grad, atol=1e-5)


def test_the_plain_step_trains_and_runs_forward_twice():
    plain = PlainPReNet(stages=2)
    calls = []
    plain.head.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    before = plain.tail.weight.detach().clone()
    optimizer = torch.optim.Adam(plain.parameters())
    loss, score = bench.plain_step(plain, optimizer, *torch.rand(2, 1, 3, 12, 12))
    assert calls == [True] * 4  # two stages, twice, with gradients on
    assert -1 <= loss <= 1 and 0 < score < 60
    assert not torch.equal(plain.tail.weight, before) and plain.training


def test_live_memory_counts_what_lives():
    """1000 floats are 4000 bytes; at most three of these tensors live at once."""
    old = torch.ones(1000)
    with timing.LiveMemory() as memory:
        a = old + 1
        view = a.view(10, 100)[2:]  # shares the memory of a
        a.add_(1)
        b = a * 2
        c = b * 2
        del b
        d = c * 2
        old.view(10, 100)  # not new
    assert memory.peak == 12_000
    assert sum(memory.alive.values()) == 12_000
    del a, c, d
    gc.collect()
    assert sum(memory.alive.values()) == 4_000, "the view keeps the memory of a alive"
    del view
    assert memory.alive == {}


def test_checkpointing_needs_a_third_of_the_memory_at_most():
    """Six stages, each of them computed again in the backward pass."""
    ways = bench.training_ways(batch_size=2, patch_size=32, stages=6)
    plain = timing.peak_bytes(ways["plain"].loss)
    assert timing.peak_bytes(ways["this project, stages checkpointed"].loss) <= plain / 3
    assert timing.peak_bytes(ways["this project"].loss) <= 1.02 * plain


def test_interleave_takes_turns():
    turns = []
    ways = {name: lambda name=name: turns.append(name) for name in "ab"}
    seconds = timing.interleave(ways, rounds=3)
    assert turns == list("abababab")  # one round of warming up
    assert {name: len(runs) for name, runs in seconds.items()} == {"a": 3, "b": 3}


def test_speedup_is_the_median_of_ratios():
    assert timing.speedup([3.0, 2.0, 100.0], [1.0, 1.0, 1.0]) == 3.0


def assert_table(text, title, first_cells):
    lines = text.splitlines()
    assert title in lines[0]
    assert "torch" in lines[1] and "threads" in lines[1]
    assert [line.split("  ")[0] for line in lines[4:]] == first_cells
    numbers = [line.split()[-1].removesuffix("×") for line in lines[4:]]
    assert all(float(number) > 0 for number in numbers)


def test_tables():
    ways = ["plain", *(f"this project{more}" for more in ("", ", channels-last"))]
    text = bench.bench_train(rounds=1, batch_size=1, patch_size=16, stages=2)
    assert_table(text, "T = 2, batch 1, 16²", [*ways, "this project, stages checkpointed"])
    text = bench.bench_rain(seconds=0.01)
    presets = [f"add_rain, {name}" for name in ("drizzle", "light", "heavy", "storm")]
    assert_table(text, "64×64", [*presets, "SyntheticRain, training mix"])


def test_the_networks_side_by_side():
    text = bench.bench_networks(rounds=1, side=16)
    assert_table(text, "16×16", list(bench.NETWORKS))
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[4:]}
    assert rows["prenet"][:1] == ["168,963"] and rows["prenet"][2] == "1.00×"


def test_each_way_to_derain_a_photo_in_a_process_of_its_own():
    lines = bench.bench_derain(width=40, height=30).splitlines()
    assert "40×30" in lines[0]
    rows = [line.rsplit(maxsplit=5) for line in lines[4:]]
    assert [name.strip() for name, *_ in rows] == list(WAYS)
    for _, seconds, per_megapixel, speed, memory, _ in rows:
        assert float(per_megapixel) >= float(seconds) > 0 and float(speed.removesuffix("×")) > 0
        assert 0.1 < float(memory) < 3  # gigabytes: a whole process with PyTorch
    assert [cells[-1] for cells in rows][:3] == ["equal"] * 3


def test_run_by_name(monkeypatch):
    monkeypatch.setitem(bench.BENCHES, "rain", lambda: "the table")
    assert bench.run("rain") == "the table"
    with pytest.raises(DerainError, match="choose one of train, rain, derain"):
        bench.run("speed")


def test_the_tables_of_the_sweeps():
    text = bench.bench_irnn(sizes=(8, 9), channels=2, rounds=1)
    assert "Forward, 8×8" in text and "Forward, 9×9" in text
    assert "Forward and backward, 8×8" in text
    for way in ("loop over unbind", "numba, channels-last", "loop that indexes", "rows"):
        assert way in text
    ways = ["plain loop", "numba", "numba, channels-last", "the same in bf16"]
    text = bench.bench_spanet(rounds=1, size=12)
    assert "one picture of 12×12" in text
    differences = {
        line.split("  ")[0]: float(line.split()[-1])
        for line in text.splitlines()
        if line.split("  ")[0] in ways
    }
    assert list(differences) == ways
    assert all(differences[way] <= 1e-5 for way in ways[:3])
    assert 1e-5 < differences["the same in bf16"] < 0.1


def test_the_loop_that_indexes_is_the_recurrence():
    x, alpha, beta = torch.randn(2, 3, 5, 6), torch.randn(4, 3), torch.randn(4, 3)
    assert torch.allclose(
        indexed_sweeps(x, alpha, beta), irnn_stack(x, alpha, beta, "loop"), atol=1e-6
    )
