"""The command line as its users call it."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import derain_edu as de
from derain_edu.course.run import LessonRun

COMMANDS = (
    "derain evaluate train pairs bench experiment download doctor lab course slides notebooks "
    "pictures".split()
)


# ------------------------------------------------------------------------------ in a process


def test_help_is_fast_and_complete():
    """--help must not wait for PyTorch."""
    code = (
        "import sys\nfrom derain_edu.cli.app import main\n"
        "try: main()\n"
        "finally: print('heavy:', [m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert "heavy: []" in done.stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w.*[.]$", done.stdout, re.MULTILINE), command


def test_the_shell_as_a_user_sees_it(tmp_path):
    """One error through the real program: a sentence, status 2, and no file is left."""
    (tmp_path / "notes.png").write_text("not a picture")
    command = [sys.executable, "-m", "derain_edu", "derain", "notes.png", "--model", "residual"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: notes.png is a text file, not a picture: give a JPEG or PNG"
    )
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.png"]


# ------------------------------------------------------------------------------ all commands


def test_version_and_no_arguments(call):
    assert call("--version") == (0, f"derain-edu {de.__version__}\n", "")
    status, out, err = call()
    assert "derain street.jpg" in out + err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call, command):
    status, out, _ = call(command, "--help")
    assert status == 0 and len(out.splitlines()) > 4
    if command in ("derain", "evaluate", "train", "pairs", "download", "bench"):
        assert f"derain-edu {command} " in out.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["derain", "missing.jpg"], "error: missing.jpg does not exist: check the name"),
        (["derain", "a.jpg", "--model", "lenet"], "error: 'lenet' is neither a model (residual"),
        (["derain", "a.jpg", "--weights", "none"], "error: residual has no weights 'none'"),
        (["derain", "a.jpg", "--device", "abacus"], "error: device 'abacus' can't be used"),
        (["derain", "a.jpg", "b.jpg", "-o", "c.png"], "error: -o c.png is one file"),
        (["derain", "a.jpg", "b.jpg", "--clean", "c.png"], "error: --clean belongs to one"),
        (["derain", "a.jpg", "-o", "a.gif"], "error: a.gif: don't know this format"),
        (["derain"], "Missing argument"),
        (["evaluate", "--data", "rain100l"], "error: rain100l is not in the cache"),
        (["evaluate", "--data", "nowhere"], "error: --data 'nowhere' is neither synthetic"),
        (["evaluate", "--data", "synthetic", "--protocol", "x"], "error: unknown protocol 'x'"),
        (["train"], "error: give exactly one budget"),
        (
            ["train", "--steps", "1", "--data", "hail"],
            "error: --data 'hail' is neither drizzle, light, heavy, storm, mix, mix+faint",
        ),
        (["train", "--steps", "1", "--layout", "spa"], "error: --layout is about a folder"),
        (["train", "--steps", "1", "--workers", "-1"], "error: workers must be at least 0"),
        (["evaluate", "--data", "synthetic", "--layout", "spa"], "error: --layout is about"),
        (["evaluate", "--benchmarks", "--stages", "2"], "error: --benchmarks goes without"),
        (["train", "--recipe", "cake"], "error: unknown recipe 'cake'"),
        (
            ["train", "--recipe", "open-prenet-cpu"],
            "first run derain-edu train --recipe open-prenet-cpu-start",
        ),
        (["download", "rain12"], "error: unknown set 'rain12'"),
        (["download", "rain100l", "--source", "nowhere"], "error: the source nowhere is not a"),
        (["train", "--steps", "1", "--lr", "nan"], "error: lr is out of range, got nan"),
        (["train", "--epochs", "inf"], "error: epochs is out of range, got inf"),
        (["train", "--steps", "1", "--seed", "-1"], "error: seed must be at least 0, got -1"),
        (["train", "--steps", "1", "--seed", "9" * 20], "error: seed is out of range"),
        (["evaluate", "--data", "synthetic", "--limit", "9" * 20], "Invalid value for '--limit'"),
        (["derain", "a.jpg", "--device", "meta"], "error: device 'meta' can't be used"),
        (["derain", "a.jpg", "--large", "inf"], "Invalid value for '--large'"),
        (["derain", "a.jpg", "--stages", "9" * 20], "Invalid value for '--stages'"),
        (["lab", "--port", "70000"], "Invalid value for '--port'"),
        (["lab", "99"], "error: there is no lesson '99'"),
        (["slides", "99"], "error: there is no lesson '99'"),
        (["slides"], "Missing argument"),
        (["experiment", "alchemy"], "error: "),
        (["bench", "press"], "error: "),
        (["paint"], "No such command"),
    ],
)
def test_errors_are_one_sentence_and_status_2(call, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "derain" and "--model" not in arguments:
        arguments = [*arguments, "--model", "residual"]
    status, out, err = call(*arguments)
    assert status == 2 and "Traceback" not in err
    assert message in err
    if message.startswith("error: "):
        assert err.startswith("error: ") and err.count("\n") == 1


def test_without_a_home_folder_each_command_says_it(call, no_home, pair, monkeypatch):
    monkeypatch.delenv("DERAIN_EDU_CACHE")
    for arguments in (
        ["derain", pair[0], "-o", "~/a.png"],
        ["derain", "~/a.png"],
        ["evaluate", "--data", "synthetic", "--csv", "~/scores.csv"],
        ["export", "prenet", "-o", "~/a.onnx"],
        ["evaluate", "--data", "rain100l"],
        ["evaluate", "--benchmarks"],
        ["derain", pair[0], "--weights", "official-rain100l"],
        ["download"],
    ):
        status, _, err = call(*arguments)
        assert status == 2 and "no home folder" in err and err.count("\n") == 1, arguments


def test_a_folder_does_not_hide_behind_a_name(call, tmp_path, monkeypatch):
    """The name goes first, and says so; with ./ the folder is meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heavy").mkdir()
    options = ["train", "--model", "prn", "--stages", "1", "--steps", "1", "--out", "run"]
    status, _, err = call(*options, "--data", "heavy")
    assert status == 0 and "note: --data heavy is the course's own; ./heavy means" in err
    status, _, err = call(*options, "--data", "./heavy", "--out", "other")
    assert status == 2 and "heavy" in err and "note" not in err  # an empty folder: no pairs


