"""Curricula: pure functions of the progress, equal budgets in every order, a resumable trainer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import derain_edu as de
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import Curriculum, StepSchedule, equal_shares
from derain_edu.training.plan import Plan, PlannedRain, open_data
from derain_edu.training.trainer import Trainer, train

GROWING = Curriculum(
    stages=StepSchedule((1, 2, 3), (0.0, 0.3, 0.6)),
    patch_size=StepSchedule((16, 24), (0.0, 0.5)),
    batch_size=StepSchedule((3, 2), (0.0, 0.5)),
    rain=equal_shares("light", "heavy"),
    loss=equal_shares("l1", "neg_ssim+l1"),
)
TINY = TrainConfig(
    model="prn", options={"channels": 4, "blocks": 1}, stages=3, steps=10, curriculum=GROWING,
    validate_every=0, log_every=1,
)  # fmt: skip


def test_steps_hold_their_value_until_the_next_start():
    schedule = StepSchedule(("a", "b", "c"), (0.0, 0.25, 0.5))
    found = [schedule(p) for p in (0.0, 0.2499, 0.25, 0.4999, 0.5, 1.0)]
    assert found == ["a", "a", "b", "b", "c", "c"]
    assert equal_shares(1, 2, 3, 4).starts == (0, 0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("values", "starts", "message"),
    [
        ((1, 2), (0.0,), "one start per value, got 2 values and 1 starts"),
        ((), (), "one start per value"),
        ((1, 2), (0.1, 0.5), "go up from 0"),
        ((1, 2), (0.0, 0.0), "go up from 0"),
        ((1, 2), (0.0, 1.0), "stay below 1"),
    ],
)
def test_impossible_schedules_are_explained(values, starts, message):
    with pytest.raises(de.DerainError, match=message):
        StepSchedule(values, starts)


def test_impossible_curricula_are_explained():
    with pytest.raises(de.DerainError, match="unknown order 'sideways'"):
        Curriculum(order="sideways")
    with pytest.raises(de.DerainError, match="stages are whole numbers from 1 on"):
        Curriculum(stages=equal_shares(0, 2))
    with pytest.raises(de.DerainError, match="not in minutes"):
        Plan(replace(TINY, steps=None, minutes=1.0))
    with pytest.raises(de.DerainError, match="unknown loss"):
        replace(TINY, curriculum=Curriculum(loss=equal_shares("l1", "vgg")))
    with pytest.raises(de.DerainError, match="no stages to weight, to checkpoint or to grow"):
        Trainer(replace(TINY, model="residual", stages=None))
    with pytest.raises(de.DerainError, match="makes its own pairs"):
        Trainer(TINY, data=de.SyntheticRain(patch_size=16))
    for change in ({"augment": True}, {"photos": "train+extra"}):
        with pytest.raises(de.DerainError, match="about the course's photos"):
            Trainer(replace(TINY, curriculum=None, **change), data=de.SyntheticRain(patch_size=16))


def test_augment_reaches_the_patches():
    plain, changed = (PlannedRain(Plan(replace(TINY, augment=on))) for on in (False, True))
    assert not torch.equal(plain[0]["clean"], changed[0]["clean"])
    assert all(stream.augment for stream in changed.streams.values())


def test_photos_reach_the_stream():
    few, more = (PlannedRain(Plan(replace(TINY, photos=p))) for p in ("train", "train+extra"))
    counts = [len(next(iter(stream.streams.values())).pictures) for stream in (few, more)]
    assert counts[1] > 2 * counts[0]
    assert any(not torch.equal(few[k]["clean"], more[k]["clean"]) for k in range(5))


def test_a_plan_without_curriculum_is_what_the_configuration_says():
    plan = Plan(TrainConfig(minutes=1.0, batch_size=5, patch_size=20, stages=4))
    assert plan.samples(3) == [15, 16, 17, 18, 19] and plan.step_of(19) == 3
    setting = plan.at(10**6)
    assert (setting.stages, setting.patch_size, setting.batch_size) == (4, 20, 5)
    assert (setting.rain, setting.loss) == ("mix", "neg_ssim")


def test_the_plan_spelled_out():
    """Ten steps, counted by hand."""
    plan = Plan(TINY)
    assert [plan.at(s).stages for s in range(10)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert [plan.at(s).patch_size for s in range(10)] == [16] * 5 + [24] * 5
    assert [len(plan.samples(s)) for s in range(10)] == [3] * 5 + [2] * 5
    assert sum((plan.samples(s) for s in range(10)), []) == list(range(25))
    assert all(plan.step_of(k) == s for s in range(10) for k in plan.samples(s))
    samples, compute = plan.spent()
    assert samples == 25
    assert compute == pytest.approx((3 * 256 * (3 + 2 * 2) + 2 * 576 * (2 + 4 * 3)) / 1e6)


@pytest.mark.parametrize("order", ["hard_to_easy", "random"])
def test_every_order_spends_the_same(order):
    easy, other = Plan(TINY), Plan(replace(TINY, curriculum=replace(GROWING, order=order)))
    assert other.spent() == easy.spent()
    settings = [[plan.at(s) for s in range(10)] for plan in (easy, other)]
    assert settings[0] != settings[1]
    assert sorted(map(repr, settings[0])) == sorted(map(repr, settings[1]))
    if order == "hard_to_easy":
        assert settings[1] == settings[0][::-1]


def test_two_random_orders_differ_and_repeat():
    def stages(seed):
        plan = Plan(replace(TINY, curriculum=replace(GROWING, order="random", seed=seed)))
        return [plan.at(step).stages for step in range(10)]

    assert stages(0) == stages(0) != stages(1)


def test_planned_rain_follows_the_plan():
    data = PlannedRain(Plan(TINY))
    assert data[0]["rainy"].shape == (3, 16, 16) and data[20]["rainy"].shape == (3, 24, 24)
    light = de.SyntheticRain(rain="light", patch_size=16, seed=0)
    heavy = de.SyntheticRain(rain="heavy", patch_size=24, seed=0)
    assert torch.equal(data[4]["rainy"], light[4]["rainy"])
    assert torch.equal(data[20]["rainy"], heavy[20]["rainy"])


def test_the_trainer_does_what_the_plan_says(monkeypatch):
    from derain_edu.training import trainer

    seen = []
    real = trainer.objective

    def spy(model, batch, config, loss, stages=None):
        seen.append((tuple(batch["rainy"].shape), stages, loss(batch["clean"], batch["clean"])))
        return real(model, batch, config, loss, stages)

    monkeypatch.setattr(trainer, "objective", spy)
    run = train(TINY)
    shapes = [shape for shape, _, _ in seen]
    assert shapes == [(3, 3, 16, 16)] * 5 + [(2, 3, 24, 24)] * 5
    assert [stages for _, stages, _ in seen] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    # A picture compared with itself: L1 is 0, −SSIM + L1 is −1.
    assert [round(float(loss)) for _, _, loss in seen] == [0] * 5 + [-1] * 5
    assert [row["samples"] for row in run.log] == [3, 6, 9, 12, 15, 17, 19, 21, 23, 25]
    assert run.model.config.stages == 3


def test_a_run_with_a_curriculum_resumes_to_the_bit(tmp_path, monkeypatch):
    config = replace(TINY, curriculum=replace(GROWING, order="random"), ema=0.9)
    through = train(config)
    real = Trainer.write_down

    def interrupted(self, *arguments):
        real(self, *arguments)
        if self.steps_done == 6:
            raise SystemExit

    monkeypatch.setattr(Trainer, "write_down", interrupted)
    cut = replace(config, out=tmp_path, save_every=2)
    with pytest.raises(SystemExit):
        train(cut)
    monkeypatch.setattr(Trainer, "write_down", real)
    resumed = train(cut)
    assert resumed.steps == 10 and len(resumed.log) == 10
    for a, b in zip(through.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(de.DerainError, match="curriculum"):
        train(replace(cut, curriculum=GROWING))


def test_an_epoch_is_all_samples_also_where_batches_grow():
    sizes = StepSchedule((2, 8, 3), (0.0, 0.5, 0.8))
    config = replace(TINY, steps=None, epochs=1, curriculum=Curriculum(batch_size=sizes))
    _, _, plan = open_data(config)
    assert 1000 <= plan.spent()[0] < 1000 + 8
    steady = replace(TINY, steps=None, epochs=1, curriculum=None, batch_size=8)
    assert open_data(steady)[2].steps == 125


def test_rains_and_sizes_share_their_photos():
    rain, sizes = equal_shares("light", "heavy"), equal_shares(16, 24)
    schedules = Curriculum(rain=rain, patch_size=sizes)
    data = PlannedRain(Plan(replace(TINY, curriculum=schedules)))
    first, *others = data.streams.values()
    assert len(others) == 3
    kept = {id(picture) for picture in first.pictures}
    assert all({id(picture) for picture in stream.pictures} <= kept for stream in others)
