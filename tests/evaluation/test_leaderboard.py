"""The board: fixed pictures, entries that are measured, a file that stays whole, its commands."""

from __future__ import annotations

import csv
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

import derain_edu as de
from derain_edu.cli.app import app
from derain_edu.datasets.held_out import RAINS, SIDE, SPLITS, fixed_pairs
from derain_edu.evaluation import leaderboard as board
from derain_edu.evaluation import provenance
from derain_edu.evaluation.benchmarks import models_with, score_benchmarks
from derain_edu.evaluation.scores import SCORES, measure, picture_scores
from derain_edu.files import changing
from derain_edu.models.pretrained import open_weights_folder
from derain_edu.models.registry import _REGISTERED, run_code
from derain_edu.training.checkpoints import load_checkpoint

RESIDUAL = open_weights_folder() / "residual.safetensors"

CODE = """
from dataclasses import dataclass

import torch
from torch import nn

from derain_edu.models import register_model


@dataclass(frozen=True)
class Config:
    channels: int = 4


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.one = nn.Conv2d(3, config.channels, 3, padding=1)
        self.two = nn.Conv2d(config.channels, 3, 3, padding=1)

    def forward(self, rainy):
        return rainy + self.two(torch.relu(self.one(rainy)))


register_model("test_net", Net, Config)
"""


def call(*arguments: object) -> tuple[int, str, str]:
    """Run a command in this process; return status, output and errors."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def few(monkeypatch):
    """Two photos instead of ten, so that a network is measured in a second."""
    monkeypatch.setattr("derain_edu.datasets.held_out.photo_names", lambda split: ["china"])
    monkeypatch.setattr("derain_edu.evaluation.harm.photo_names", lambda split: ["china"])
    fixed_pairs.cache_clear()
    yield
    fixed_pairs.cache_clear()


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "my_net.py"
    path.write_text(CODE, encoding="utf-8")
    yield path
    _REGISTERED.pop("test_net", None)


@pytest.fixture
def run(code, tmp_path):
    """A run folder of a network of one's own, trained for two steps."""
    run_code(code)
    config = de.TrainConfig(
        model="test_net", steps=2, patch_size=16, batch_size=1, validate_every=0,
        out=tmp_path / "run",
    )  # fmt: skip
    de.train(config)
    return tmp_path / "run"


def entry(name: str = "one", **changes) -> board.Entry:
    first = board.Entry(
        name, "prn", 95_107, 4.5, "log", "2026-01-01", "0" * 64,
        scores={column: 30.0 if "psnr" in column else 0.9 for column in SCORES},
    )  # fmt: skip
    return replace(first, **changes)


# -- the pictures ---------------------------------------------------------------------------------


def test_the_fixed_pictures_never_change():
    """The input's PSNR of each set: if this fails, the pictures changed, so raise SETS."""
    found = measure(nn.Identity())
    expected = {
        "validation": (30.51, 14.14, 24.00),
        "test": (29.46, 12.39, 25.13),
    }
    for split, values in expected.items():
        measured = [found[f"psnr_{split}_{rain}"] for rain in RAINS]
        assert measured == pytest.approx(values, abs=0.02)
    assert set(found) == set(SCORES)


def test_the_fixed_pictures_are_pairs_that_no_training_sees():
    seen = set()
    for split in SPLITS:
        for rain in RAINS:
            pairs = fixed_pairs(split, rain)
            assert len(pairs) == 2 * len(de.photo_names(split))
            for pair in pairs:
                assert pair["name"].split("-")[0] in de.photo_names(split)
                assert pair["rainy"].shape == pair["clean"].shape == (3, SIDE, SIDE)
                assert (pair["rainy"] - pair["clean"]).abs().max() > 0.05
                seen.add(pair["rainy"].numpy().tobytes())
    assert len(seen) == 2 * 3 * (len(de.photo_names("validation")) + len(de.photo_names("test")))
    with pytest.raises(de.DerainError, match="no fixed set 'exam'"):
        fixed_pairs("exam", "light")


def test_a_network_that_breaks_gets_no_score(few):
    class Broken(nn.Module):
        def forward(self, rainy):
            return rainy / 0

    with pytest.raises(de.DerainError, match="china-afar-light is not finite"):
        picture_scores(Broken(), "test")


# -- entries --------------------------------------------------------------------------------------


