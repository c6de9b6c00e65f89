"""The recorded counts of the released SPANet's factors are those of the authors' weights."""

from __future__ import annotations

import pytest
import torch

from derain_edu.experiments.spanet_alpha import learned_factors
from derain_edu.models import create_model


def test_recorded_counts_are_those_of_the_weights(filled_cache, tmp_path, monkeypatch):
    now = learned_factors()
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(tmp_path))
    recorded = learned_factors()
    assert (now.source, recorded.source) == ("counted now", "recorded")
    assert now.counts == recorded.counts
    for factor in ("alpha", "beta"):
        assert now.summary[factor] == recorded.summary[factor]
    assert now.summary["beyond"] == pytest.approx(recorded.summary["beyond"], rel=0.02)
    assert now.summary["capped"].keys() == recorded.summary["capped"].keys()
    for top, shares in recorded.summary["capped"].items():
        assert now.summary["capped"][top] == pytest.approx(shares, rel=0.02, abs=1e-9)


def test_five_of_256_alphas_are_above_nine_tenths(filled_cache):
    """Counted in another way than the histogram."""
    model = create_model("spanet", pretrained="official-spa")
    alpha = torch.cat([model.attention.irnn1.alpha, model.attention.irnn2.alpha]).flatten().tolist()
    assert (len(alpha), sum(a > 0.9 for a in alpha), sum(a < 0 for a in alpha)) == (256, 5, 80)
    assert (round(min(alpha), 2), round(max(alpha), 3)) == (-0.47, 0.998)
