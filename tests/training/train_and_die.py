"""Train in child processes that are killed at the worst moments; run by test_resume.py.

``python train_and_die.py FOLDER`` trains the same run under several names: ``whole`` without a
stop, the others killed (SIGKILL, which no program can catch) and then resumed. It prints, as
JSON, the step at which each resumed run went on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from derain_edu.training import checkpoints
from derain_edu.training.checkpoints import load_checkpoint
from derain_edu.training.config import TrainConfig
from derain_edu.training.trainer import train


class Pairs:
    """Tiny random pairs; asking for sample ``deadly`` kills the process."""

    def __init__(self, deadly: int | None = None) -> None:
        self.deadly = deadly

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        if k == self.deadly:
            die()
        clean = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k))
        return {"rainy": 0.7 * clean + 0.3, "clean": clean}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def go(out: Path, data: Pairs) -> None:
    config = TrainConfig(
        model="prn", stages=2, options={"channels": 4, "blocks": 1}, steps=10, batch_size=2,
        ema=0.9, log_every=3, save_every=2, validate_every=4, out=out,
    )
    train(config, data=data, validation=[Pairs()[1000]])


def die_in(name: str, file: str, call: int, before: Callable[..., None]) -> None:
    """Let the ``call``-th use of ``os.<name>``, while ``file`` is written, be the last."""
    real, write, calls, written = getattr(os, name), checkpoints.write_atomically, [], []

    def noted(path, content):
        written.append(path.name)  # the temporary name says nothing about the final one
        write(path, content)

    def replacement(target, *others):
        calls.extend([1] if written and written[-1] == file else [])
        if len(calls) == call:
            before(target, *others)
            die()
        return real(target, *others)

    checkpoints.write_atomically = noted
    setattr(os, name, replacement)


def half_of_it(descriptor: int) -> None:
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)


DEATHS: dict[str, Callable[[], Pairs | None]] = {
    "in_the_first_step": lambda: Pairs(deadly=1),
    "between_two_saves": lambda: Pairs(deadly=15),
    "half_of_last_written": lambda: die_in("fsync", "last.pt", 4, half_of_it),
    "last_not_yet_renamed": lambda: die_in("replace", "last.pt", 3, lambda *names: None),
    "last_just_renamed": lambda: die_in("replace", "last.pt", 3, os.rename),
    "half_of_best_written": lambda: die_in("fsync", "best.pt", 1, half_of_it),
    "half_of_the_export_written": lambda: die_in("fsync", "model.safetensors", 1, half_of_it),
}


def main(folder: Path) -> None:
    torch.set_num_threads(1)  # a process that has started threads must not fork
    go(folder / "whole", Pairs())
    resumed_from = {}
    for name, prepare in DEATHS.items():
        child = os.fork()
        if child == 0:
            go(folder / name, prepare() or Pairs())
            os._exit(0)  # not reached: the test sees that this run was not killed
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"{name} was not killed")
        resumed_from[name] = load_checkpoint(folder / name / "last.pt")["step"]
        go(folder / name, Pairs())
    print(json.dumps(resumed_from))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