# ------------------------------------------------------------------------------ other commands


def test_evaluate_a_folder(call, pair, pairs, tmp_path):
    table = tmp_path / "scores.csv"
    status, out, _ = call(
        "evaluate", "--data", pairs, "--model", "residual", "--csv", table,
        "--protocol", "rgb", "--limit", 1,
    )  # fmt: skip
    assert status == 0 and "2 pairs; protocol rgb" in out
    rows = list(csv.DictReader(table.open()))
    assert [row["name"] for row in rows] == ["1"]
    truth = de.psnr(de.to_tensor(pair[0]), de.to_tensor(pair[1]), "rgb")
    assert float(rows[0]["psnr_rainy"]) == pytest.approx(truth)
    assert out.splitlines()[-1].split()[:2] == ["mean", f"{truth:.2f}"]


@pytest.fixture
def half_bad(pairs):
    """Four pairs, of which the second is cut off and the third has pictures of two sizes."""
    good = (pairs / "rainy" / "1.png").read_bytes()
    for number in "34":
        for kind in ("rainy", "clean"):
            (pairs / kind / f"{number}.png").write_bytes(good)
    (pairs / "rainy" / "2.png").write_bytes(good[:200])
    Image.new("RGB", (20, 30)).save(pairs / "clean" / "3.png")
    return pairs