def test_the_courses_board_is_up_to_date():
    """Every shipped weight file is on it, as it is now; run `derain-edu leaderboard course`."""
    found = board.read_board(board.course_board())
    assert found[0].name == board.NO_NETWORK and found[0].parameters == 0
    on_board = {e.name.removeprefix("course: "): e.sha256 for e in found[1:]}
    shipped = open_weights_folder().glob("*.safetensors")
    assert on_board == {path.stem: board.file_hash(path) for path in shipped}
    assert all(e.sets == board.SETS and e.minutes_from in ("stated", "unknown") for e in found[1:])
    for e in found[1:]:
        assert e.scores["psnr_test_light"] > found[0].scores["psnr_test_light"] + 2


def test_an_entry_is_what_its_file_scores(few):
    measured = board.measured_entry("mine", RESIDUAL, minutes=4)
    network = de.create_model("residual", pretrained="open")
    truth = [
        de.psnr(network(pair["rainy"][None]).detach(), pair["clean"][None])
        for pair in fixed_pairs("test", "heavy")
    ]
    assert measured.scores["psnr_test_heavy"] == pytest.approx(sum(truth) / len(truth), abs=1e-3)
    assert measured.parameters == sum(p.numel() for p in network.parameters())
    assert (measured.model, measured.minutes_from, measured.league) == (
        "residual",
        "stated",
        "5 min",
    )
    assert board.measured_entry("mine", RESIDUAL).league == board.OPEN_LEAGUE


def test_minutes_come_from_the_run_that_made_the_file(run, few):
    weights = run / "model.safetensors"
    found = board.measured_entry("mine", weights, minutes=400)
    log = load_checkpoint(run / "last.pt")
    assert found.minutes_from == "log" and found.cpu_minutes == log["seconds"] / 60 > 0
    assert found.model == "test_net"
    # Other weights under the same name in this folder are not of this run.
    weights.write_bytes(RESIDUAL.read_bytes())
    assert board.measured_entry("mine", weights).minutes_from == "unknown"


def test_a_run_from_other_weights_does_not_know_its_minutes(tmp_path, few):
    config = de.TrainConfig(
        model="residual", pretrained="open", steps=1, patch_size=16, batch_size=1,
        validate_every=0, out=tmp_path,
    )  # fmt: skip
    de.train(config)
    assert board.measured_entry("tuned", tmp_path / "model.safetensors").league == "open"


@pytest.mark.parametrize(
    ("device", "cuda", "league"),
    [("auto", [], "5 min"), ("auto", ["state"], "open"), ("cpu", ["state"], "5 min"),
     ("cuda:0", ["state"], "open")],
)  # fmt: skip
def test_minutes_of_a_gpu_are_no_minutes_of_a_cpu(run, few, monkeypatch, device, cuda, league):
    real = provenance.run_of

    def on_another_machine(path):
        found = real(path)
        found["config"]["device"], found["random"]["cuda"] = device, cuda
        return found

    monkeypatch.setattr(provenance, "run_of", on_another_machine)
    assert board.measured_entry("mine", run / "model.safetensors").league == league


def test_leagues():
    big = board.BUDGET.parameters + 1
    for changes, league in (
        ({"cpu_minutes": 5.0}, "5 min"),
        ({"cpu_minutes": 5.01}, "15 min"),
        ({"cpu_minutes": 45.0}, "45 min"),
        ({"cpu_minutes": 46.0}, "open"),
        ({"cpu_minutes": None}, "open"),
        ({"parameters": big}, "open"),
    ):
        assert entry(**changes).league == league
    assert [board.league_name(text) for text in ("5", "15 min", "open")] == [
        "5 min",
        "15 min",
        "open",
    ]
    with pytest.raises(de.DerainError, match="unknown league '6'"):
        board.league_name("6")


def test_the_board_is_sorted_and_says_what_is_stated():
    better = entry("two", minutes_from="stated", cpu_minutes=20.0)
    better = replace(better, scores={**better.scores, "psnr_test_mix": 33.0})
    old = entry("old", sets=board.SETS - 1)
    text = board.board_table([entry(), better, old])
    lines = text.splitlines()
    assert lines[2].startswith("two") and "20.0*" in lines[2] and "31.00" in lines[2]
    assert lines[3].startswith("one") and "4.5 " in lines[3]
    assert "* stated" in text and "measure again: old" in text
    assert [e.name for e in board.ranked([entry(), better], "45 min")] == ["two"]


# -- the file -------------------------------------------------------------------------------------


