"""The trainer against plain loops written here from the textbook."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.models import create_model
from derain_edu.training.checkpoints import COLUMNS
from derain_edu.training.config import SCHEDULES, TrainConfig
from derain_edu.training.losses import make_loss, neg_ssim
from derain_edu.training.objective import objective
from derain_edu.training.trainer import Trainer, train

TINY = {"model": "prn", "stages": 2, "options": {"channels": 4, "blocks": 1}}


class Pairs:
    """An endless stream of tiny pairs: noise, and the same noise, brighter by 0.2."""

    def __init__(self, nan_at: int | None = None) -> None:
        self.nan_at = nan_at

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        clean = 0.8 * torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k))
        rainy = clean + 0.2
        if k == self.nan_at:
            rainy[0, 3, 3] = math.nan
        return {"rainy": rainy, "clean": clean}


VALIDATION = [Pairs()[10_000], Pairs()[10_001]]


def tiny(**changes):
    defaults = {**TINY, "steps": 6, "batch_size": 4, "patch_size": 16, "log_every": 1}
    return TrainConfig(**{**defaults, **changes})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def plain_loop(steps, factor, loss, clip=None, seed=0):
    """Training as in any tutorial; returns the model and the weights after each step."""
    torch.manual_seed(seed)
    model = create_model("prn", stages=2, channels=4, blocks=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: factor(s / steps))
    trail = []
    for s in range(steps):
        batch = [Pairs()[k] for k in range(4 * s, 4 * s + 4)]
        rainy, clean = (torch.stack([b[key] for b in batch]) for key in ("rainy", "clean"))
        optimizer.zero_grad()
        loss(model.unroll(rainy), clean).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
        trail.append(weights(model))
    return model, trail


# -- schedules and configuration ----------------------------------------------------------------


def rates(scheduler_class, steps, **options):
    """What PyTorch's own schedulers do over ``steps`` steps."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = scheduler_class(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_is_pytorchs():
    theirs = rates(torch.optim.lr_scheduler.CosineAnnealingLR, 40, T_max=40)
    assert np.allclose([SCHEDULES["cosine"](s / 40) for s in range(40)], theirs)


def test_authors_schedule_is_theirs():
    """MultiStepLR with milestones 30, 50, 80 of 100 epochs and factor 0.2."""
    theirs = rates(
        torch.optim.lr_scheduler.MultiStepLR, 100, milestones=[30, 50, 80], gamma=0.2
    )
    assert np.allclose([SCHEDULES["authors"](s / 100) for s in range(100)], theirs)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_start_at_one_and_never_rise(name):
    factors = [SCHEDULES[name](p) for p in np.linspace(0, 1, 101)]
    assert factors[0] == 1 and min(factors) >= 0
    assert all(a >= b for a, b in zip(factors, factors[1:], strict=False))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "exactly one budget"),
        ({"minutes": 1.0}, "exactly one budget"),
        ({"steps": 0}, "larger than 0"),
        ({"steps": None, "minutes": -1.0}, "larger than 0"),
        ({"loss": "huber"}, "unknown loss"),
        ({"schedule": "step"}, "unknown schedule 'step': choose one of cosine, authors, constant"),
        ({"precision": "float16"}, "unknown precision"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"ema": 1.0}, "between 0 and 1"),
        ({"lr": 0.0}, "lr must be larger than 0"),
        ({"attention_mask": "wet"}, "unknown attention_mask 'wet': choose one of paper, released"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"workers": 99_999}, "at most 256, got 99999"),
        ({"hard": 1.5}, "hard is a share from 0 to 1"),
        ({"grad_clip": 0.0}, "grad_clip must be larger than 0"),
    ],
)
def test_impossible_configurations(changes, message):
    with pytest.raises(DerainError, match=message):
        tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "prnet"}, "unknown model"),
        ({"data": "snow"}, "unknown rain 'snow': choose one of drizzle, .*, mix\\+noise"),
        ({"precision": "fp16", "device": "cpu"}, "fp16 needs a GPU"),
        (
            {"model": "residual", "stages": None, "stage_weights": (1.0,)},
            "residual has no stages",
        ),
        ({"stage_weights": (0.5, 0.5, 1.5)}, "3 stage weights for 2 stages"),
        ({"attention_mask": "paper"}, "prn has no attention map"),
        (
            {"model": "spanet", "options": {"channels": 4}, "stages": 1, "attention_mask": "true"},
            "these data don't say where the rain is",
        ),
    ],
)
def test_configurations_that_do_not_fit(changes, message):
    with pytest.raises(DerainError, match=message):
        train(tiny(**changes), data=None if "data" in changes else Pairs())


