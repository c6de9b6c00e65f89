"""A lesson's verdicts, against SciPy's interval, and as a reader sees them."""

import pytest
import torch
from scipy import stats

import derain_edu as de
from derain_edu.experiments.verdicts import Verdicts

CLEAR = [0.31, 0.28, 0.35, 0.30]
MIXED = [0.31, -0.28, 0.35, -0.30]


def test_the_interval_is_students():
    verdict = Verdicts().judge("B is better", CLEAR)
    low, high = stats.t.interval(0.95, 3, loc=verdict.middle, scale=stats.sem(CLEAR))
    assert verdict.middle - verdict.half == pytest.approx(low, abs=1e-4)
    assert verdict.middle + verdict.half == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize(
    "values, holds, word",
    [
        (CLEAR, True, "holds"),
        ([-v for v in CLEAR], False, "no, the opposite"),
        (MIXED, None, "can't tell"),
        ([0.31, 0.31], None, "can't tell"),  # two numbers decide nothing, however well they agree
        (torch.tensor(CLEAR), True, "holds"),
    ],
)
def test_above_below_or_neither(values, holds, word):
    verdict = Verdicts().judge("B is better", values)
    assert (verdict.holds, verdict.word, verdict.n) == (holds, word, len(values))


def test_latest_shows_each_verdict_once_and_table_all():
    verdicts = Verdicts()
    verdicts.judge("one", CLEAR)
    verdicts.judge("two", MIXED, "% of error", decimals=1)
    assert [v.claim for v in verdicts.latest().verdicts] == ["one", "two"]
    verdicts.judge("three", MIXED)
    verdicts.judge("one", MIXED)  # its cell was run again
    assert [v.claim for v in verdicts.latest().verdicts] == ["three", "one"]
    assert [v.claim for v in verdicts.table().verdicts] == ["one", "two", "three"]
    assert verdicts["one"].holds is None, "the old verdict is gone"
    assert verdicts["two"].effect.endswith("% of error") and verdicts.latest().verdicts == []


def test_the_table_says_the_same_in_html_and_in_plain_text():
    verdicts = Verdicts()
    verdicts.judge("a < b & c, " + "a long claim, " * 12, [-v for v in CLEAR])
    table = verdicts.table()
    html, plain = table._repr_html_(), repr(table)
    for part in ("−0.31 ± 0.05 dB", "no, the opposite"):
        assert part in html and part in plain
    assert "a &lt; b &amp; c" in html and "a < b & c" in plain
    assert max(map(len, plain.splitlines())) <= 84


def test_what_is_missing_is_named():
    verdicts = Verdicts()
    with pytest.raises(de.DerainError, match="no numbers for 'B is better'"):
        verdicts.judge("B is better", [])
    with pytest.raises(de.DerainError, match="'B is better' was not judged yet"):
        verdicts["B is better"]