def test_evaluate_keeps_the_rows_of_good_pairs(call, half_bad, tmp_path):
    """Each bad pair is one sentence, the others are measured, written and averaged."""
    table = tmp_path / "scores.csv"
    options = ("--data", half_bad, "--model", "residual", "--csv", table)
    status, out, err = call("evaluate", *options)
    assert status == 2 and "Traceback" not in err
    cut, sizes = err.splitlines()
    assert cut.startswith("error: ") and str(Path("rainy", "2.png")) in cut
    assert str(Path("clean", "3.png")) in sizes and "do not belong together" in sizes
    assert [row["name"] for row in csv.DictReader(table.open())] == ["1", "4"]
    assert out.splitlines()[-2].startswith("mean ")
    assert out.splitlines()[-1] == "2 of 4 pairs measured"
    assert call("evaluate", *options, "--limit", 1)[0] == 0  # a table of scores may be replaced
    assert [row["name"] for row in csv.DictReader(table.open())] == ["1"]


def test_evaluate_where_every_pair_is_bad_has_no_mean(call, half_bad, tmp_path):
    for picture in (half_bad / "clean").iterdir():
        picture.write_bytes(b"")
    status, out, err = call(
        "evaluate", "--data", half_bad, "--model", "residual", "--csv", tmp_path / "scores.csv"
    )
    assert status == 2 and err.count("\n") == 4 and out.endswith("0 of 4 pairs measured\n")
    assert "mean" not in out and not (tmp_path / "scores.csv").exists()


