"""The counts of learned factors: planted ones are found, recorded ones are whole."""

from __future__ import annotations

import csv
import itertools
import json

import pytest
import torch

from derain_edu.errors import DerainError
from derain_edu.experiments import spanet_alpha
from derain_edu.files import data_folder
from derain_edu.models import create_model


@pytest.fixture(scope="module")
def network():
    """A small SPANet with planted factors: 2 rounds × 4 directions × 4 channels."""
    torch.manual_seed(0)
    model = create_model("spanet", channels=4, stages=1, blocks=1, alpha_init=0.2)
    with torch.no_grad():
        for irnn in (model.attention.irnn1, model.attention.irnn2):
            irnn.beta.fill_(0.02)
        model.attention.irnn1.alpha[0] = torch.tensor([-0.12, 0.32, 0.92, 0.97])
    return model


@pytest.fixture(scope="module")
def counted(network):
    return spanet_alpha.count_factors(network, "counted now")


def counts(found, factor):
    return {(row["low"], row["high"]): row["count"] for row in found.counts
            if row["factor"] == factor and row["count"]}


def test_planted_factors_are_counted(counted):
    assert counts(counted, "alpha") == {
        (-0.15, -0.1): 1, (0.2, 0.25): 28, (0.3, 0.35): 1, (0.9, 0.95): 1, (0.95, 1.0): 1
    }
    assert counts(counted, "beta") == {(0.0, 0.05): 32}
    alpha = counted.summary["alpha"]
    assert (alpha["number"], alpha["negative"]) == (32, 1)
    assert (alpha["below 0.1"], alpha["above 0.9"]) == (1, 2)
    assert (alpha["smallest"], alpha["largest"]) == (-0.12, 0.97)
    assert alpha["quantiles"]["50"] == 0.2


def test_the_intervals_are_the_same_for_both_factors_and_leave_no_gap(counted):
    for factor in ("alpha", "beta"):
        edges = [(r["low"], r["high"]) for r in counted.counts if r["factor"] == factor]
        assert edges[0][0] == spanet_alpha.LOW and edges[-1][1] == spanet_alpha.HIGH
        assert all(a[1] == b[0] for a, b in zip(edges, edges[1:], strict=False))


def test_capping_holds_the_large_alphas_down_in_a_copy(network):
    before = network.attention.irnn1.alpha.clone()
    capped = spanet_alpha.capped(network, 0.5)
    assert torch.equal(network.attention.irnn1.alpha, before)
    held = capped.attention.irnn1.alpha[0]
    assert held.tolist() == pytest.approx([-0.12, 0.32, 0.5, 0.5])
    assert torch.equal(capped.attention.irnn2.alpha, network.attention.irnn2.alpha)


def test_what_a_module_hears_is_the_slope_of_its_map():
    """Before the sigmoid, against finite differences of the map's logit."""
    torch.manual_seed(2)
    features = torch.rand(1, 4, 5, 5, dtype=torch.float64)
    network = create_model("spanet", channels=4, alpha_init=1, irnn_method="loop").double()
    module = network.attention.requires_grad_(False)
    module.conv3.weight.abs_()  # so that the last ReLU lets the middle pass
    expected = torch.zeros(5, 5, dtype=torch.float64)
    for c, i, j in itertools.product(range(4), range(5), range(5)):
        step = torch.zeros_like(features)
        step[0, c, i, j] = 1e-6
        rise = module(features + step).logit() - module(features - step).logit()
        expected[i, j] += (rise[0, 0, 2, 2] / 2e-6).abs()
    assert expected.min() > 0
    assert torch.allclose(spanet_alpha.heard_by(module, features), expected, rtol=1e-4)


def test_hearing_leaves_the_module_as_it_was(network):
    method, dtype = network.attention.irnn1.method, network.head.weight.dtype
    spanet_alpha.heard_by(network.attention, torch.rand(1, 4, 5, 5))
    assert network.attention.irnn1.method == method
    assert network.attention.conv1.weight.dtype == dtype
    assert not network.attention._forward_pre_hooks and not network.attention.conv4._forward_hooks


def test_far_hearing_falls_with_the_distance_and_with_the_cap(network, counted):
    for shares in (counted.summary["beyond"], *counted.summary["capped"].values()):
        values = [shares[str(d)] for d in spanet_alpha.DISTANCES]
        assert 1 > values[0] and values == sorted(values, reverse=True) and values[-1] >= 0
    assert counted.summary["capped"]["0.5"]["8"] < counted.summary["beyond"]["8"]
    assert spanet_alpha.heard(network, "china").shape == (spanet_alpha.SIDE, spanet_alpha.SIDE)


def test_without_weights_the_recorded_counts_come():
    found = spanet_alpha.learned_factors()
    assert found.source == "recorded"
    for factor in ("alpha", "beta"):
        rows = [row for row in found.counts if row["factor"] == factor]
        assert sum(row["count"] for row in rows) == 256 == found.summary[factor]["number"]
        assert len(rows) == spanet_alpha.BINS
    alpha = [row for row in found.counts if row["factor"] == "alpha"]
    negative = sum(row["count"] for row in alpha if row["high"] <= 0)
    assert negative == found.summary["alpha"]["negative"]
    large = sum(row["count"] for row in alpha if row["low"] >= 0.9)
    assert large == found.summary["alpha"]["above 0.9"]
    assert list(found.summary["capped"]) == [str(top) for top in spanet_alpha.CAPS]


def test_nothing_recorded_is_explained(monkeypatch, tmp_path):
    monkeypatch.setattr(spanet_alpha, "data_folder", lambda: tmp_path)
    with pytest.raises(DerainError, match=r"nothing is recorded under .*record\(\)"):
        spanet_alpha.learned_factors()


def test_a_record_comes_back_as_it_was_counted(monkeypatch, tmp_path, network, counted):
    monkeypatch.setattr(spanet_alpha, "create_model", lambda *_, **__: network)
    (tmp_path / "results").mkdir()
    paths = spanet_alpha.record(tmp_path / "results")
    assert [path.name for path in paths] == ["spanet_alpha.csv", "spanet_alpha.json"]
    monkeypatch.setattr(spanet_alpha, "data_folder", lambda: tmp_path)
    found = spanet_alpha.learned_factors()
    assert found.counts == counted.counts
    assert {key: found.summary[key] for key in counted.summary} == counted.summary


def test_the_repository_holds_counts_and_no_weights():
    """An interval, a count, a share: nothing that a weight could be read from."""
    folder = data_folder() / "results"
    with open(folder / "spanet_alpha.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"factor", "low", "high", "count"} and len(rows) == 2 * spanet_alpha.BINS
    text = json.loads((folder / "spanet_alpha.json").read_text(encoding="utf-8"))
    assert not any(isinstance(value, list) and len(value) > 8 for value in text.values())
