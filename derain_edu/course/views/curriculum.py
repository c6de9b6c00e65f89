"""What lesson 12 draws: any curriculum step by step, what it costs, and when to try one.

The functions that draw know nothing of notebooks and are tested without them;
:func:`schedule_dial` puts controls above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from derain_edu.course.views.plots import COLOURS, chart, new_figure, strip_png
from derain_edu.course.views.sliders import shell
from derain_edu.errors import DerainError
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import ORDERS, Curriculum, StepSchedule
from derain_edu.training.plan import Plan

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
        From above 0 to 1; the easier levels share the rest equally. 1 is training in one step.
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
    """Return the PNG of a plan: its level at every step, and its budget beside one-step training.

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
    return strip_png({f"{what}: level by step": left, "spent; one step = 1": right})


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
        f"{shares['compute']:.2f} of the compute of one-step training"
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


# question -> what to do if the answer is no; yes leads on
QUESTIONS = (
    ("Does one-step training fail,\nby numbers, over seeds?", "Don't. There is nothing to cure."),
    ("Is it the order?\n(not the weights, lr, clipping, data)", "Don't. Cure that instead."),
    ("Does a solution of the easy task\nstart the hard one well?", "Don't. It is another task."),
    ("Does it beat random order and\nequal compute, over seeds?", "Don't. Keep the simple way."),
)


def draw_flow_chart(questions: Sequence[tuple[str, str]] = QUESTIONS) -> Figure:
    """Draw when to try a curriculum: questions from top to bottom, the noes at the side."""
    figure, axes = new_figure(width=8.5, height=0.95 * (len(questions) + 1))
    axis = axes[0, 0]
    axis.set_axis_off()
    axis.set(xlim=(0, 10), ylim=(-0.5, len(questions) + 0.5))
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": COLOURS[0]}
    stop = {**box, "edgecolor": COLOURS[1]}
    arrow = {"arrowstyle": "-|>", "color": "grey"}
    for k, (question, otherwise) in enumerate(questions):
        y = len(questions) - k
        axis.text(2.8, y, question, ha="center", va="center", fontsize=9, bbox=box)
        axis.text(8.1, y, otherwise, ha="center", va="center", fontsize=9, bbox=stop)
        axis.annotate("", (6.2, y), (4.9, y), arrowprops=arrow)
        axis.text(5.6, y + 0.08, "no", ha="center", fontsize=9, color="grey")
        axis.annotate("", (2.8, y - 0.72), (2.8, y - 0.28), arrowprops=arrow)
        axis.text(2.95, y - 0.52, "yes", fontsize=9, color="grey")
    last = {**box, "edgecolor": COLOURS[2]}
    axis.text(
        2.8, 0, "Use it, and say what it cost.", ha="center", va="center", fontsize=9, bbox=last
    )
    return figure
