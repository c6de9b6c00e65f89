"""What each process does under torchrun; run by test_ranks.py.

Trains the run ``whole`` in one go; the run ``stopped``, where one rank alone presses Ctrl-C, and
its continuation; and a run whose data hold a NaN in the other rank's share. Every rank prints
what happened to it, as one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from derain_edu.errors import DerainError
from derain_edu.training.config import TrainConfig
from derain_edu.training.trainer import train


class Pairs:
    """Tiny random pairs, with a NaN or a Ctrl-C at one index."""

    def __init__(self, nan_at: int | None = None, stop_at: int | None = None) -> None:
        self.nan_at, self.stop_at = nan_at, stop_at

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        if k == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        clean = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k))
        rainy = 0.7 * clean + 0.3
        return {"rainy": rainy * math.nan if k == self.nan_at else rainy, "clean": clean}


def config(out: Path, **changes) -> TrainConfig:
    settings = {
        "model": "prenet", "stages": 2, "options": {"channels": 4, "blocks": 1}, "steps": 6,
        "batch_size": 4, "log_every": 1, "ema": 0.9, "grad_clip": 0.5, "loss": "neg_ssim+l1",
        "device": "cpu", "out": out,
    }  # fmt: skip
    return TrainConfig(**{**settings, **changes})


def attempt(name: str, folder: Path, data: Pairs, **changes) -> str:
    try:
        run = train(config(folder / name, **changes), data=data)
    except KeyboardInterrupt as stop:
        return str(stop).split(";")[0]
    except DerainError as error:
        return str(error).split(" of the data")[0]
    finally:
        dist.barrier()  # rank 0 may still be writing
    return f"{run.steps} steps, loss {run.log[-1]['loss']:.6f}, wrote {run.out is not None}"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")  # once for all runs
    said = [
        attempt("whole", folder, Pairs()),
        attempt("stopped", folder, Pairs(stop_at=11)),  # step 3, in the share of rank 1
        attempt("stopped", folder, Pairs()),
        attempt("nan", folder, Pairs(nan_at=8)),  # step 3, in the share of rank 0
        attempt("odd", folder, Pairs(), batch_size=3),
    ]
    (folder / f"rank{dist.get_rank()}.json").write_text(json.dumps(said))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
