"""What lesson 12 draws: any curriculum step by step, what it costs, and how it did.

The functions that draw know nothing of notebooks and are tested without them;
:func:`schedule_dial` puts controls above them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from derain_edu.course.views.plots import COLOURS, chart, draw_picture, new_figure, strip_png
from derain_edu.course.views.sliders import shell
from derain_edu.errors import DerainError
from derain_edu.experiments.statistics import interval
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import ORDERS, Curriculum, StepSchedule
from derain_edu.training.plan import Plan, PlannedRain

# what may become harder -> its levels, from easy to hard, for each field of a Curriculum
LEVELS: dict[str, dict[str, tuple[Any, ...]]] = {
    "stages": {"stages": (1, 2, 3, 4)},
    "patches": {"patch_size": (16, 32, 64), "batch_size": (16, 4, 1)},
    "rain": {"rain": ("drizzle", "light", "heavy")},
    "loss": {"loss": ("l1", "neg_ssim+l1")},
}
SORTED = ("easy to hard", "random order")  # a curriculum, and its control
ORDER_NAMES = dict(zip(("easy to hard", "hard to easy", "random order"), ORDERS, strict=True))


def curriculum_of(what: str, hardest: float, order: str = "easy_to_hard") -> Curriculum:
    """Return a curriculum that gives the share ``hardest`` of the run to its hardest level.

    Parameters
    ----------
    what : str
        A key of :data:`LEVELS`.
    hardest : float
        From above 0 to 1; the easier levels share the rest equally. 1 is fixed
        training, all of it at the hardest level.
    order : str
        One of :data:`~derain_edu.training.curriculum.ORDERS`.
    """
    if what not in LEVELS:
        raise DerainError(f"unknown {what!r}: choose one of {', '.join(LEVELS)}")
    if not 0 < hardest <= 1:
        raise DerainError(f"hardest is a share above 0 and up to 1, got {hardest}")
    schedules = {}
    for name, values in LEVELS[what].items():
        easier = len(values) - 1
        starts = [round(k * (1 - hardest) / easier, 6) for k in range(easier + 1)]
        whole = hardest == 1
        schedules[name] = StepSchedule(
            values[-1:] if whole else values, (0.0,) if whole else (*starts,)
        )
    return Curriculum(**schedules, order=order)


def levels_of(plan: Plan, name: str) -> list[Any]:
    """Return the value of ``name``, a field of a setting, at every step of a plan."""
    return [getattr(plan.at(step), name) for step in range(plan.steps)]


def draw_plan(plan: Plan, what: str, stages: int = 4) -> bytes:
    """Return the PNG of a plan: its level at every step, and its budget beside fixed training.

    Parameters
    ----------
    plan : Plan
    what : str
        A key of :data:`LEVELS`: which of them the plan changes.
    stages : int
        The network's own T.
    """
    name = next(iter(LEVELS[what]))
    scale, levels = LEVELS[what][name], levels_of(plan, name)
    left, axis = chart(460, 260)
    places = [scale.index(level) for level in levels]
    axis.scatter(range(plan.steps), places, s=60, marker="|", linewidths=0.5, color=COLOURS[0])
    axis.set_yticks(range(len(scale)), [str(value).replace("+", "\n+") for value in scale])
    axis.set(xlabel="step", ylim=(-0.5, len(scale) - 0.5), xlim=(0, plan.steps))
    right, axis = chart(260, 260)
    shares = budget_shares(plan, stages)
    bars = axis.bar(list(shares), list(shares.values()), color=COLOURS[: len(shares)], width=0.6)
    axis.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    axis.axhline(1, linestyle=":", color="grey")
    axis.set_ylim(0, max(1.25, 1.15 * max(shares.values())))
    return strip_png({f"{what}: level by step": left, "spent; fixed training = 1": right})


def budget_shares(plan: Plan, stages: int = 4) -> dict[str, float]:
    """Return steps, samples and compute of a plan as shares of the same run without curriculum."""
    plain = Plan(replace(plan.config, curriculum=None), plan.steps)
    pairs = zip(("samples", "compute"), plan.spent(stages), plain.spent(stages), strict=True)
    return {"steps": 1.0, **{name: own / other for name, own, other in pairs}}


def plan_in_words(plan: Plan, what: str, stages: int = 4) -> str:
    """Return a sentence for those who can't see :func:`draw_plan`."""
    levels = levels_of(plan, next(iter(LEVELS[what])))
    counts = ", ".join(f"{v} in {levels.count(v)} steps" for v in sorted(set(levels), key=str))
    shares = budget_shares(plan, stages)
    return (
        f"{what}: {counts}; {shares['samples']:.2f} of the samples and "
        f"{shares['compute']:.2f} of the compute of fixed training"
    )


