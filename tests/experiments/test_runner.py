"""The recorded experiments: every cell once, nothing lost by a kill, numbers as recorded."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from derain_edu.errors import DerainError
from derain_edu.experiments import runner
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize
from derain_edu.experiments.tables import EXPERIMENTS
from derain_edu.files import data_folder, reserved
from derain_edu.training.plan import Plan

REPOSITORY = Path(__file__).resolve().parents[2]


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_smoke_run_fills_the_table_and_resumes(tmp_path, monkeypatch):
    table = EXPERIMENTS["rain_or_picture"]
    two = dict(list(table.variants.items())[:2])
    monkeypatch.setitem(EXPERIMENTS, "rain_or_picture", replace(table, variants=two))
    trained = []
    real = runner.run_cell

    def counting(experiment, variant, seed):
        trained.append((variant, seed))
        return real(experiment, variant, seed)

    monkeypatch.setattr(runner, "run_cell", counting)
    path = runner.run_experiment("rain_or_picture", smoke=True, folder=tmp_path)
    assert [row["variant"] for row in rows(path)] == list(two)
    assert len({row["parameters"] for row in rows(path)}) == 1

    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")  # as if killed before the last cell
    trained.clear()
    runner.run_experiment("rain_or_picture", smoke=True, folder=tmp_path)
    assert trained == [("predicts the picture", 0)]
    assert len(rows(path)) == 2
    description = json.loads(path.with_suffix(".json").read_text())
    assert description["question"].endswith("?") and description["steps"] == 2


def test_a_second_run_of_an_experiment_gets_a_sentence(tmp_path):
    """Both would find the same cells missing, and count each seed twice."""
    with (
        reserved(tmp_path / ".rain_or_picture", "the experiment"),
        pytest.raises(DerainError, match="the experiment rain_or_picture is going on in"),
    ):
        runner.run_experiment("rain_or_picture", smoke=True, folder=tmp_path)
    assert not (tmp_path / "rain_or_picture.csv").exists()


def test_locks_are_no_part_of_the_repository():
    paths = ["data/results/.capacity/.lock", "data/results/.leaderboard.csv.lock"]
    shown = subprocess.run(
        ["git", "check-ignore", *paths], cwd=REPOSITORY, capture_output=True, text=True
    )
    if shown.returncode == 128:
        pytest.skip("this is no clone")
    assert shown.stdout.splitlines() == paths


def test_a_smoke_run_never_lands_among_the_results():
    with pytest.raises(DerainError, match="folder of its own"):
        runner.run_experiment("rain_or_picture", smoke=True)


def test_fixed_samples_repeat():
    data = runner.FixedSamples(["a", "b", "c"], 2)
    assert [data[k] for k in range(5)] == ["a", "b", "a", "b", "a"]


def test_the_interval_is_students():
    """1, 2, 3: mean 2, standard deviation 1, t(0.975, 2) = 4.30265."""
    table = [{"variant": "v", "psnr_validation": float(x)} for x in (1, 2, 3)]
    mean, half = summarize(table)["v"]
    assert mean == pytest.approx(2) and half == pytest.approx(4.30265 / 3**0.5)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_the_recorded_results_are_complete(name):
    experiment = EXPERIMENTS[name]
    recorded = load_results(name)
    cells = {(row["variant"], row["seed"]) for row in recorded}
    assert cells == set(runner._cells(experiment)) and len(recorded) == len(cells)
    for row in recorded:
        config = runner.cell_config(experiment, row["variant"], row["seed"])
        assert row["steps"] == config.steps
    description = json.loads((data_folder() / "results" / f"{name}.json").read_text())
    assert list(description["variants"]) == list(experiment.variants)


def test_a_variant_has_settings_and_a_budget_of_its_own():
    table = EXPERIMENTS["curricula"]
    config = runner.cell_config(table, "one step, compute of growing stages", 1)
    assert (config.steps, config.seed, config.data) == (750, 1, "light")
    config = runner.cell_config(EXPERIMENTS["rain_curricula"], "heavy rain only", 0)
    assert (config.steps, config.data) == (1200, "heavy")


@pytest.mark.parametrize("name", ["curricula", "rain_curricula"])
def test_every_order_of_a_curriculum_spends_the_same(name):
    plans = {
        variant: Plan(runner.cell_config(EXPERIMENTS[name], variant, 0))
        for variant in EXPERIMENTS[name].variants
    }
    for variant in (v for v in plans if v.endswith("random order")):
        easy = plans[variant.replace("random order", "easy to hard")]
        assert easy.spent(4) == plans[variant].spent(4)
        steps = range(0, 1200, 50)
        assert [easy.at(step) for step in steps] != [plans[variant].at(step) for step in steps]


def test_growing_stages_and_their_control_spend_the_same_compute():
    curricula = EXPERIMENTS["curricula"]
    growing, control = (
        Plan(runner.cell_config(curricula, name, 0)).spent(4)[1]
        for name in ("stages, easy to hard", "one step, compute of growing stages")
    )
    assert growing == pytest.approx(control)


def test_unknown_names_are_explained():
    with pytest.raises(DerainError, match="rain_or_picture, capacity"):
        runner.run_experiment("everything")
    with pytest.raises(DerainError, match="no results"):
        load_results("everything")


def test_a_table_may_have_rows_with_different_columns(tmp_path):
    runner.append_row(tmp_path / "a.csv", {"variant": "PRN", "seed": 0, "missing_first": 1.5})
    runner.append_row(tmp_path / "a.csv", {"variant": "baseline", "seed": 0, "missing_all": 2})
    assert [row["missing_first"] for row in rows(tmp_path / "a.csv")] == ["1.5", ""]
    assert [row["missing_all"] for row in rows(tmp_path / "a.csv")] == ["", "2"]


def test_a_complete_experiment_keeps_its_provenance(tmp_path):
    """Asked for again, it runs nothing, and says nothing new about machine and commit."""
    path = runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    story = path.with_suffix(".json")
    told = json.loads(story.read_text(encoding="utf-8"))
    told["runs"][0]["commit"] = "of that day"
    story.write_text(json.dumps(told), encoding="utf-8")
    runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    assert json.loads(story.read_text(encoding="utf-8")) == told


def test_each_run_tells_its_own_provenance(tmp_path):
    """Rows that are added later say nothing about those that were there."""
    path = runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    story = path.with_suffix(".json")
    told = json.loads(story.read_text(encoding="utf-8"))
    told["runs"][0]["commit"] = "of that day"
    story.write_text(json.dumps(told), encoding="utf-8")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    runs = json.loads(story.read_text(encoding="utf-8"))["runs"]
    assert [run["cells"] for run in runs] == [2, 1]
    assert runs[0]["commit"] == "of that day" != runs[1]["commit"]


def test_a_stopped_run_tells_what_it_did(tmp_path, monkeypatch):
    real, cells = runner.take_measurement, []

    def stopped(*cell):
        cells.append(cell)
        if len(cells) == 2:
            raise KeyboardInterrupt
        return real(*cell)

    monkeypatch.setattr(runner, "take_measurement", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    runs = json.loads((tmp_path / "rounds_of_sweeps.json").read_text(encoding="utf-8"))["runs"]
    assert [run["cells"] for run in runs] == [1]


def test_each_seed_has_its_own_random_order():
    """With one order for all seeds, a lucky order would look like a property of orders."""
    plans = [
        Plan(runner.cell_config(EXPERIMENTS["curricula"], "stages, random order", seed))
        for seed in (0, 1)
    ]
    first, second = ([plan.at(step).stages for step in range(0, 1200, 10)] for plan in plans)
    assert first != second and sorted(first) != first