def test_a_board_survives_its_file(tmp_path):
    entries = [entry(), entry("zwei, “drei”", cpu_minutes=None, minutes_from="unknown", looks=3)]
    path = board.write_board(entries, tmp_path / "new" / "board.csv")
    assert board.read_board(path) == entries
    assert board.read_board(tmp_path / "none.csv") == []
    assert [p.name for p in path.parent.iterdir()] == ["board.csv"]


def test_a_stop_while_writing_leaves_the_old_board(tmp_path, monkeypatch):
    path = board.write_board([entry()], tmp_path / "board.csv")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(de.DerainError, match="can't be written .*No space left"):
        board.write_board([entry(), entry("two")], path)
    assert board.read_board(path) == [entry()]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("30.0000", "best"), "entry 1: psnr_validation_light is 'best', not a number"),
        (("30.0000", "nan"), "entry 'one' has nan in psnr_validation_light, which can't be true"),
        (("30.0000", "999"), "entry 'one' has 999 in psnr_validation_light, which can't be true"),
        (("30.0000", "-inf"), "entry 'one' has -inf in psnr_validation_light"),
        (("0.9000", "1.1"), "entry 'one' has 1.1 in ssim_validation_light"),
        (("4.50", "-3"), "entry 'one' has -3 in cpu_minutes, which can't be true"),
        (("95107", "-1"), "entry 'one' has -1 in parameters"),
        (("\none,", "\n\x1b[2Jone,"), "the name .* does not fit"),
        (("4.50", "soon"), "entry 1: cpu_minutes is 'soon', not a number"),
        (("95107", "many"), "entry 1: parameters is 'many', not a number"),
        (("sha256", "hash"), "has no column sha256, so it is not a leaderboard"),
        (("\none,prn,95107,4.50", "\none"), "entry 1 has more or fewer cells than the first line"),
        (("\none,", "\none,one,"), "entry 1 has more or fewer cells than the first line"),
    ],
)
def test_a_damaged_board_is_one_sentence(tmp_path, edit, message):
    path = board.write_board([entry()], tmp_path / "board.csv")
    text = path.read_text(encoding="utf-8")
    assert edit[0] in text
    path.write_text(text.replace(*edit, 1), encoding="utf-8")
    with pytest.raises(de.DerainError, match=message):
        board.read_board(path)


def test_what_is_no_board_at_all(tmp_path):
    path = tmp_path / "board.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(de.DerainError, match="can't be read as a leaderboard"):
        board.read_board(path)
    with pytest.raises(de.DerainError, match="can't be read as a leaderboard"):
        board.read_board(tmp_path)


@pytest.mark.parametrize("text", ["a,b\n", "name,model\n1,2\n", "my notes\n", '{"a": 1}'])
def test_another_file_is_never_replaced_by_a_board(tmp_path, text):
    path = tmp_path / "notes.csv"
    path.write_text(text)
    for write in (
        lambda: board.add_entry("mine", RESIDUAL, path, minutes=4),
        lambda: board.write_board([entry()], path),
    ):
        with pytest.raises(de.DerainError, match="is not a leaderboard of derain-edu"):
            write()
    assert path.read_text() == text
    path.write_text("\n")  # an empty file is an empty board
    assert board.read_board(board.write_board([entry()], path)) == [entry()]


def test_columns_of_ones_own_stay(tmp_path, few):
    path = board.write_board([entry()], tmp_path / "board.csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[0], rows[1] = [rows[0][0], "team", *rows[0][1:]], [rows[1][0], "blue", *rows[1][1:]]
    with open(path, "w", encoding="utf-8-sig", newline="") as file:  # as a spreadsheet saves it
        csv.writer(file).writerows(rows)
    board.add_entry("mine", RESIDUAL, path, minutes=4)
    assert [e.more for e in board.read_board(path)] == [{"team": "blue"}, {"team": ""}]
    board.add_entry("one", open_weights_folder() / "prn.safetensors", path, True, minutes=4)
    assert {e.name: e.more["team"] for e in board.read_board(path)} == {"mine": "", "one": "blue"}


@pytest.mark.parametrize("name", ["=1+1", "+more", "-less", "@home", "'quoted", "''"])
def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path, name):
    path = board.write_board([entry(name)], tmp_path / "board.csv")
    assert path.read_text(encoding="utf-8").splitlines()[1].startswith("'")
    assert board.read_board(path) == [entry(name)]


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "two\nlines", "a|b"])
def test_names_fit_into_a_cell(name):
    with pytest.raises(de.DerainError, match="does not fit"):
        board.checked_name(name)


# -- adding ---------------------------------------------------------------------------------------


