"""The trainer: how a network gets its weights.

Read :meth:`Trainer.step` first. It is the whole of training::

    loss = how far model(rainy) is from clean              forward
    the gradient of the loss for every weight              backward
    every weight moves a little against its gradient       optimizer

Then :meth:`Trainer.run`, which repeats it until the budget is spent. Everything is a function of
the configuration, the seed and the step number: step s uses the samples ``s·B … s·B + B − 1`` of
an endless data stream, a learning rate that depends only on the progress, and the difficulty that
the :class:`~derain_edu.training.plan.Plan` of the run gives it. So a run that was
stopped (or killed) and resumed gives, on a CPU with the same number of threads, the same weights
to the last bit as one that ran through. The exception is a budget in minutes: there the progress
is the training time, and no two runs take equally long.

>>> run = train(TrainConfig(model="prn", stages=4, minutes=10, out="runs/first"))  # doctest: +SKIP
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from derain_edu.devices import ran_out_of_memory, set_seed
from derain_edu.errors import DerainError
from derain_edu.metrics import psnr
from derain_edu.models import create_model, model_options
from derain_edu.text import bars_are_off
from derain_edu.training.checkpoints import (
    RunFolder,
    check_same_run,
    data_fingerprint,
    random_state,
    set_random_state,
    stop_requests,
)
from derain_edu.training.config import SCHEDULES, Row, TrainConfig, TrainResult
from derain_edu.training.losses import make_loss
from derain_edu.training.objective import objective
from derain_edu.training.plan import open_data
from derain_edu.training.ranks import Ranks, joined_ranks
from derain_edu.training.workers import ignore_interrupts, one_sentence


class Trainer:
    """One training run.

    Parameters
    ----------
    config : TrainConfig
    data : dataset, optional
        Instead of ``config.data``: an endless stream, ``data[k]`` for every k ≥ 0, of dicts with
        ``rainy`` and ``clean`` (3, P, P); or a data set with a length, such as
        :class:`~derain_edu.datasets.pairs.PairedFolder`, from which random patches are cut.
    validation : sequence of dict, optional
        Fixed pairs for the validation. Default: rain of ``config.data`` on the validation
        photos; none when ``data`` is given.
    on_log : callable, optional
        Called with the list of all rows whenever there is a new one, for a live curve.
    ranks : Ranks, optional
        This process's place among those that train together.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: Any = None,
        validation: Sequence[dict[str, Tensor]] | None = None,
        on_log: Callable[[list[Row]], None] | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.config, self.on_log, self.ranks = config, on_log, ranks or Ranks()
        self.folder = RunFolder(config.out if self.ranks.first else None)
        self.folder.check()
        self.device = self.ranks.device(config.device)
        if config.precision == "fp16" and self.device.type == "cpu":
            raise DerainError("fp16 needs a GPU: choose precision 'float32' or 'bf16'")
        self.data, self.validation, self.plan = open_data(config, data, validation)
        self.data_fingerprint = data_fingerprint(self.data)
        set_seed(config.seed)
        self.model = self._new_model()
        self.ema = copy.deepcopy(self.model).eval() if config.ema else None
        self.weights = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.weights, lr=config.lr)
        # fp16 has few small numbers: the loss is scaled up so that gradients don't become 0.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.steps_done, self.seconds, self.best = 0, 0.0, -math.inf
        self.since_row = [0.0, 0.0, 0]  # sum of losses, sum of gradient norms, how many
        self.log: list[Row] = []
        self.inside_a_step = False

    def _new_model(self) -> nn.Module:
        config = self.config
        stages = {} if config.stages is None else {"stages": config.stages}
        model = create_model(config.model, config.pretrained, **{**config.options, **stages})
        of_stages = (config.stage_weights, config.checkpoint_stages, self.plan.curriculum.stages)
        if not hasattr(model, "unroll") and any(of_stages):
            raise DerainError(
                f"{config.model} has no stages to weight, to checkpoint or to grow: choose a "
                "progressive network such as prn"
            )
        if not hasattr(model, "attend") and config.attention_mask:
            raise DerainError(
                f"{config.model} has no attention map to compare with a mask: choose spanet, or "
                "leave attention_mask out"
            )
        if config.attention_mask and any(of_stages):
            raise DerainError(
                "attention_mask needs a loss on the last stage only: leave it out, or leave out "
                "stage_weights, checkpoint_stages and a curriculum of stages"
            )
        return model.train().to(self.device, memory_format=config.layout)

    # -- one step -------------------------------------------------------------------------------

    def step(self, batch: dict[str, Tensor]) -> tuple[float, float]:
        """Make one step; return its loss and the norm of its gradient."""
        self.inside_a_step = True  # what is half done is not saved
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        loss = self.loss_of(batch)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # (without fp16, the scaler changes nothing)
        loss, gradients = loss.detach(), [p.grad for p in self.weights if p.grad is not None]
        self.ranks.average([loss, *gradients])
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm(gradients)
        self.check_finite(loss, norm)
        if self.config.grad_clip is not None:
            nn.utils.clip_grads_with_norm_(self.weights, self.config.grad_clip, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.steps_done += 1
        self.update_ema()
        self.inside_a_step = False
        return loss.item(), norm.item()

    def loss_of(self, batch: dict[str, Tensor]) -> Tensor:
        """Run the network on a batch and compare with the clean pictures."""
        config, setting = self.config, self.plan.at(self.steps_done)
        rainy = batch["rainy"].to(self.device, memory_format=config.layout, non_blocking=True)
        clean = batch["clean"].to(self.device, non_blocking=True)
        moved = {**batch, "rainy": rainy, "clean": clean}
        return objective(self.model, moved, config, make_loss(setting.loss), setting.stages)

    @contextmanager
    def enough_memory(self) -> Iterator[None]:
        """Say in one sentence that a step is too large for the memory."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
            raise DerainError(
                f"step {self.steps_done + 1} does not fit into the memory of {self.device}: choose "
                "a smaller batch_size or patch_size"
            ) from error

    def check_finite(self, loss: Tensor, norm: Tensor) -> None:
        """Stop before a NaN or an infinite gradient reaches the weights."""
        # Overflowing gradients are part of fp16: the scaler skips that step and scales less.
        overflow_allowed = self.scaler.is_enabled() and self.scaler.get_scale() > 1
        if torch.isfinite(loss if overflow_allowed else loss + norm):
            return
        what = "gradient" if torch.isfinite(loss) else "loss"
        raise DerainError(
            f"the {what} of step {self.steps_done + 1} is not finite; its batch is samples "
            f"{self.plan.samples(self.steps_done)} of the data; {self.folder.last_good()}. "
            "Look at these samples, lower lr, or set grad_clip"
        )

    def update_ema(self) -> None:
        """Move the running mean of the weights a little towards the weights."""
        if self.ema is None:
            return
        # A shorter memory at the start, so that the random first weights are soon forgotten.
        decay = min(self.config.ema, (1 + self.steps_done) / (10 + self.steps_done))
        with torch.no_grad():
            for mean, weight in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)

    # -- the run --------------------------------------------------------------------------------

    def run(self) -> TrainResult:
        """Repeat the step until the budget is spent, and write down how it goes."""
        with self.folder.reserved():
            self.prepare()
            self.repeat_steps()
            model = (self.ema or self.model).eval()
            self.folder.export(model.state_dict(), self.config.model, model_options(model))
        return TrainResult(model, self.log, self.folder.path, self.steps_done, self.seconds / 60)

    def prepare(self) -> None:
        """Find out now, not after ten minutes, that a picture or the folder can't be used."""
        if self.ranks.first and not self.finished and hasattr(self.data, "check"):
            self.data.check()
        self.folder.write_log(self.log)
        if self.steps_done == 0:
            self.folder.save("last.pt", self.state)

    def repeat_steps(self) -> None:
        """Make all steps. Whatever ends them, what is done by then is saved."""
        start = time.monotonic() - self.seconds
        saving = self.folder.saving_at_the_end(self.state, lambda: not self.inside_a_step)
        with stop_requests() as requests, self._progress_bar() as bar, saving:
            batches = self.batches()
            while not self.finished:
                with self.enough_memory():
                    loss, norm = self.step(next(batches))
                self.seconds, stop = self.ranks.agree(time.monotonic() - start, bool(requests))
                self.write_down(loss, norm, bar)
                if stop and not self.finished:
                    raise KeyboardInterrupt(f"stopped after step {self.steps_done}")
                if self.steps_done % self.config.save_every == 0:
                    self.folder.try_to_save("last.pt", self.state)

    @property
    def progress(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        if self.plan.steps is None:
            return min(1.0, self.seconds / (60 * self.config.minutes))
        return self.steps_done / self.plan.steps

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.progress >= 1 or self.steps_done == self.config.stop_after

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.config.lr * SCHEDULES[self.config.schedule](self.progress)

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Yield this rank's part of every batch, beginning at the next step, without end."""
        shares = (self.ranks.share(self.plan.samples(s)) for s in itertools.count(self.steps_done))
        loader = DataLoader(
            self.data,
            batch_sampler=shares,
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
            # A loader draws one random number when it starts. With a generator of its own, a
            # resumed run, which starts one loader more, sees the same random numbers elsewhere.
            generator=torch.Generator(),
            worker_init_fn=ignore_interrupts,
        )
        with one_sentence():
            yield from loader

    # -- records --------------------------------------------------------------------------------

    def write_down(self, loss: float, norm: float, bar: tqdm) -> None:
        """Add to the log what is due after this step; keep the best weights so far."""
        every, done, last = self.config.validate_every, self.steps_done, self.finished
        self.since_row = [a + b for a, b in zip(self.since_row, (loss, norm, 1), strict=True)]
        bar.update()
        judge = bool(self.validation) and (last or (every > 0 and done % every == 0))
        if not (last or judge or done % self.config.log_every == 0):
            return
        row = self._row(self.validate() if judge and self.ranks.first else None)
        self.log.append(row)
        self.folder.append_log(self.log)
        bar.set_postfix({"loss": f"{row['loss']:.4f}", "budget": f"{self.progress:.0%}"})
        if row["validation_psnr"] is not None and row["validation_psnr"] > self.best:
            self.best = row["validation_psnr"]
            self.folder.try_to_save("best.pt", self.state)
        if self.on_log is not None and self.ranks.first:
            self.on_log(self.log)

    def _row(self, validation_psnr: float | None) -> Row:
        (loss, norm, count), self.since_row = self.since_row, [0.0, 0.0, 0]
        return {
            "step": self.steps_done,
            "samples": self.plan.samples(self.steps_done - 1)[-1] + 1,
            "minutes": self.seconds / 60,
            "loss": loss / count,  # the mean since the last row
            "lr": self.optimizer.param_groups[0]["lr"],
            "grad_norm": norm / count,
            "validation_psnr": validation_psnr,
        }

    @torch.no_grad()
    def validate(self) -> float:
        """Return the mean PSNR (dB, protocol prenet_matlab) on the validation pairs."""
        model = (self.ema or self.model).eval()
        scores = [
            psnr(model(pair["rainy"][None].to(self.device)).cpu().clamp(0, 1), pair["clean"][None])
            for pair in self.validation
        ]
        self.model.train()
        return sum(scores) / len(scores)

    def _progress_bar(self) -> tqdm:
        hidden = not self.ranks.first or bars_are_off()
        return tqdm(
            total=self.plan.steps, initial=self.steps_done, unit="step", disable=hidden,
            desc=self.config.model,
        )

    def state(self) -> dict[str, Any]:
        """Return the whole run, everything that the next step depends on, for a checkpoint.

        The schedule and the data position are in it too: both are functions of ``step`` (and of
        ``seconds``, with a budget in minutes).
        """
        config = {**asdict(self.config), "out": str(self.config.out)}
        return {
            "config": {**config, "options": model_options(self.model)},
            "data": self.data_fingerprint,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.steps_done,
            "seconds": self.seconds,
            "best": self.best,
            "since_row": self.since_row,
            "log": self.log,
            "random": random_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`state` was taken."""
        check_same_run(state, self.state())
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.steps_done, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.since_row, self.log = state["since_row"], state["log"]
        set_random_state(state["random"])


def train(
    config: TrainConfig,
    resume: str = "auto",
    data: Any = None,
    validation: Sequence[dict[str, Tensor]] | None = None,
    on_log: Callable[[list[Row]], None] | None = None,
) -> TrainResult:
    """Train a network.

    Parameters
    ----------
    config : TrainConfig
    resume : {"auto", "never"}
        ``"auto"`` goes on where the run in ``config.out`` stopped, if there is one (a finished
        run just returns its result); ``"never"`` starts over and replaces it.
    data, validation, on_log
        See :class:`Trainer`.

    Returns
    -------
    TrainResult

    Raises
    ------
    DerainError
        For an impossible configuration, one that differs from the run to resume, or a loss
        that is not finite.
    KeyboardInterrupt
        After Ctrl-C, when the step is complete and saved: the same call goes on from there.
    """
    if resume not in ("auto", "never"):
        raise DerainError(f"resume must be 'auto' or 'never', got {resume!r}")
    with joined_ranks(config.device) as ranks:
        trainer = Trainer(config, data, validation, on_log, ranks)
        with trainer.folder.reserved():
            if resume == "never":
                trainer.folder.clear()
            elif (state := RunFolder(config.out).load("last.pt")) is not None:
                trainer.load_state(state)
            return trainer.run()