def schedule_dial(config: TrainConfig, stages: int = 4) -> Any:
    """Return the curriculum widget: what becomes harder, in which order, how long at the end."""
    import ipywidgets

    what = ipywidgets.Dropdown(options=list(LEVELS), description="what")
    order = ipywidgets.Dropdown(options=list(ORDER_NAMES.items()), description="order")
    hardest = ipywidgets.IntSlider(50, 10, 100, step=5, description="hardest, %")

    def plan() -> Plan:
        curriculum = curriculum_of(what.value, hardest.value / 100, order.value)
        return Plan(replace(config, curriculum=curriculum))

    return shell(
        [what, order, hardest],
        lambda: draw_plan(plan(), what.value, stages),
        lambda: plan_in_words(plan(), what.value, stages),
    )


def draw_patches(plans: Mapping[str, Plan]) -> Figure:
    """Draw what the network sees early, in the middle and late: ``plans`` are patches and rain."""
    shares = (0.1, 0.5, 0.95)
    figure, axes = new_figure(1, len(plans) * len(shares), width=11, height=2.3)
    moments = [(what, plan, share) for what, plan in plans.items() for share in shares]
    for axis, (what, plan, share) in zip(axes.flat, moments, strict=True):
        step = int(share * plan.steps)
        patch = PlannedRain(plan)[plan.samples(step)[0]]["rainy"]  # (3, P, P)
        now = plan.at(step)
        level = f"{now.patch_size} px" if what == "patches" else now.rain
        draw_picture(axis, patch, f"{what}, {share:.0%}: {level}")
        largest = max(plan.at(k).patch_size for k in range(plan.steps))
        axis.set(xlim=(-0.5, largest - 0.5), ylim=(largest - 0.5, -0.5))  # one scale for three
    return figure


def draw_differences(differences: Mapping[str, Sequence[float]], unit: str = "dB") -> Figure:
    """Draw paired differences: a dot per seed, and their mean with its 95 % interval."""
    figure, axes = new_figure(width=9, height=0.6 + 0.5 * len(differences))
    axis = axes[0, 0]
    for k, values in enumerate(differences.values()):
        middle, half = interval(list(values))
        colour = COLOURS[k % len(COLOURS)]
        axis.errorbar(middle, -k, xerr=half, fmt="s", capsize=4, color=colour)
        axis.plot(values, [-k + 0.25] * len(values), "o", markersize=4, color=colour, alpha=0.6)
        axis.text(1.01, -k, f"{middle:+.2f} ± {half:.2f}", va="center", fontsize=8,
                  transform=axis.get_yaxis_transform())
    axis.axvline(0, linestyle=":", color="grey")
    axis.set_yticks([-k for k in range(len(differences))], differences, fontsize=8)
    axis.set(xlabel=unit, ylim=(0.6 - len(differences), 0.6))
    return figure


def curves_of(rows: Sequence[Mapping[str, Any]], variant: str) -> np.ndarray:
    """Return the recorded curves of a variant, (seeds, 10): validation PSNR at each tenth."""
    curves = [row["curve"].split() for row in rows if row["variant"] == variant]
    return np.array([[float(value) for value in curve[:10]] for curve in curves])


def draw_histories(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw learning curves in panels: lines are means, bands go from the worst to the best seed.

    Parameters
    ----------
    panels : mapping
        By the title of each panel: curves (seeds, 10) by their names.
    """
    figure, axes = new_figure(1, len(panels), width=4.6 * len(panels), height=3.2)
    tenths = np.arange(1, 11) / 10
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=True):
        for name, some in curves.items():
            [line] = axis.plot(tenths, some.mean(axis=0), label=name)
            low, high = some.min(axis=0), some.max(axis=0)
            axis.fill_between(tenths, low, high, color=line.get_color(), alpha=0.15)
        axis.set(xlabel="share of the budget", title=title, ylabel="validation PSNR, dB")
        axis.legend(fontsize=8, frameon=False)
    return figure


def draw_schedule(panels: Mapping[str, Sequence[float]], mark: int) -> Figure:
    """Draw several values over thousands of iterations, with a dotted line at ``mark``."""
    figure, axes = new_figure(1, len(panels), width=12, height=2.8)
    for axis, (label, values) in zip(axes.flat, panels.items(), strict=True):
        axis.plot(values, color=COLOURS[0])
        axis.axvline(mark, linestyle=":", color="grey")
        axis.set(xlabel="thousand iterations", ylabel=label, ylim=(0, None))
    return figure
