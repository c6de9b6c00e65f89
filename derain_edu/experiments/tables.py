"""The tables of the recorded experiments: who is compared with whom, and with which budget.

An :class:`Experiment` is a question and a table of variants. Every variant gets the same steps and
the same samples in the same order; only what its row says is different. Where equal steps would
not be a fair budget, as between networks with few and many stages, a control with equal compute
stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from derain_edu.errors import DerainError
from derain_edu.models.transplant import GRAFTS
from derain_edu.training.curriculum import Curriculum, StepSchedule, equal_shares


@dataclass(frozen=True)
class Experiment:
    """A question, and the table of runs that answers it.

    A variant is a dict: ``model``, options of that model, and where needed ``train``, fields of
    :class:`~derain_edu.training.config.TrainConfig` that are its own, and ``budget``, its share of
    the steps.

    Attributes
    ----------
    name : str
        Also the name of its files in ``data/results``.
    question : str
        What it asks.
    variants : dict[str, dict[str, Any]]
        Name → what the variant changes, see above.
    seeds : tuple[int, ...], default (0, 1, 2)
        One run per variant and seed.
    steps : int, default 600
        Optimizer steps of each run.
    samples : int | None, default None
        Train on this many fixed samples. None: on endless fresh ones.
    train : dict[str, Any]
        Fields of TrainConfig that all variants share.
    judge : tuple[str, ...], default ("light",)
        The rains of the held-out pairs.
    examine : str | None, default None
        A further look at each trained network, see ``EXAMINATIONS`` in
        :mod:`~derain_edu.experiments.measurements`. None: none.
    """

    name: str
    question: str
    variants: dict[str, dict[str, Any]]
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 600
    samples: int | None = None
    train: dict[str, Any] = field(default_factory=dict)
    judge: tuple[str, ...] = ("light",)
    examine: str | None = None


_SMALL = {"patch_size": 32, "batch_size": 4, "data": "light", "loss": "neg_ssim+l1", "lr": 2e-3}
# At 2e-3 one training of PRN in three went wrong, and hid everything else.
_CALM = {**_SMALL, "lr": 1e-3, "grad_clip": 1.0}
_FIVE = tuple(range(5))  # seeds
_BASELINE = {"model": "residual", "channels": 16, "blocks": 5}
_PRN = {"model": "prn", "channels": 16, "blocks": 3, "stages": 4}


def _orders(rising: dict[str, dict[str, StepSchedule]], *labels: str) -> dict[str, dict[str, Any]]:
    """Return a variant per curriculum and order: the same steps, sorted in several ways."""
    orders = {
        label: "random" if label == "random order" else label.replace(" ", "_") for label in labels
    }
    return {
        f"{what}, {label}": {
            **_PRN,
            "train": {"curriculum": Curriculum(**schedules, order=orders[label])},
        }
        for what, schedules in rising.items()
        for label in labels
    }


# The patches grow with a constant number of pixels per step, as in Restormer's schedule: 16 of
# 16², 4 of 32², 1 of 64².
_RISING = {
    "stages": {"stages": equal_shares(1, 2, 3, 4)},
    "patches": {"patch_size": equal_shares(16, 32, 64), "batch_size": equal_shares(16, 4, 1)},
    "loss": {"loss": equal_shares("l1", "neg_ssim+l1")},
}
_RAIN = {"rain": {"rain": equal_shares("drizzle", "light", "heavy")}}

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "rain_or_picture",
            "Should the baseline predict the rain layer or the clean picture?",
            {
                # Three step sizes for both: one that suits the first need not suit the second.
                f"{label}{size}": {**_BASELINE, **options, "train": {"lr": lr}}
                for size, lr in (("", 2e-3), (", half the step", 1e-3), (", twice the step", 4e-3))
                for label, options in {
                    "predicts the rain": {},
                    "predicts the picture": {"predicts": "picture"},
                }.items()
            },
            seeds=tuple(range(15)),
            train=_SMALL,
        ),
        Experiment(
            "capacity",
            "On 64 fixed patches: what do more blocks buy, and who overfits?",
            {
                "baseline, 1 block": {**_BASELINE, "blocks": 1},
                **{f"baseline, {n} blocks": {**_BASELINE, "blocks": n} for n in (4, 12)},
                "PRN, 3 blocks × 4 stages": _PRN,
            },
            samples=64,
            train=_SMALL,
        ),
        Experiment(
            "concat_residual",
            "What are the second look at the rainy picture and the addition at the end worth?",
            {
                f"concat {'on' if concat else 'off'}, + rainy {'on' if residual else 'off'}": {
                    **_PRN,
                    "concat_rainy": concat,
                    "residual_output": residual,
                }
                for concat in (True, False)
                for residual in (True, False)
            },
            seeds=_FIVE,
            train=_CALM,
        ),
        Experiment(
            "head_relu",
            "Does a ReLU in the head hurt the baseline and help PRN?",
            {
                f"{label}, head ReLU {'on' if relu else 'off'}": {**options, "head_relu": relu}
                for label, options in {
                    "baseline": _BASELINE,
                    "PRN": _PRN,
                }.items()
                for relu in (True, False)
            },
            seeds=tuple(range(10)),
            train=_CALM,
        ),
        Experiment(
            "direction_attention",
            "SPANet: does it matter that the direction weights act?",
            {
                "as released": {"model": "spanet", "direction_attention": False},
                "as in the paper": {"model": "spanet", "direction_attention": True},
            },
            steps=1600,  # it has no rainy picture to add to: it takes longer to beat the input
            train={**_SMALL, "attention_mask": "true", "grad_clip": 1.0},
        ),
        Experiment(
            "specialists",
            "Who misses a residual block more: the baseline, or PRN in one of its stages?",
            {
                "baseline": _BASELINE,
                "PRN": {**_PRN, "blocks": 5},
            },
            seeds=_FIVE,
            train=_CALM,
            examine="missing_blocks",
        ),
        Experiment(
            "stage_gradients",
            "Is the gradient of a shared weight the sum over the stages, and does it balance them?",
            {
                "PRN": _PRN,
                "PReNet": {**_PRN, "model": "prenet"},
            },
            seeds=_FIVE,
            train=_CALM,
            examine="stage_gradients",
        ),
        Experiment(
            "curricula",
            "Does easy-to-hard help, when everybody gets the same steps, samples and compute?",
            {
                "one step": _PRN,
                # (1 + 2 + 3 + 4) / (4 · 4)
                "one step, compute of growing stages": {**_PRN, "budget": 0.625},
                **_orders(_RISING, "easy to hard", "random order"),
            },
            seeds=_FIVE,
            steps=1200,
            train=_CALM,
        ),
        Experiment(
            "rain_curricula",
            "Does light rain before heavy rain help, against the same rains in any order?",
            {
                "heavy rain only": {**_PRN, "train": {"data": "heavy"}},
                **_orders(_RAIN, "easy to hard", "random order", "hard to easy"),
            },
            seeds=_FIVE,
            steps=1200,
            train=_CALM,
            judge=("light", "heavy"),
        ),
        Experiment(
            "transplant",
            "What does SPANet's attention do for another network, put in five ways?",
            {
                f"{label}, {graft}": {"model": "transplant", "graft": graft, **options}
                for label, options in {
                    "baseline": {"host": "residual", "blocks": 5},
                    "PRN": {"host": "prn", "blocks": 4, "stages": 4},
                }.items()
                for graft in GRAFTS
            }
            | {
                f"baseline, {graft} and taught": {
                    "model": "transplant",
                    "graft": graft,
                    "host": "residual",
                    "blocks": 5,
                    "train": {"attention_mask": "true"},
                }
                for graft in ("dropped", "zero")
            },
            seeds=_FIVE,
            train=_CALM,
        ),
        Experiment(
            "what_to_cut",
            "A slow laptop: what to make smaller, when the work that it saves buys more steps?",
            {
                "nothing": _PRN,
                "half the stages": {**_PRN, "stages": 2, "budget": 2},
                # 4,104 products per pixel and stage instead of 15,120
                "half the channels": {**_PRN, "channels": 8, "budget": 3.68},
                "half the patch": {**_PRN, "budget": 4, "train": {"patch_size": 24}},
                "half the batch": {**_PRN, "budget": 2, "train": {"batch_size": 4}},
            },
            steps=200,
            seeds=_FIVE,
            train={**_CALM, "patch_size": 48, "batch_size": 8},
        ),
        Experiment(
            "minutes_budget",
            "What do 5, 15 and 45 CPU minutes buy, with the baseline, PRN and PReNet?",
            {
                # Steps that fit into the minutes: PRN makes 1.79 and the baseline 4.9 steps in
                # the time that PReNet needs for one.
                f"{label}, {minutes} min": {**options, "budget": minutes / 45 * speed}
                for label, options, speed in (
                    ("baseline", {"model": "residual", "blocks": 10}, 4.9),
                    ("PRN", {"model": "prn"}, 1.79),
                    ("PReNet", {"model": "prenet"}, 1.0),
                )
                for minutes in (5, 15, 45)
            },
            seeds=(0,),  # three hours of one thread for each seed
            steps=4275,
            train={**_CALM, "patch_size": 64, "channels_last": True},
        ),
        Experiment(
            "more_photos",
            "What do 47 photos in place of 13, and changing them, do for other photos?",
            {
                f"{count} photos{', changed' if augment else ''}": {
                    "model": "prenet",
                    "stages": 4,
                    "train": {"photos": photos, "augment": augment},
                }
                # recorded when the split extra held 34 photos; it holds 194 now
                for count, photos in ((13, "train"), (47, "train+extra"))
                for augment in (False, True)
            },
            steps=1500,
            train={**_CALM, "data": "mix", "patch_size": 64, "batch_size": 8, "ema": 0.99},
            judge=("light", "heavy"),
        ),
        Experiment(
            "nafnet",
            "Is a network of 2019 enough at this size, beside one of 2022?",
            {
                "PReNet": {"model": "prenet"},
                "NAFNet, as many steps": {"model": "nafnet_small"},
                # One thread: .095 s for a step where PReNet takes .594.
                "NAFNet, as many minutes": {"model": "nafnet_small", "budget": 6.25},
            },
            # 1e-3 is the step size of both papers.
            train={
                **_CALM,
                "data": "mix",
                "patch_size": 48,
                "batch_size": 2,
                "photos": "train+extra",
                "ema": 0.99,
            },
            judge=("light", "heavy"),
            examine="dry",
        ),
        Experiment(
            "do_no_harm",
            "What keeps a network from damaging pictures without rain, and does it cost rain?",
            {
                "13 photos": _PRN,
                "207 photos": {**_PRN, "train": {"photos": "train+extra"}},
                "207 photos, hard patches": {
                    **_PRN,
                    "train": {"photos": "train+extra", "hard": 0.4},
                },
                "207 photos, hard patches, dry samples": {
                    **_PRN,
                    "train": {"photos": "train+extra", "hard": 0.4, "data": "mix+dry"},
                },
            },
            train={**_CALM, "data": "mix+noise", "patch_size": 48, "ema": 0.99},
            judge=("light", "heavy"),
            examine="dry",
        ),
    )
}


def find_experiment(name: str) -> Experiment:
    """Return the experiment ``name``, one of :data:`EXPERIMENTS`."""
    if name not in EXPERIMENTS:
        raise DerainError(f"unknown experiment {name!r}: choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