# -- the step -----------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_is_the_plain_loop(schedule):
    def loss(stages, clean):
        return F.l1_loss(stages[-1], clean)

    run = train(tiny(schedule=schedule, loss="l1"), data=Pairs())
    model, _ = plain_loop(6, SCHEDULES[schedule], loss)
    assert torch.equal(weights(run.model), weights(model))


def test_stage_weights_and_clipping_are_the_plain_loop():
    def loss(stages, clean):
        return 0.5 * F.mse_loss(stages[0], clean) + 1.5 * F.mse_loss(stages[1], clean)

    run = train(tiny(loss="mse", stage_weights=(0.5, 1.5), grad_clip=0.05), data=Pairs())
    model, _ = plain_loop(6, SCHEDULES["cosine"], loss, clip=0.05)
    assert torch.allclose(weights(run.model), weights(model), atol=1e-7)
    assert max(row["grad_norm"] for row in run.log) > 0.05, "the clip never acted"
    free, _ = plain_loop(6, SCHEDULES["cosine"], loss)
    assert not torch.allclose(weights(run.model), weights(free), atol=1e-7)


@pytest.mark.parametrize("mask", ["paper", "released"])
@pytest.mark.parametrize("acts", [False, True])
def test_attention_is_taught_as_in_the_plain_loop(mask, acts):
    """SPANet's whole loss: L1 + (1 − SSIM) + the square error of the FIRST map to the mask."""
    options = {"channels": 4, "blocks": 1, "direction_attention": acts}
    run = train(
        tiny(model="spanet", options=options, stages=2, steps=3, schedule="constant",
             loss="l1+neg_ssim", attention_mask=mask),
        data=Pairs(),
    )  # fmt: skip
    torch.manual_seed(0)
    model = create_model("spanet", stages=2, **options)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for s in range(3):
        batch = [Pairs()[k] for k in range(4 * s, 4 * s + 4)]
        rainy, clean = (torch.stack([b[key] for b in batch]) for key in ("rainy", "clean"))
        derained, maps = model.attend(rainy)
        wet = torch.ones(4, 1, 16, 16)  # every pixel of these pairs is brighter
        loss = F.l1_loss(derained, clean) + neg_ssim(derained, clean)
        loss = loss + (maps[:, :1] - wet).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(weights(run.model), weights(model))