def test_adding_counts_the_looks_and_refuses_duplicates(tmp_path, few):
    path = tmp_path / "board.csv"
    assert board.add_entry("mine", RESIDUAL, path, minutes=4).looks == 1
    for name, weights, message in (
        ("mine", RESIDUAL, "has an entry 'mine'"),
        ("other", RESIDUAL, "is on .* already, as 'mine'"),
        ("course: prenet", RESIDUAL, "is an entry of the course"),
        ("new", tmp_path / "none.safetensors", "does not exist"),
        ("new", path, "is not a readable weight file"),
    ):
        with pytest.raises(de.DerainError, match=message):
            board.add_entry(name, weights, path)
    with pytest.raises(de.DerainError, match="more than 0"):
        board.add_entry("mine", RESIDUAL, path, replace_old=True, minutes=-1)
    assert board.add_entry("mine", RESIDUAL, path, replace_old=True, minutes=4).looks == 2
    assert [(e.name, e.looks) for e in board.read_board(path)] == [("mine", 2)]


def test_two_entries_made_at_once_both_stay(tmp_path, few, monkeypatch):
    path, both_measure = tmp_path / "board.csv", threading.Barrier(2)
    measured = board.measured_entry

    def slow(name, weights, **more):
        entry = measured(name, RESIDUAL, **more)
        both_measure.wait(60)  # nobody writes before both have read the board
        return replace(entry, sha256=name)

    monkeypatch.setattr(board, "measured_entry", slow)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda n: board.add_entry(n, tmp_path / n, path, minutes=4), ("one", "two")))
    assert {entry.name for entry in board.read_board(path)} == {"one", "two"}


def test_a_lock_that_stays_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("derain_edu.files.LOCK_SECONDS", 0.1)
    with changing(tmp_path / "board.csv"):
        with pytest.raises(de.DerainError, match=r"another program .*, or delete .*\.lock"):
            with changing(tmp_path / "board.csv"):
                pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "stops with ZeroDivisionError"),
        ("def broken(:", "stops with SyntaxError"),
        ("import sys; sys.exit(3)", "stops with SystemExit"),
        ("x = 1", "registers no network"),
    ],
)
def test_code_that_does_not_run(tmp_path, text, message):
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(de.DerainError, match=message):
        run_code(path)
    with pytest.raises(de.DerainError, match="is not a Python file"):
        run_code(tmp_path / "none.py")


def test_code_may_run_twice(code):
    assert run_code(code) == run_code(code) == ["test_net"]


# -- commands -------------------------------------------------------------------------------------


def test_the_shell_from_code_to_board(run, code, tmp_path, few, monkeypatch):
    monkeypatch.chdir(tmp_path)
    del _REGISTERED["test_net"]
    weights = run / "model.safetensors"
    status, _, err = call("leaderboard", "try", "--weights", weights)
    assert status == 2 and "unknown model 'test_net'" in err and err.count("\n") == 1
    status, out, _ = call("leaderboard", "try", "--weights", weights, "--code", code)
    assert status == 0 and re.search(r"^heavy( +[\d.]+){4}$", out, re.MULTILINE)
    assert not Path("leaderboard.csv").exists()
    arguments = ["leaderboard", "add", "my net", "--weights", weights, "--code", code]
    status, out, _ = call(*arguments)
    assert status == 0 and "my net: " in out and "league 5 min" in out and "course: prenet" in out
    assert call(*arguments)[0] == 2
    assert "  2\n" in call(*arguments, "--replace")[1].replace("looks", "")
    rows = list(csv.DictReader(Path("leaderboard.csv").open()))
    assert [row["name"] for row in rows] == ["my net"] and rows[0]["looks"] == "2"
    status, out, _ = call("leaderboard", "--league", "5")
    assert status == 0 and "my net" in out and "course: spanet" not in out
    assert call("leaderboard", "--league", "7")[0] == 2
    status, _, err = call("leaderboard", "--board", "leaderbord.csv")
    assert status == 2 and "leaderbord.csv does not exist" in err