def test_a_stopped_evaluation_keeps_its_rows(call, pairs, tmp_path, monkeypatch):
    from derain_edu.cli import file_jobs

    real = file_jobs.evaluate

    def stopped(model, data, protocol, tile, on_score, on_error, limit):
        real(model, data, protocol, tile, on_score, on_error, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(file_jobs, "evaluate", stopped)
    table = tmp_path / "scores.csv"
    status, _, err = call("evaluate", "--data", pairs, "--model", "residual", "--csv", table)
    assert status == 130 and "stopped: 1 pairs are measured" in err
    assert [row["name"] for row in csv.DictReader(table.open())] == ["1"]


def test_the_table_of_scores_never_replaces_anything_else(call, pairs, tmp_path, monkeypatch):
    """And that is said before the work."""
    from derain_edu.cli import file_jobs

    monkeypatch.setattr(file_jobs, "evaluate", lambda *_: pytest.fail("it was measured"))
    (tmp_path / "notes.csv").write_text("my,own,table\n")
    picture = pairs / "clean" / ".." / "rainy" / "1.png"
    before = picture.read_bytes()
    for table, words in (
        (tmp_path / "notes.csv", "is there and is no table of scores"),
        (picture, "would overwrite what is read"),
        (tmp_path, "is a folder: name a file in it"),
        (tmp_path / "notes.csv" / "scores.csv", "can't be written"),
    ):
        status, _, err = call("evaluate", "--data", pairs, "--model", "residual", "--csv", table)
        assert status == 2 and words in err and err.count("\n") == 1
    assert picture.read_bytes() == before


def test_a_benchmark_with_a_bad_pair_has_no_mean(call, pairs, tmp_path, monkeypatch):
    """The mean of other pairs would look like a number of the benchmark."""
    from derain_edu.evaluation import benchmarks

    monkeypatch.setattr(benchmarks, "BENCHMARKS", ("rain100l", "rain100h"))
    monkeypatch.setattr(benchmarks, "cached_set", lambda name: tmp_path / name)
    for name in ("rain100l", "rain100h"):
        shutil.copytree(pairs, tmp_path / name)
    (tmp_path / "rain100l" / "rainy" / "2.png").write_bytes(b"")
    table = tmp_path / "scores.csv"
    status, _, err = call("evaluate", "--benchmarks", "--model", "residual", "--csv", table)
    assert status == 2 and "2.png is empty" in err and err.count("\n") == 1
    [row] = csv.DictReader(table.open())
    assert row["name"] == "rain100h residual open"


def test_evaluate_a_part_of_a_benchmark(call, filled_cache):
    status, out, _ = call(
        "evaluate", "--data", "rain100h", "--model", "residual", "--limit", "1"
    )
    assert status == 0 and "rain100h: 20 of 100 pairs" in out


def test_download_from_a_folder_and_show_the_cache(call, reference, empty_cache):
    source = reference / "official"
    status, out, _ = call("download", "official-weights", "--source", source)
    assert status == 0 and out.count("Research use only") == 1
    assert "15 of 19 files" in out and "(15 new)" in out
    status, out, _ = call("download")
    assert str(empty_cache) in out and re.search(r"official-weights +15 of +19", out)
    assert re.search(r"rain100l +0 of 200", out)
    assert "(0 new)" in call("download", "official-weights", "--source", source)[1]


def test_train_and_use_the_result(call, pair, pairs, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", "--model", "residual", "--steps", "2", "--out", run]
    arguments += ["--patch-size", "16", "--batch-size", "1", "--data", pairs]
    status, out, err = call(*arguments)
    assert status == 0 and "2 steps" in out and (run / "model.safetensors").exists()
    assert call(*arguments)[0] == 0  # a finished run only reports
    status, _, err = call(*arguments, "--lr", "0.5")
    assert status == 2 and err.startswith("error: ")  # not the run that is there
    status, out, _ = call("derain", pair[0], "--model", run / "model.safetensors")
    assert status == 0 and "rainy_derained.png" in out


def test_train_on_pairs_and_with_a_recipe(call, pairs, tmp_path, monkeypatch):
    from derain_edu.training import trainer

    seen = []
    result = trainer.TrainResult(None, [], tmp_path, 0, 0.0)

    def remember(*args, **more):
        seen.append((args, more))
        return result

    monkeypatch.setattr(trainer, "train", remember)
    assert call("train", "--epochs", "3", "--data", pairs, "--ema", "0.9")[0] == 0
    (config,), more = seen[-1]
    assert (config.epochs, config.ema, config.out) == (3, 0.9, Path("runs/prn"))
    assert len(more["data"]) == 2 and more["resume"] == "auto"
    assert not config.augment and call("train", "--steps", "3", "--augment")[0] == 0
    assert seen[-1][0][0].augment
    assert call("train", "--recipe", "open-prn", "--minutes", "1", "--resume", "never")[0] == 0
    (config,), more = seen[-1]
    assert (config.model, config.minutes, config.steps) == ("prn", 1, None)
    assert more == {"resume": "never", "data": None} and config.out == Path("runs/open-prn")


def test_stopping_a_training_says_how_to_go_on(call, tmp_path, monkeypatch):
    from derain_edu.training import trainer

    def stopped(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "train", stopped)
    status, _, err = call("train", "--steps", "5", "--out", tmp_path)
    assert status == 130 and "the same command goes on" in err


def test_a_full_disk_is_a_sentence_too(call, pair, monkeypatch):
    from derain_edu.evaluation import benchmarks

    def full(*args):
        raise OSError(28, "No space left on device", "scores.csv")

    monkeypatch.setattr(benchmarks, "open_pairs", full)
    status, _, err = call("evaluate", "--data", "synthetic")
    assert status == 2 and err.startswith("error: scores.csv No space left on device")


def test_course_and_lab_and_notebooks_pass_their_options_on(call, monkeypatch, tmp_path):
    from derain_edu.course import lab, lesson_tables, notebooks, run
    from derain_edu.course.translation import pages

    runs = [LessonRun("00_start_here", 1.0, 1.0, None)]
    seen = []
    monkeypatch.setattr(run, "run_course", lambda *args: seen.append(args) or runs)
    monkeypatch.setattr(lab, "lab", lambda *args: seen.append(args))
    monkeypatch.setattr(notebooks, "build_notebooks", lambda: [Path("notebooks/00.ipynb")])
    monkeypatch.setattr(lesson_tables, "write_tables", lambda: [Path("README.md")])
    monkeypatch.setattr(pages, "write_pages", lambda: [Path("README.zh-CN.md")])
    assert call("course", "--only", "00", "--only", "03", "--out", tmp_path)[0] == 0
    assert call("lab", "3", "--port", "9999", "--no-browser")[0] == 0
    assert seen == [(["00", "03"], tmp_path), ("3", 9999, False)]
    assert call("notebooks") == (0, "notebooks/00.ipynb\nREADME.md\nREADME.zh-CN.md\n", "")
    runs[0] = LessonRun("00_start_here", 1.0, 1.0, "AssertionError: 3 dB")
    assert call("course")[0] == 1


# ------------------------------------------------------------------------------ doctor


def test_doctor_finds_what_is_there(call, filled_cache):
    status, out, _ = call("doctor")
    for topic in "python packages device memory cache photos weights jupyter".split():
        assert re.search(rf"^\[.{{2,4}}\] +{topic} ", out, re.MULTILINE), topic
    assert "rain100l: 40 of 200 files" in out and f"{len(de.photo_names())} photos" in out
    assert "derain-edu download rain100l" in out  # the advice
    assert (status == 0) == out.rstrip().endswith("no problems found")


def test_doctor_says_what_to_do(monkeypatch, empty_cache, tmp_path):
    from derain_edu.course import doctor

    def only(check):
        return {finding.topic: finding for finding in check()}

    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(tmp_path / "a file" / "cache"))
    finding = next(iter(doctor.check_cache()))
    assert finding.state == "problem" and "DERAIN_EDU_CACHE" in finding.advice

    monkeypatch.setattr("derain_edu.models.pretrained.open_weights_folder", lambda: tmp_path)
    finding = only(doctor.check_weights)["weights"]
    assert finding.state == "problem" and "install derain-edu again" in finding.advice

    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=99.0", "no-such-package>=1"])
    finding = only(doctor.check_packages)["packages"]
    assert "missing: no-such-package" in finding.found and "too old: torch" in finding.found
    assert 'pip install --upgrade' in finding.advice

    def crash():
        raise ZeroDivisionError("by accident")
        yield

    monkeypatch.setattr(doctor, "CHECKS", {"maths": crash})
    lines = []
    assert doctor.report(lines.append) is False
    assert "ZeroDivisionError: by accident" in lines[0] and lines[-1] == "1 problem found"


def test_doctor_knows_a_foreign_kernel(monkeypatch, tmp_path):
    from derain_edu.course import doctor

    class Spec:
        argv = [str(tmp_path / "bin" / "python"), "-m", "ipykernel_launcher"]

    import jupyter_client.kernelspec as kernels

    monkeypatch.setattr(kernels.KernelSpecManager, "get_kernel_spec", lambda self, name: Spec)
    [finding] = doctor.check_jupyter()
    assert finding.state == "problem" and "ipykernel install" in finding.advice
    monkeypatch.setattr(Spec, "argv", ["python", "-m", "ipykernel_launcher"])
    [finding] = doctor.check_jupyter()
    assert finding.state == "ok"


def test_evaluate_dry(call, monkeypatch):
    """Every picture, the mean and the worst; and what does not go with it is refused."""
    from derain_edu.evaluation import harm

    pictures = [("stripes", harm.grating(24, 0, 4)), ("grey", harm.grating(24, 0, 4, 0))]
    monkeypatch.setattr(harm, "dry_pictures", lambda split: pictures)
    status, out, _ = call("evaluate", "--dry", "--model", "residual")
    lines = out.splitlines()
    assert status == 0 and [line.split()[0] for line in lines[2:4]] == ["stripes", "grey"]
    assert lines[-1].startswith("mean ") and "over 2 dry pictures, worst" in lines[-1]
    for more in (["--data", "synthetic"], ["--benchmarks"], ["--limit", 1]):
        assert call("evaluate", "--dry", *more)[0] == 2
