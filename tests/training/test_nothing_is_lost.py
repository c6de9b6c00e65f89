"""Full disks, damaged pictures, two runs in one folder: no step and nobody's file is lost."""

from __future__ import annotations

import errno
import multiprocessing
import tempfile
import threading

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import derain_edu as de
from derain_edu.errors import DerainError
from derain_edu.files import reserved
from derain_edu.training import checkpoints
from derain_edu.training.checkpoints import FILES, load_checkpoint
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import Curriculum, StepSchedule
from derain_edu.training.plan import PlannedRain
from derain_edu.training.trainer import Trainer, train


class Pairs:
    """Tiny random pairs; sample ``bad`` can't be read."""

    def __init__(self, bad: int | None = None, error: type[Exception] = DerainError) -> None:
        self.bad, self.error = bad, error

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        if k == self.bad:
            raise self.error("street.png is truncated: copy it again")
        clean = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k))
        return {"rainy": 0.7 * clean + 0.3, "clean": clean}


def config(out, **changes):
    settings = {
        "model": "prn", "stages": 1, "options": {"channels": 4, "blocks": 1}, "steps": 6,
        "batch_size": 2, "patch_size": 16, "validate_every": 0, "save_every": 100, "out": out,
    }  # fmt: skip
    return TrainConfig(**{**settings, **changes})


def weights(folder):
    return load_checkpoint(folder / "last.pt")["model"]