def test_other_commands_take_ones_own_code_too(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = "train --model test_net --steps 2 --patch-size 16 --batch-size 1 --data light"
    arguments = [*arguments.split(), "--out", "run"]
    assert "unknown model 'test_net'" in call(*arguments)[2]
    assert call(*arguments, "--code", code)[0] == 0
    de.to_pil(de.load_photo("china", long_side=40)).save("rainy.png")
    weights = "run/model.safetensors"
    for command, made in (
        (["derain", "rainy.png", "--model", weights], "rainy_derained.png"),
        (["export", weights, "-o", "mine.onnx"], "mine.onnx"),
    ):
        _REGISTERED.pop("test_net")
        assert call(*command)[0] == 2 and not Path(made).exists()
        assert call(*command, "--code", code)[0] == 0 and Path(made).exists()


def test_help_says_that_code_runs():
    for command in (["leaderboard", "add"], ["leaderboard", "try"], ["card"]):
        status, out, _ = call(*command, "--help")
        assert status == 0 and "It is RUN" in out
    assert "derain-edu leaderboard add" in call("leaderboard", "--help")[1]


def test_the_courses_board_can_be_made_again(tmp_path, few, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / RESIDUAL.name).write_bytes(RESIDUAL.read_bytes())
    monkeypatch.setattr("derain_edu.evaluation.leaderboard.open_weights_folder", lambda: folder)
    status, out, _ = call("leaderboard", "course", "-o", tmp_path / "board.csv")
    assert status == 0 and "course: residual: " in out
    names = [e.name for e in board.read_board(tmp_path / "board.csv")]
    assert names == [board.NO_NETWORK, "course: residual"]


# -- evaluate --benchmarks ------------------------------------------------------------------------


def test_benchmarks_of_all_open_weights(filled_cache, tmp_path, monkeypatch):
    from derain_edu.evaluation import benchmarks

    def cut(data):
        pair = de.PairedFolder(benchmarks.cached_set(data))[0]
        return data + ": a piece", [
            {**pair, **{kind: pair[kind][:, 99:199, 99:199] for kind in ("rainy", "clean")}}
        ]

    monkeypatch.setattr(benchmarks, "open_pairs", cut)
    table = tmp_path / "means.csv"
    status, out, _ = call("evaluate", "--weights", "open", "--benchmarks", "--limit", 1,
                          "--csv", table)  # fmt: skip
    assert status == 0 and "rain100l: " in out and "rain100h: " in out
    rows = list(csv.DictReader(table.open()))
    shipped = models_with("open")
    assert [row["name"] for row in rows] == [
        f"{data} {name} {tag}" for data in ("rain100l", "rain100h") for name, tag in shipped
    ]
    assert {("spanet", "open"), ("spanet", "open-paper"), ("prenet", "open")} <= set(shipped)
    for row in rows:
        assert float(row["psnr_derained"]) > float(row["psnr_rainy"])


def test_benchmarks_of_one_model_or_file(filled_cache):
    lines: list[object] = []
    [light, heavy] = score_benchmarks(model=str(RESIDUAL), limit=1, say=lines.append)
    assert (light.name, heavy.name) == ("rain100l residual open", "rain100h residual open")
    [same, _] = score_benchmarks(model="residual", limit=1, say=lines.append)
    assert same.psnr_derained == light.psnr_derained


def test_benchmarks_that_are_missing(empty_cache, filled_cache, monkeypatch):
    for arguments, message in (
        (["--benchmarks"], "no benchmark is in the cache: get it with `derain-edu download rain"),
        ([], "say what to measure on"),
        (["--benchmarks", "--data", "synthetic"], "say what to measure on"),
        (["--benchmarks", "--model", "lenet"], "'lenet' is neither a model nor a file"),
        (["--benchmarks", "--weights", "official-moon"], "no model of the course has weights"),
        (["--benchmarks", "--protocol", "x"], "unknown protocol 'x'"),
    ):
        monkeypatch.setenv("DERAIN_EDU_CACHE", str(empty_cache))
        status, out, err = call("evaluate", *arguments)
        assert status == 2 and message in err and err.count("\n") == 1 and out == ""
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(filled_cache))
    from derain_edu.evaluation import benchmarks

    real = benchmarks.cached_set
    monkeypatch.setattr(benchmarks, "cached_set", lambda n: None if n == "rain100l" else real(n))
    lines: list[object] = []
    assert len(score_benchmarks(model="residual", limit=1, say=lines.append)) == 1
    assert str(lines[0]).startswith(
        "rain100l is not in the cache: get it with `derain-edu download"
    )


def test_own_code_may_postpone_its_annotations(tmp_path):
    """A dataclass then looks for its module while the file runs."""
    code = tmp_path / "my_net.py"
    code.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from torch import nn\n"
        "from derain_edu.models import register_model\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        "    channels: int = 4\n"
        "register_model('postponed', lambda config: nn.Identity(), Config)\n",
        encoding="utf-8",
    )
    try:
        assert run_code(code) == ["postponed"]
    finally:
        _REGISTERED.pop("postponed", None)
