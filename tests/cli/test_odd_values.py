"""Odd values of the options: each is one sentence before any work, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

import derain_edu as de
from derain_edu.errors import DerainError
from derain_edu.models.pretrained import open_weights_folder
from derain_edu.training.curriculum import Curriculum, StepSchedule
from derain_edu.training.trainer import Trainer

TRAIN = ["train", "--model", "residual", "--patch-size", "16", "--out", "run"]
STEP = [*TRAIN, "--steps", "1"]
PAIRS = ["evaluate", "--model", "residual", "--data", "synthetic"]
WEIGHTS = str(open_weights_folder() / "residual.safetensors")
ENTRY = ["leaderboard", "add", "one", "--weights", WEIGHTS]
# What no number of an option can be. (1e30 is no whole number, and too large for the others.)
NUMBERS = ("-1", "nan", "inf", "1e30", "9" * 30, "word")
WORDS = ("word", "-1")

# the command without the option -> its options, and what none of them takes
ODD = [
    (TRAIN, ("--minutes", "--steps", "--epochs"), (*NUMBERS, "0")),
    (STEP, ("--batch-size", "--patch-size", "--stages"), (*NUMBERS, "0")),
    (STEP, ("--lr", "--grad-clip", "--ema"), (*NUMBERS, "0")),
    (STEP, ("--batch-size", "--patch-size", "--workers"), ("999999999999",)),
    (STEP, ("--workers", "--seed"), NUMBERS),
    (STEP, ("--recipe", "--data", "--layout", "--resume", "--loss", "--attention-mask"), WORDS),
    (STEP, ("--schedule", "--precision", "--device", "--code"), WORDS),
    (PAIRS, ("--limit", "--stages", "--tile"), (*NUMBERS, "0")),
    (PAIRS, ("--data", "--model", "--protocol", "--layout", "--code"), WORDS),
    (PAIRS, ("--csv",), (".",)),
    (["leaderboard"], ("--board", "--league"), WORDS),
    (["leaderboard", "try"], ("--weights",), WORDS),
    (ENTRY, ("--minutes",), ("nan", "inf", "-1", "word", "0")),
    (ENTRY, ("--board",), (".",)),
    (ENTRY, ("--code",), WORDS),
    (["leaderboard", "add", "--weights", WEIGHTS], (None,), (" ", "x" * 41, "a|b")),
    (["card"], (None,), WORDS),
    (["card", WEIGHTS, "--output", "card.md"], ("--model", "--code"), WORDS),
    (["card", WEIGHTS], ("--output",), (".",)),
    (["bench"], (None,), WORDS),
    (["experiment"], (None,), WORDS),
    (["download"], (None,), WORDS),
    (["download", "rain100l"], ("--source",), WORDS),
    (["export"], (None,), WORDS),
    (["export", "residual"], ("--code", "-o"), (*WORDS, ".")),
    (["export", "prenet"], ("--stages",), (*NUMBERS, "0")),
]
CASES = [(base, option, values) for base, options, values in ODD for option in options]


@pytest.mark.parametrize(
    ("base", "option", "values"),
    CASES,
    ids=[f"{' '.join(base[:2])} {option}"[-40:] for base, option, _ in CASES],
)
def test_odd_values_are_one_sentence(call, tmp_path, monkeypatch, base, option, values):
    monkeypatch.chdir(tmp_path)
    for value in values:
        status, _, err = call(*without(base, option), *filter(None, [option]), value)
        last = err.splitlines()[-1]
        assert status == 2 and "Traceback" not in err, (value, err)
        assert last.lower().startswith("error: "), (value, err)
        assert "Usage: " in err or err.count("\n") == 1, (value, err)
        assert list(tmp_path.iterdir()) == [], f"{value}: something is left of it"


def without(arguments: list[str], option: str | None) -> list[str]:
    """Return the arguments without this option, so that it is not given twice."""
    if option not in arguments:
        return arguments
    place = arguments.index(option)
    return arguments[:place] + arguments[place + 2 :]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["train", "--steps", "1", "--out", ""], "what follows --out"),
        (["evaluate", "--csv="], "what follows --csv="),
        (["evaluate", "--data", ""], "what follows --data"),
        (["leaderboard", "add", "one", "--weights", ""], "what follows --weights"),
        (["download", "rain100l", "--source", ""], "what follows --source"),
        (["experiment", "capacity", "--out", ""], "what follows --out"),
        (["card", ""], "a name"),
        (["export", ""], "a name"),
        (["bench", ""], "a name"),
    ],
)
def test_an_empty_value_is_a_variable_without_one(call, arguments, what):
    """As a path it would mean the folder that one is in."""
    status, _, err = call(*arguments)
    assert status == 2
    assert err == f"error: {what} is empty (''): check the variables in your command\n"


def test_a_batch_larger_than_the_memory_is_refused(monkeypatch):
    config = de.TrainConfig(
        model="residual", steps=2, batch_size=1000, patch_size=16, validate_every=0
    )
    memory = psutil.virtual_memory()._replace(total=6 * 4 * 1000 * 16**2)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert Trainer(config).plan.samples(0)[-1] == 999
    growing = Curriculum(batch_size=StepSchedule((1, 1001), (0.0, 0.5)))
    for more in ({"batch_size": 1001}, {"curriculum": growing}):
        with pytest.raises(DerainError, match="1001 patches of 16×16.*a smaller batch_size"):
            Trainer(de.TrainConfig(**{**vars(config), **more}))


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_step_that_does_not_fit_is_one_sentence(tmp_path, monkeypatch, error):
    """And what was done before it is saved."""
    config = de.TrainConfig(
        model="residual", steps=3, batch_size=1, patch_size=16, validate_every=0, out=tmp_path
    )
    real = Trainer.loss_of

    def full(self, batch):
        if self.steps_done == 2:
            raise error
        return real(self, batch)

    monkeypatch.setattr(Trainer, "loss_of", full)
    with pytest.raises(DerainError, match="step 3 does not fit into the memory of cpu: choose"):
        de.train(config)
    assert Path(tmp_path / "last.pt").is_file()
    monkeypatch.setattr(Trainer, "loss_of", real)
    assert de.train(config).steps == 3