def assert_equal(a, b):
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of a run without trouble."""
    folder = tmp_path_factory.mktemp("whole")
    train(config(folder), data=Pairs())
    return weights(folder)


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_costs_no_step(tmp_path, whole, workers):
    with pytest.raises(DerainError) as caught:
        train(config(tmp_path, workers=workers), data=Pairs(bad=9))
    where = f"the last good checkpoint is {tmp_path / 'last.pt'}"
    assert str(caught.value) == f"street.png is truncated: copy it again; {where}"
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 4
    train(config(tmp_path), data=Pairs())
    assert_equal(weights(tmp_path), whole)


def test_a_bug_of_the_data_costs_no_step_and_stays_what_it_is(tmp_path):
    with pytest.warns(UserWarning, match="the last good checkpoint is"), pytest.raises(KeyError):
        train(config(tmp_path), data=Pairs(bad=9, error=KeyError))
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 4


def test_a_half_step_is_not_saved(tmp_path, monkeypatch):
    """An error between the new weights and their running mean."""

    def fail(self):
        if self.steps_done == 3:
            raise RuntimeError("a bug")

    monkeypatch.setattr(Trainer, "update_ema", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        train(config(tmp_path, save_every=2), data=Pairs())
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 2


# -- full disks -----------------------------------------------------------------------------------


def fill_disk(monkeypatch, folder, calls):
    """Let the writes number ``calls`` into ``folder`` fail; return the list of their names."""
    real, seen = checkpoints.write_atomically, []

    def write(path, content):
        if path.parent == folder:
            seen.append(path.name)
            if len(seen) in calls:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(checkpoints, "write_atomically", write)
    return seen


def test_a_failed_save_is_a_warning_and_the_training_goes_on(tmp_path, monkeypatch, whole):
    fill_disk(monkeypatch, tmp_path, [3])  # the log and the first checkpoint are 1 and 2
    with pytest.warns(UserWarning, match=r"last.pt was not saved: .*No space left.* goes on"):
        train(config(tmp_path, save_every=2), data=Pairs())
    assert_equal(weights(tmp_path), whole)


def test_a_disk_that_stays_full_saves_elsewhere(tmp_path, monkeypatch, whole):
    (out := tmp_path / "run").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fill_disk(monkeypatch, out, range(3, 100))
    with pytest.raises(DerainError, match="the run is saved in .*last.pt: move this file") as error:
        train(config(out), data=Pairs())
    assert str(out) in str(error.value) and "No space left" in str(error.value)
    (saved,) = tmp_path.glob("derain-edu-*/last.pt")
    assert_equal(weights(saved.parent), whole)


def test_a_full_disk_at_the_start_is_an_error(tmp_path, monkeypatch):
    fill_disk(monkeypatch, tmp_path, [2])
    with pytest.raises(DerainError, match=r"can't write to .*No space left"):
        train(config(tmp_path), data=Pairs(bad=2))


def test_a_row_that_did_not_fit_is_written_later(tmp_path, monkeypatch):
    real = checkpoints._csv_line

    def fail_once(row):
        monkeypatch.setattr(checkpoints, "_csv_line", real)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_csv_line", fail_once)
    with pytest.warns(UserWarning, match="log.csv was not written"):
        train(config(tmp_path, log_every=2), data=Pairs())
    rows = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "4", "6"]


# -- two runs in one folder, and other people's files ---------------------------------------------


def test_a_second_run_in_the_folder_is_refused(tmp_path):
    train(config(tmp_path), data=Pairs())
    before = {name: (tmp_path / name).read_bytes() for name in FILES if name != "best.pt"}
    for resume in ("auto", "never"):
        with reserved(tmp_path, "a training run"), pytest.raises(DerainError, match="is going on"):
            train(config(tmp_path), data=Pairs(), resume=resume)
    with reserved(tmp_path, "a training run"), pytest.raises(DerainError, match="is going on"):
        Trainer(config(tmp_path), data=Pairs()).run()
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_the_folder_is_reserved_for_the_whole_run(tmp_path):
    refused = []

    def second(rows):
        def work():
            try:
                train(config(tmp_path), data=Pairs())
            except DerainError as error:
                refused.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    train(config(tmp_path, log_every=3), data=Pairs(), on_log=second)
    assert len(refused) == 2 and all("is going on" in sentence for sentence in refused)
    train(config(tmp_path, log_every=3), data=Pairs())  # free again


@pytest.mark.parametrize("resume", ["auto", "never"])
@pytest.mark.parametrize("name", FILES)
def test_files_of_others_are_not_replaced(tmp_path, name, resume):
    file = tmp_path / name
    if name == "log.csv":
        file.write_text("date,km\n2026-01-01,12\n", encoding="utf-8")
    elif name.endswith(".pt"):
        torch.save({"model": {}, "optimizer": {}, "step": 3, "config": "theirs"}, file)
    else:
        save_file({"layer": torch.zeros(2)}, file)
    before = file.read_bytes()
    with pytest.raises(DerainError, match=f"{name} .*another out folder"):
        train(config(tmp_path), data=Pairs(), resume=resume)
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [name]


# -- own pictures ---------------------------------------------------------------------------------


def make_pairs(root, count=3, size=(20, 18)):
    for side in ("rainy", "clean"):
        (root / side).mkdir(parents=True)
        for number in range(count):
            picture = Image.effect_noise(size, 30 + number)
            picture.convert("RGB").save(root / side / f"{number}.png")
    return root


def test_damaged_pictures_are_found_before_the_first_step(tmp_path):
    root = make_pairs(tmp_path / "pairs")
    data = (root / "clean" / "2.png").read_bytes()
    (root / "clean" / "2.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DerainError, match=r"1 of 3 pairs .*clean.2\.png"):
        train(config(tmp_path / "run"), data=de.PairedFolder(root))
    assert not (tmp_path / "run" / "last.pt").exists()


def test_pictures_smaller_than_a_patch_are_found_before_the_first_step(tmp_path):
    pairs = de.PairedFolder(make_pairs(tmp_path / "pairs"))
    with pytest.raises(DerainError, match="smaller than a patch of 19: lower patch_size"):
        train(config(tmp_path / "run", patch_size=19), data=pairs)


@pytest.mark.parametrize("side", ["rainy", "clean"])
@pytest.mark.parametrize("change", ["another picture", "one more", "one less"])
def test_changed_pairs_are_not_resumed(tmp_path, side, change):
    root, run = make_pairs(tmp_path / "pairs"), tmp_path / "run"
    train(config(run, stop_after=2), data=de.PairedFolder(root))
    (tmp_path / "pairs").rename(tmp_path / "moved")
    root = tmp_path / "moved"
    train(config(run, stop_after=2), data=de.PairedFolder(root))  # the same pairs elsewhere
    if change == "another picture":
        Image.new("RGB", (20, 18)).save(root / side / "1.png")
    for both in ("rainy", "clean"):
        if change == "one more":
            Image.new("RGB", (20, 18)).save(root / both / "3.png")
        elif change == "one less":
            (root / both / "2.png").unlink()
    with pytest.raises(DerainError, match="other data"):
        train(config(run, stop_after=2), data=de.PairedFolder(root))


# -- worker processes as on other systems ---------------------------------------------------------


@pytest.mark.parametrize("order", ["easy_to_hard", "random"])
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_drawn_pairs_are_the_same_in_workers(method, order):
    stages = StepSchedule((1, 2), (0.0, 0.5))
    settings = config(None, curriculum=Curriculum(stages=stages, order=order), photos="test")
    trainer = Trainer(settings)
    assert isinstance(trainer.data, PlannedRain)
    expected = next(iter(trainer.batches()))["rainy"]
    loader = torch.utils.data.DataLoader(
        trainer.data, 2, sampler=range(2), num_workers=1, multiprocessing_context=method
    )
    assert torch.equal(next(iter(loader))["rainy"], expected)


def test_data_that_cannot_be_sent_to_a_worker_are_explained(tmp_path, monkeypatch):
    class Local(Pairs):
        pass

    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", spawn)
    trainer = Trainer(config(None, workers=1), data=Local())
    with pytest.raises(DerainError, match="can't be sent to worker processes.*workers=0"):
        next(trainer.batches())