class StagesAndMaps(nn.Module):
    """A network that has both: stages, and a map of where it rains."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def unroll(self, rainy, stages=None, checkpoint=False):
        return [rainy * self.weight]

    def attend(self, rainy):
        return rainy * self.weight, self.weight.expand(len(rainy), 1, *rainy.shape[2:])


def test_a_mask_teaches_a_network_with_stages_too(monkeypatch):
    """Its part of the loss is not left out in silence, and what contradicts it is refused."""
    config = tiny(model="prn", loss="l1", attention_mask="paper")
    pairs = [Pairs()[k] for k in range(4)]
    batch = {key: torch.stack([pair[key] for pair in pairs]) for key in ("rainy", "clean")}
    model = StagesAndMaps()
    found = objective(model, batch, config, make_loss("l1"))
    derained, maps = model.attend(batch["rainy"])
    wet = torch.ones(4, 1, 16, 16)
    expected = F.l1_loss(derained, batch["clean"]) + (maps - wet).square().mean()
    assert torch.allclose(found, expected)
    monkeypatch.setattr("derain_edu.training.trainer.create_model", lambda *_, **__: model)
    with pytest.raises(DerainError, match="attention_mask needs a loss on the last stage only"):
        Trainer(tiny(attention_mask="paper", stage_weights=(0.5, 1.0)), data=Pairs())


def test_synthetic_rain_teaches_with_its_true_streaks():
    """The true mask goes from the rain generator through the loader into the loss."""
    options = {"channels": 4, "blocks": 1}
    config = tiny(model="spanet", options=options, data="heavy", validate_every=0)
    plain = Trainer(config)
    taught = Trainer(replace(config, attention_mask="true", attention_weight=3.0))
    batch = next(taught.batches())
    assert 0 < batch["mask"].float().mean() < 1
    with torch.no_grad():
        first = taught.model.attend(batch["rainy"])[1][:, :1]
        expected = plain.loss_of(batch) + 3 * (first - batch["mask"].float()).square().mean()
        assert taught.loss_of(batch).item() == pytest.approx(expected.item(), abs=1e-6)


def test_ema_is_the_running_mean():
    def loss(stages, clean):
        return F.l1_loss(stages[-1], clean)

    _, trail = plain_loop(6, SCHEDULES["cosine"], loss)
    torch.manual_seed(0)
    mean = weights(create_model("prn", stages=2, channels=4, blocks=1)).double()
    for s, now in enumerate(trail, start=1):
        decay = min(0.3, (1 + s) / (10 + s))
        mean = decay * mean + (1 - decay) * now.double()
    run = train(tiny(loss="l1", ema=0.3), data=Pairs())
    assert torch.allclose(weights(run.model).double(), mean, atol=1e-6)
    assert not torch.allclose(weights(run.model), trail[-1], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"checkpoint_stages": True}, 1e-6),
        ({"channels_last": True}, 1e-5),
        ({"workers": 1}, 0.0),
        ({"precision": "bf16"}, 2e-2),
    ],
)
def test_the_way_does_not_change_the_result(changes, tolerance):
    expected = train(tiny(), data=Pairs()).model
    got = train(tiny(**changes), data=Pairs()).model
    assert (weights(got) - weights(expected)).abs().max().item() <= tolerance


def test_bf16_really_computes_in_bf16():
    trainer = Trainer(tiny(precision="bf16", steps=1), data=Pairs())
    seen = []
    trainer.model.head.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    trainer.run()
    assert set(seen) == {torch.bfloat16}


def test_checkpointing_really_recomputes():
    trainer = Trainer(tiny(checkpoint_stages=True, steps=1), data=Pairs())
    calls = []
    trainer.model.head.register_forward_hook(lambda m, i, o: calls.append(1))
    trainer.run()
    assert len(calls) == 4  # two stages, each computed twice


def test_it_learns():
    run = train(tiny(steps=60, lr=1e-2, loss="mse", log_every=60), data=Pairs())
    rainy, clean = (torch.stack([p[key] for p in VALIDATION]) for key in ("rainy", "clean"))
    assert F.mse_loss(run.model(rainy), clean) < 0.1 * F.mse_loss(rainy, clean)  # 10 dB


# -- budgets, log, results ------------------------------------------------------------------------


def test_a_budget_in_minutes_stops_by_the_clock():
    run = train(tiny(steps=None, minutes=0.005), data=Pairs())
    assert run.steps >= 1 and run.minutes >= 0.005
    assert run.log[-1]["step"] == run.steps
    assert run.log[-1]["lr"] < 1e-3  # the schedule followed the clock


def test_a_budget_in_epochs_counts_samples():
    pairs = [Pairs()[k] for k in range(10)]  # data with a length
    assert train(tiny(steps=None, epochs=1.5), data=pairs).steps == 4  # ceil(15 / 4)
    trainer = Trainer(tiny(steps=None, epochs=2, batch_size=8), data=Pairs())  # without
    assert trainer.plan.steps == 250


def test_stop_after_leaves_the_schedules_as_they_are(tmp_path):
    whole = Trainer(tiny(steps=6), data=Pairs())
    batches = whole.batches()
    for _ in range(4):
        whole.step(next(batches))
    rate = whole.optimizer.param_groups[0]["lr"]
    config = tiny(steps=6, stop_after=4, out=tmp_path)
    first, again = train(config, data=Pairs()), train(config, data=Pairs())
    assert torch.equal(weights(first.model), weights(whole.model))
    assert first.log[-1]["lr"] == rate > 1e-4 and first.steps == again.steps == 4
    assert torch.equal(weights(first.model), weights(again.model))  # it was finished
    with pytest.raises(DerainError, match="stop_after must be at least 1"):
        tiny(stop_after=0)


def test_bundled_data_are_used_by_default():
    run = train(tiny(steps=2, validate_every=2, validation_pairs=2, validation_size=32))
    assert 5 < run.log[-1]["validation_psnr"] < 60


def test_seeds_decide():
    same = [weights(train(tiny(steps=2, seed=4), data=Pairs()).model) for _ in range(2)]
    other = weights(train(tiny(steps=2, seed=5), data=Pairs()).model)
    assert torch.equal(*same) and not torch.equal(same[0], other)


def test_log(tmp_path):
    calls = []
    run = train(
        tiny(steps=7, log_every=3, validate_every=2, out=tmp_path / "run"),
        data=Pairs(),
        validation=VALIDATION,
        on_log=lambda rows: calls.append(len(rows)),
    )
    assert [row["step"] for row in run.log] == [2, 3, 4, 6, 7]
    judged = [row["step"] for row in run.log if row["validation_psnr"] is not None]
    assert judged == [2, 4, 6, 7]
    assert [row["samples"] for row in run.log] == [8, 12, 16, 24, 28]
    assert calls == [1, 2, 3, 4, 5]
    with open(tmp_path / "run" / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    for written, row in zip(rows, run.log, strict=True):
        for name in COLUMNS:
            expected = "" if row[name] is None else pytest.approx(row[name], rel=1e-6)
            assert (float(written[name]) if written[name] else "") == expected


def test_log_holds_means():
    every = train(tiny(log_every=1), data=Pairs()).log
    pairs = train(tiny(log_every=2), data=Pairs()).log
    for name in ("loss", "grad_norm"):
        means = [(every[i][name] + every[i + 1][name]) / 2 for i in (0, 2, 4)]
        assert [row[name] for row in pairs] == pytest.approx(means)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(tiny(), data=Pairs()).out is None
    assert list(tmp_path.iterdir()) == []


def test_the_weights_can_be_loaded_again(tmp_path):
    run = train(tiny(out=tmp_path, ema=0.5), data=Pairs(), validation=VALIDATION)
    rainy = VALIDATION[0]["rainy"][None]
    for name in ("model.safetensors", "last.pt"):
        model = create_model("prn", pretrained=tmp_path / name)
        assert model.config.stages == 2
        assert torch.equal(model(rainy), run.model(rainy)), name
    with pytest.raises(DerainError):
        create_model("prenet", pretrained=tmp_path / "last.pt")


def test_best_is_the_best(tmp_path):
    run = train(
        tiny(steps=8, lr=0.3, schedule="constant", validate_every=1, out=tmp_path),
        data=Pairs(),
        validation=VALIDATION,
    )
    scores = [row["validation_psnr"] for row in run.log]
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert best["best"] == max(scores)
    assert best["step"] == 1 + scores.index(max(scores)) < 8, "choose settings that get worse"


def test_fine_tuning_starts_from_given_weights(tmp_path):
    first = train(tiny(out=tmp_path), data=Pairs())
    second = Trainer(tiny(pretrained=str(tmp_path / "model.safetensors")), data=Pairs())
    assert torch.equal(weights(second.model), weights(first.model))
    assert second.model.training


# -- what is not finite ---------------------------------------------------------------------------


def test_a_nan_in_the_data_stops_with_all_that_is_needed(tmp_path):
    config = tiny(steps=20, save_every=2, out=tmp_path / "run")
    with pytest.raises(DerainError) as caught:
        train(config, data=Pairs(nan_at=22))  # in the sixth batch
    message = str(caught.value)
    assert "loss of step 6 is not finite" in message
    assert "[20, 21, 22, 23]" in message and str(tmp_path / "run" / "last.pt") in message
    kept = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert kept["step"] == 4
    assert all(value.isfinite().all() for value in kept["model"].values())


def replace_loss(monkeypatch, loss):
    monkeypatch.setattr("derain_edu.training.trainer.make_loss", lambda name: loss)


def test_an_infinite_gradient_stops_before_the_weights(monkeypatch):
    trainer = Trainer(tiny(), data=Pairs())
    before = weights(trainer.model).clone()
    # The loss is 0, but the square root has an infinite slope there.
    replace_loss(monkeypatch, lambda x, clean: (x - x.detach()).abs().sum().sqrt())
    with pytest.raises(DerainError, match="gradient of step 1 is not finite"):
        trainer.run()
    assert torch.equal(weights(trainer.model), before)


# -- fp16 needs a GPU; its gradient scaler works everywhere -------------------------------------


def with_scaler(scale):
    trainer = Trainer(tiny(grad_clip=0.05), data=Pairs())
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return trainer


def test_scaling_the_loss_changes_nothing():
    """A power of two is exact, so the weights agree to the last bit."""
    expected = train(tiny(grad_clip=0.05), data=Pairs())
    scaled = with_scaler(2.0**10).run()
    assert torch.equal(weights(scaled.model), weights(expected.model))
    assert [row["grad_norm"] for row in scaled.log] == [row["grad_norm"] for row in expected.log]


def test_an_overflow_skips_the_step_and_scales_less(monkeypatch):
    trainer = with_scaler(2.0**127)
    replace_loss(monkeypatch, lambda derained, clean: 1e3 * F.l1_loss(derained, clean))
    before = weights(trainer.model).clone()
    trainer.step(next(trainer.batches()))
    assert torch.equal(weights(trainer.model), before)
    assert trainer.scaler.get_scale() == 2.0**126 and trainer.steps_done == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_on_a_gpu(precision):
    low, full = (
        train(tiny(precision=p, device="cuda", channels_last=True), data=Pairs()).model.cpu()
        for p in (precision, "float32")
    )
    assert (weights(low) - weights(full)).abs().max().item() < 2e-2


@pytest.mark.parametrize(("value", "hidden"), [("1", True), ("0", False), (None, False)])
def test_the_progress_bar_can_be_turned_off(monkeypatch, value, hidden):
    """tqdm's bar for notebooks shows itself whatever TQDM_DISABLE says."""
    given = {}

    def bar(**options):
        given.update(options)

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if value is not None:
        monkeypatch.setenv("TQDM_DISABLE", value)
    monkeypatch.setattr("derain_edu.training.trainer.tqdm", bar)
    Trainer(tiny(), data=Pairs())._progress_bar()
    assert given["disable"] is hidden and given["desc"] == "prn"
