"""The claims: verdicts follow from intervals, and every number of the page from the CSV files."""

from __future__ import annotations

import csv
import re
import statistics

import pytest

from derain_edu.errors import DerainError
from derain_edu.experiments import claims_page
from derain_edu.experiments.claims import CLAIMS
from derain_edu.experiments.claims_page import Finding, compare, verdict
from derain_edu.experiments.statistics import differences
from derain_edu.files import data_folder

RESULTS = data_folder() / "results"


def raw(name: str) -> list[dict[str, str]]:
    with open(RESULTS / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(page: str, number: int) -> str:
    """Return the part of the page about one claim."""
    return page.split(f"## Claim {number}\n")[1].split("## Claim")[0]


def test_an_interval_without_zero_decides():
    assert compare("x", [1.0, 1.1, 0.9]).speaks_for is True
    assert compare("x", [1.0, 1.1, 0.9], expect=-1).speaks_for is False
    assert compare("x", [-1.0, -1.1, -0.9]).speaks_for is False
    assert compare("x", [1.0, -1.0, 0.5]).speaks_for is None
    # mean 1, standard deviation 0.1, t(0.975, 2) = 4.303
    assert compare("x", [1.0, 1.1, 0.9]).text == "x: +1.00 ± 0.25 dB (n = 3)"


def test_differences_are_paired_by_seed():
    rows = [
        {"variant": v, "seed": s, "psnr_validation": value}
        for v, s, value in [("a", 0, 5), ("b", 1, 1), ("a", 1, 4), ("b", 0, 2), ("a", 2, 9)]
    ]
    assert differences(rows, "a", "b") == [3, 3]  # seed 2 has no partner


def test_verdicts():
    yes, no, open_ = (Finding("", value) for value in (True, False, None))
    assert verdict([yes, yes]) == "holds" and verdict([no]) == "does not hold"
    assert verdict([open_, open_]) == "can't tell"
    assert verdict([yes, no, open_]) == "depends: (a) holds, (b) does not hold, (c) can't tell"


def test_nothing_to_compare_is_explained():
    with pytest.raises(DerainError, match="finish its experiment first"):
        compare("x", [])


def test_all_eleven_claims_are_there_and_tested():
    assert [claim.number for claim in CLAIMS] == list(range(1, 12))
    for claim in CLAIMS:
        assert claim.findings()
        for name in claim.experiments:
            assert (RESULTS / f"{name}.csv").is_file() and (RESULTS / f"{name}.json").is_file()


def test_the_page_is_in_step_with_the_results():
    """After a new experiment: derain-edu claims."""
    assert (RESULTS / "CLAIMS.md").read_text(encoding="utf-8") == claims_page.page(CLAIMS)


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
