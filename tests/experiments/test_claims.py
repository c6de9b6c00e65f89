"""The claims: verdicts follow from intervals, and every number of the page from the CSV files."""

from __future__ import annotations

import csv
import re
import statistics

import numpy as np
import pytest
import scipy.stats

from derain_edu.errors import DerainError
from derain_edu.experiments import claims_page
from derain_edu.experiments.claims import CLAIMS
from derain_edu.experiments.claims_page import Comparison, Finding, answered, decided, verdict
from derain_edu.experiments.statistics import differences
from derain_edu.files import data_folder

RESULTS = data_folder() / "results"


def raw(name: str) -> list[dict[str, str]]:
    with open(RESULTS / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(page: str, number: int) -> str:
    """Return the part of the page about one claim."""
    return page.split(f"## Claim {number}\n")[1].split("## Claim")[0]


def answer(values, **more):
    return answered([Comparison("x", tuple(values), **more)])[0].answer


def test_each_of_the_four_answers_can_come_out():
    """Of 1,000 draws from a known truth the right answer comes out, the wrong ones seldom."""
    dice = np.random.default_rng(0)

    def answers(middle, spread, seeds, **more):
        draws = [answer(dice.normal(middle, spread, seeds), **more) for _ in range(300)]
        return {word: draws.count(word) / 300 for word in claims_page.ANSWERS}

    assert answers(1.0, 0.3, 5)["holds"] > 0.95
    assert answers(-1.0, 0.3, 5)["does not hold"] > 0.95
    assert answers(1.0, 0.3, 5, expect=-1)["does not hold"] > 0.95
    assert answers(0.0, 0.05, 5)["no difference that matters"] > 0.95
    assert answers(0.0, 2.0, 5)["can't tell"] > 0.9
    # at the edge of the margin, "no difference that matters" is wrong in one of 20 cases at most
    assert answers(0.2, 0.02, 8)["no difference that matters"] < 0.06
    # with no effect at all, a difference is claimed in one of 20 cases at most
    nothing = answers(0.0, 2.0, 8)
    assert nothing["holds"] + nothing["does not hold"] < 0.08


def test_a_comparison_says_its_numbers_and_its_margin():
    # mean 1, standard deviation 0.1, t(0.975, 2) = 4.303
    one = Comparison("x", (1.0, 1.1, 0.9))
    assert one.finding("holds").text == "x: +1.00 ± 0.25 dB (n = 3)"
    other = Comparison("x", (-1.0, -1.2), "points", 1, margin=3, why="so it is")
    assert "margin 3 points, so it is" in other.finding("holds").text
    assert "−1.1 ±" in other.effect


def test_a_certain_difference_that_is_too_small_counts_as_none():
    small = (0.11, 0.12, 0.10, 0.11, 0.12)
    assert answer(small) == "no difference that matters"
    assert answer(small, margin=0.05) == "holds"
    assert answer(small, expect=0) == "does not hold"  # the claim: they differ
    assert answer((-1.0, -1.1, -0.9), expect=0) == "holds"


def test_several_comparisons_are_corrected_for_their_number():
    """p = .03 decides alone, and not as one of three."""
    values = (0.9, 1.5, 0.35, 1.6, 0.02, 0.1)
    chance = scipy.stats.ttest_1samp(values, 0).pvalue
    assert 0.05 / 3 < chance < 0.05
    assert answer(values) == "holds"
    open_ones = [Comparison("y", (-2.0, 2.0, 1.0)), Comparison("z", (3.0, -2.0, -1.5))]
    found = answered([Comparison("x", values), *open_ones, Finding("f", "holds")])
    assert [one.answer for one in found] == ["can't tell", "can't tell", "can't tell", "holds"]


def test_differences_are_paired_by_seed():
    rows = [
        {"variant": v, "seed": s, "psnr_validation": value}
        for v, s, value in [("a", 0, 5), ("b", 1, 1), ("a", 1, 4), ("b", 0, 2), ("a", 2, 9)]
    ]
    assert differences(rows, "a", "b") == [3, 3]  # seed 2 has no partner


def test_verdicts():
    yes, no, open_ = (Finding("", word) for word in ("holds", "does not hold", "can't tell"))
    assert verdict([yes, yes]) == "holds" and verdict([no]) == "does not hold"
    assert verdict([open_, open_]) == "can't tell"
    assert verdict([yes, no, open_]) == "depends: (a) holds, (b) does not hold, (c) can't tell"


def test_a_number_against_a_bound():
    assert decided(1.2, 1.8, 2) == "holds" and decided(2.1, 3, 2) == "does not hold"
    assert decided(1.5, 2.5, 2) == "can't tell"
    assert decided(2.1, 3, 2, below=False) == "holds"


def test_nothing_to_compare_is_explained():
    with pytest.raises(DerainError, match="finish its experiment first"):
        Comparison("x", ())


def test_all_claims_are_there_and_tested():
    assert [claim.number for claim in CLAIMS] == list(range(1, 14))
    for claim in CLAIMS:
        assert claim.findings()
        for name in claim.experiments:
            assert (RESULTS / f"{name}.csv").is_file() and (RESULTS / f"{name}.json").is_file()


def test_the_page_is_in_step_with_the_results():
    """After a new experiment: derain-edu claims."""
    page = (RESULTS / "CLAIMS.md").read_text(encoding="utf-8")
    assert page == claims_page.page(CLAIMS)
    assert (RESULTS / claims_page.PICTURE).is_file() and claims_page.PICTURE in page
    lines = re.findall(r"^- \([a-z]\) .*\*\*(.+)\*\*$", page, re.MULTILINE)
    for word in claims_page.ANSWERS:
        assert f"{lines.count(word)} × *{word}*" in page


@pytest.mark.parametrize(
    ("number", "name", "plus", "minus"),
    [
        (3, "concat_residual", "concat on, + rainy off", "concat off, + rainy off"),
        (4, "head_relu", "baseline, head ReLU off", "baseline, head ReLU on"),
        (4, "head_relu", "PRN, head ReLU on", "PRN, head ReLU off"),
        (5, "rain_or_picture", "predicts the rain", "predicts the picture"),
        (8, "direction_attention", "as in the paper", "as released"),
        (10, "curricula", "stages, easy to hard", "stages, random order"),
        (10, "rain_curricula", "rain, easy to hard", "rain, random order"),
        (11, "transplant", "PRN, dropped", "PRN, none"),
        (11, "transplant", "baseline, zero", "baseline, dropped"),
    ],
)
def test_a_number_of_the_page_is_that_of_the_csv(number, name, plus, minus):
    """Computed again from the raw file, without the package."""
    values = {(row["variant"], row["seed"]): float(row["psnr_validation"]) for row in raw(name)}
    pairs = [values[plus, s] - values[minus, s] for v, s in values if v == plus]
    written = f"{statistics.fmean(pairs):+.2f} ±".replace("-", "−")
    page = (RESULTS / "CLAIMS.md").read_text(encoding="utf-8")
    assert written in shown(page, number)


def test_ranges_of_the_page_are_those_of_the_csv():
    page = (RESULTS / "CLAIMS.md").read_text(encoding="utf-8")
    found = [float(row["at_16"]) for row in raw("identity_start") if "released" in row["variant"]]
    assert f"{min(found):.2g} to {max(found):.2g}" in shown(page, 7)
    gaps = [float(row["gap"]) for row in raw("attention_probability") if row["variant"] == "heavy"]
    assert f"heavy: {statistics.fmean(gaps):.1f} ±" in shown(page, 9)
    assert len(gaps) == int(re.search(r"heavy: .*?n = (\d+)", shown(page, 9))[1])
