"""The claims, each with the function that reads its result files.

:data:`CLAIMS` stands at the end. How a finding becomes a verdict:
:mod:`derain_edu.experiments.claims_page`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from derain_edu.experiments.claims_page import (
    FAILS,
    HOLDS,
    Claim,
    Comparison,
    Finding,
    decided,
    span,
)
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import differences, summarize


def _compare(what: str, values: Iterable[float], **more: Any) -> Comparison:
    return Comparison(what, tuple(values), **more)


def _either(true: bool) -> str:
    return HOLDS if true else FAILS


def _specialists() -> Iterable[Finding | Comparison]:
    rows = load_results("specialists")
    missing = {(row["variant"], row["seed"]): row for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    yield _compare(
        "a missing block costs the baseline more than PRN when it is away in the first stage",
        [missing["baseline", s]["missing_all"] - missing["PRN", s]["missing_first"] for s in seeds],
    )
    rows = [
        {**row, "gap": row["psnr_train"] - row["psnr_validation"]}
        for row in load_results("capacity")
    ]
    names = [row["variant"] for row in rows]
    prn = next(name for name in names if name.startswith("PRN"))
    for baseline in [n for n in dict.fromkeys(names) if n.startswith("baseline")][1:]:
        yield _compare(
            f"gap between training and validation on 64 fixed patches, {baseline} minus {prn}",
            differences(rows, baseline, prn, "gap"),
        )


def _stage_sum() -> Iterable[Finding | Comparison]:
    rows = load_results("stage_gradients")
    worst = max(max(row["sum_error_fresh"], row["sum_error_trained"]) for row in rows)
    yield Finding(
        "the shares of the stages add up to autograd's gradient, largest relative error "
        f"{worst:.0e}",
        _either(worst < 1e-5),
    )
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        fresh, trained = (
            statistics.median(row[f"ratio_{when}"] for row in own) for when in ("fresh", "trained")
        )
        yield _compare(
            f"{variant}: a step along the sum lowers the loss through every stage (the smallest "
            "cosine between the share of a stage and the sum, after training; the loudest share "
            f"is {trained:.0f} times the quietest, {fresh:.0f} times before training, medians)",
            [row["cosine_trained"] for row in own],
            unit="",
            margin=0.1,
            why="nearly at right angles: the step does next to nothing through this stage",
        )


def _concat() -> Iterable[Finding | Comparison]:
    rows = load_results("concat_residual")
    for residual, label in (("on", "with"), ("off", "without")):
        names = [f"concat {concat}, + rainy {residual}" for concat in ("on", "off")]
        yield _compare(
            f"the rainy picture at every stage, {label} the addition at the end",
            differences(rows, *names),
        )


def _head_relu() -> Iterable[Finding | Comparison]:
    rows = load_results("head_relu")
    yield _compare(
        "baseline without the head's ReLU minus with it",
        differences(rows, "baseline, head ReLU off", "baseline, head ReLU on"),
    )
    yield _compare(
        "PRN with the head's ReLU minus without it",
        differences(rows, "PRN, head ReLU on", "PRN, head ReLU off"),
    )


def _rain_or_picture() -> Iterable[Finding | Comparison]:
    rows = load_results("rain_or_picture")
    for size, label in (("", "2e-3"), (", half the step", "1e-3"), (", twice the step", "4e-3")):
        yield _compare(
            f"predicting the rain minus predicting the picture, both with step size {label}",
            differences(rows, f"predicts the rain{size}", f"predicts the picture{size}"),
            expect=0,
        )


def _rounds() -> Iterable[Finding | Comparison]:
    rows = load_results("rounds_of_sweeps")
    seen = {name: [r["seen"] for r in rows if r["variant"] == name] for name in
            ("one round", "two rounds")}  # fmt: skip
    for name, whole in (("one round", False), ("two rounds", True)):
        values = seen[name]
        yield Finding(
            f"after {name} the middle pixel sees {span(values, '.0f')} % of the "
            f"picture (n = {len(values)})",
            _either((min(values) == 100) == whole),
        )


def _identity() -> Iterable[Finding | Comparison]:
    rows = load_results("identity_start")
    for variant in dict.fromkeys(row["variant"] for row in rows):
        values = [row["at_16"] for row in rows if row["variant"] == variant]
        keeps = variant.startswith("identity")
        yield Finding(
            f"{variant}: {span(values, '.2g')} of the gradient arrives after 16 "
            f"pixels (n = {len(values)})",
            _either(min(values) > 0.99 if keeps else max(values) < 0.1),
        )


def _direction() -> Iterable[Finding | Comparison]:
    rows = load_results("direction_attention")
    yield _compare(
        "AUC of the map, acting direction weights minus idle ones",
        [100 * v for v in differences(rows, "as in the paper", "as released", "auc_validation")],
        unit="points",
        decimals=1,
        margin=1.0,
        why="one pair of pixels in a hundred ranked otherwise",
    )
    yield _compare("PSNR, the same", differences(rows, "as in the paper", "as released"))


def _probability() -> Iterable[Finding | Comparison]:
    rows = load_results("attention_probability")
    columns = ("gap", "gap_told", "auc", "rainy", "said")
    gap, told, area, rainy, said = (summarize(rows, column) for column in columns)
    draws = len({row["seed"] for row in rows})
    for rain, (middle, half) in gap.items():
        yield Finding(
            f"{rain}: {middle:.1f} ± {half:.1f} points between the map and the share of rainy "
            f"pixels (n = {draws} draws of photos and rain, one network; AUC {area[rain][0]:.2f}; "
            "below 5 counts as a probability)",
            decided(middle - half, middle + half, 5),
        )
    # The network has learned in light rain. Is this all that it has wrong?
    for rain in ("drizzle", "heavy"):
        middle, half = told[rain]
        yield Finding(
            f"{rain}, where {rainy[rain][0]:.0f} % of the pixels are rainy and the map says "
            f"{said[rain][0]:.0f} %: {middle:.1f} ± {half:.1f} points once the map is told this "
            f"share by Bayes' rule (n = {draws})",
            decided(middle - half, middle + half, 5),
        )


def _curricula() -> Iterable[Finding | Comparison]:
    rows, rain = load_results("curricula"), load_results("rain_curricula")
    kinds = ("stages", "patches", "loss")
    for kind in kinds:
        names = f"{kind}, easy to hard", f"{kind}, random order"
        what = f"better: {kind} from easy to hard minus random order"
        yield _compare(what, differences(rows, *names))
    yield _compare(
        "better: rain from easy to hard minus random order, mean over light and heavy rain",
        differences(rain, "rain, easy to hard", "rain, random order"),
    )
    yield _compare(
        "better: growing stages minus all stages at once with equal compute",
        differences(rows, "stages, easy to hard", "one step, compute of growing stages"),
    )
    restless = [differences(rows, f"{kind}, easy to hard", "one step", "wobble") for kind in kinds]
    yield _compare(
        "more stable: jumps of the score late in training, easy to hard minus one step (mean of "
        "stages, patches, loss)",
        [sum(seed) / len(seed) for seed in zip(*restless, strict=True)],
        expect=-1,
        margin=0.1,
        why="half of what matters between two networks",
    )
    cost = {row["variant"]: row["compute"] for row in rows}
    percent = 100 * cost["stages, easy to hard"] / cost["one step"]
    yield Finding(
        f"more time: for equal steps, growing stages take {percent:.0f} % of the compute of all "
        "stages at once; the others take the same",
        _either(percent > 100),
    )


def _transplant() -> Iterable[Finding | Comparison]:
    rows = load_results("transplant")
    for host in ("baseline", "PRN"):
        yield _compare(
            f"{host}: with the module dropped in minus the host alone",
            differences(rows, f"{host}, dropped", f"{host}, none"),
            expect=-1,
        )
        for graft, label in (("matched", "scales matched"), ("zero", "starting at zero")):
            yield _compare(
                f"{host}: {label} minus dropped in",
                differences(rows, f"{host}, {graft}", f"{host}, dropped"),
            )


_ON_DRY_PHOTOS = {"margin": 1.0, "why": "the harm varies by tens of dB from photo to photo"}


def _harm() -> Iterable[Finding | Comparison]:
    rows = load_results("do_no_harm")
    few, photos, hard, dry = dict.fromkeys(row["variant"] for row in rows)
    for what, plus, minus in (
        ("207 photos minus 13", photos, few),
        ("hard patches minus none", hard, photos),
        ("dry samples minus none", dry, hard),
    ):
        yield _compare(
            f"dry photos, {what}", differences(rows, plus, minus, "psnr_dry"), **_ON_DRY_PHOTOS
        )
    for column, rain in (("psnr_light", "light"), ("psnr_heavy", "heavy")):
        yield _compare(
            f"{rain} rain, all three minus none of them", differences(rows, dry, few, column)
        )


def _year() -> Iterable[Finding | Comparison]:
    rows = load_results("nafnet")
    for budget in ("steps", "minutes"):
        name = f"NAFNet, as many {budget}"
        for column, where in (("psnr_light", "light rain"), ("psnr_heavy", "heavy rain")):
            what = f"{where}: NAFNet minus PReNet, as many {budget}"
            yield _compare(what, differences(rows, name, "PReNet", column))
        yield _compare(
            f"dry photos: NAFNet minus PReNet, as many {budget}",
            differences(rows, name, "PReNet", "psnr_dry"),
            **_ON_DRY_PHOTOS,
        )


CLAIMS = (
    Claim(
        1, "PRN's shared weights act as generalists, the baseline's as specialists, and the "
        "baseline overfits more easily.",
        "03, 04", ("specialists", "capacity"),
        "Leave one residual block out and see what the final picture loses; train on 64 fixed "
        "patches and compare with photos that training never saw.", _specialists,
    ),
    Claim(
        2, "The gradient of a shared parameter is the sum over the stages, and it balances them.",
        "05", ("stage_gradients",),
        "Give each stage its own copy of the weights and compare their gradients with the sum. "
        "Shares of one size would be a coincidence; what a shared weight needs is a step that "
        "serves every use.",
        _stage_sum,
    ),
    Claim(
        3, "Concatenating the rainy image at every stage gives the reference that removes rain "
        "and restores detail.",
        "04", ("concat_residual",),
        "Switch it off, with and without the addition of the rainy picture at the end.", _concat,
    ),
    Claim(
        4, "ReLU in the head hurts the baseline and helps PRN.",
        "", ("head_relu",), "Both networks with and without it.", _head_relu,
    ),
    Claim(
        5, "Predicting the rain layer and predicting the clean image differ.",
        "03", ("rain_or_picture",),
        "The same network and steps, two targets, three step sizes.", _rain_or_picture,
    ),
    Claim(
        6, "Two rounds of four sweeps let every pixel see the whole picture; one round does not.",
        "07", ("rounds_of_sweeps",),
        "The gradient of the middle pixel for every pixel, 33×33, positive random weights.",
        _rounds,
    ),
    Claim(
        7, "The identity start keeps information and gradients over long distances.",
        "07", ("identity_start",),
        "How much of a gradient arrives after a walk along a row, for three starts of α.",
        _identity,
    ),
    Claim(
        8, "Direction weights help the map follow streaks.",
        "09, 10", ("direction_attention",),
        "SPANet as released, where they are idle, and as in the paper, where they act.",
        _direction,
    ),
    Claim(
        9, "The attention map is the probability that a pixel is rain.",
        "09", ("attention_probability",),
        "Calibration of the course's own SPANet, which has learned in light rain, on photos for "
        "testing, in three kinds of rain.",
        _probability,
    ),
    Claim(
        10, "Progressive training is more stable, generalises better, and costs more time.",
        "12", ("curricula", "rain_curricula"),
        "Four curricula for a small PRN, each against a random order of the same steps and "
        "against training in one step.",
        _curricula,
    ),
    Claim(
        11, "A module taken out of its paper lowers the score in another network, because scales "
        "and statistics no longer fit.",
        "13", ("transplant",),
        "SPANet's attention in the baseline and in PRN: dropped in, with scales matched, and "
        "starting as the host.",
        _transplant,
    ),
    Claim(
        12, "More photos, hard patches and dry samples reduce the harm to dry pictures, and cost "
        "no rain removal.",
        "14", ("do_no_harm",),
        "The same small PRN and the same steps, with one thing more each time; dry validation "
        "photos against themselves, and rainy ones in light and in heavy rain.",
        _harm,
    ),
    Claim(
        13, "At this size a network of 2022 removes more rain than PReNet, and does less harm.",
        "16", ("nafnet",),
        "NAFNet (250,515 parameters) and PReNet (168,963) on the same photos and rain, with the "
        "step size of both papers: as many steps, and as many minutes.", _year,
    ),
)  # fmt: skip
