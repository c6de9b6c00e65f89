"""Examinations and measurements against slower or simpler truths."""

from __future__ import annotations

import pytest
import torch

import derain_edu as de
from derain_edu.experiments import measurements, runner
from derain_edu.experiments.results import load_results
from derain_edu.training.config import TrainConfig
from derain_edu.training.losses import make_loss


@pytest.fixture(scope="module")
def pairs():
    stream = de.SyntheticRain(rain="light", patch_size=24, seed=3)
    return [stream[k] for k in range(3)]


def fresh(name, **options):
    de.set_seed(0)
    return de.create_model(name, channels=4, blocks=2, **options).eval()


def score(output, pairs):
    return de.psnr(output, torch.stack([pair["clean"] for pair in pairs]))


def test_a_missing_block_is_its_skip_path(pairs):
    """A block whose second convolution is 0 adds nothing (its input is positive already)."""
    model = fresh("residual")
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    lost = []
    for k in range(2):
        silent = fresh("residual")
        for parameter in silent.blocks[k].conv2.parameters():
            parameter.data.zero_()
        lost.append(score(model(rainy), pairs) - score(silent(rainy), pairs))
    found = measurements.missing_blocks(TrainConfig(steps=1), model, pairs)
    assert found == {"missing_all": pytest.approx(sum(lost) / 2, abs=1e-3)}
    assert isinstance(model.blocks[0], type(model.blocks[1]))  # nothing is left behind


def test_blocks_go_missing_in_the_stages_that_are_named(pairs):
    model = fresh("prn", stages=3)
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    found = measurements.missing_blocks(TrainConfig(steps=1), model, pairs)
    drafts, lost = model.unroll(rainy), []
    for k in range(2):
        silent = fresh("prn", stages=3)
        for parameter in silent.blocks[k].conv2.parameters():
            parameter.data.zero_()
        last = silent.stage(rainy, drafts[1], None)[0]
        lost.append(score(drafts[-1], pairs) - score(last, pairs))
    assert found["missing_last"] == pytest.approx(sum(lost) / 2, abs=1e-3)
    assert set(found) == {"missing_first", "missing_last", "missing_all"}


@pytest.mark.parametrize("name", ["prn", "prenet"])
def test_the_shares_of_the_stages_add_up(name, pairs):
    config = TrainConfig(
        model=name, options={"channels": 4, "blocks": 2, "stages": 3}, steps=1, loss="mse"
    )
    model = fresh(name, stages=3)
    found = measurements.stage_gradients(config, model, pairs)
    assert found["sum_error_fresh"] < 1e-5 and found["ratio_fresh"] >= 1
    assert found["ratio_fresh"] == found["ratio_trained"]  # the same seed: the same network


def test_the_smallest_cosine_is_that_of_one_share_with_the_sum(pairs):
    config = TrainConfig(
        model="prn", options={"channels": 4, "blocks": 2, "stages": 3}, steps=1, loss="mse"
    )
    shares, whole = measurements._shares(fresh("prn", stages=3), pairs, "mse")
    cosines = [torch.dot(share, whole) / (share.norm() * whole.norm()) for share in shares]
    found = measurements.stage_gradients(config, fresh("prn", stages=3), pairs)
    assert found["cosine_fresh"] == pytest.approx(min(cosines).item(), abs=1e-3)


def test_a_probability_that_is_told_the_share_is_bayes_rule():
    """A feature that 80 % of rainy and 10 % of dry pixels have; 1 in 5 rainy, and 9 in 10."""

    def after_seeing(share):  # the probability of rain at a pixel with the feature, without it
        return torch.tensor([
            0.8 * share / (0.8 * share + 0.1 * (1 - share)),
            0.2 * share / (0.2 * share + 0.9 * (1 - share)),
        ])  # fmt: skip

    learned, share = torch.tensor(0.2), torch.tensor(0.9)
    told = measurements.told_the_share(after_seeing(0.2), learned, share)
    assert torch.allclose(told, after_seeing(0.9))
    same = measurements.told_the_share(after_seeing(0.2), learned, learned)
    assert torch.allclose(same, after_seeing(0.2))


def test_a_share_is_a_finite_difference(pairs):
    """Move one weight in the last stage only: the loss changes by that stage's share."""
    model = fresh("prn", stages=2).double()
    pairs = [{key: pair[key].double() for key in ("rainy", "clean")} for pair in pairs]
    shares, whole = measurements._shares(model, pairs, "mse")
    assert torch.allclose(shares.sum(0), whole)
    rainy, clean = measurements._stacked(pairs)
    first, compare, step = model.stage(rainy, rainy, None)[0].detach(), make_loss("mse"), 1e-6
    weight = model.tail.bias
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0] += sign * step
            values.append(compare(model.stage(rainy, first, None)[0], clean).item())
            weight[0] -= sign * step
    place = sum(p.numel() for p in model.parameters()) - 3  # the tail's bias comes last
    assert shares[1, place].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_one_round_is_a_cross_and_two_are_everything():
    side = measurements.SIDE
    cross = 100 * (2 * side - 1) / side**2
    for seed in range(2):
        assert measurements.seen_after(1, seed)["seen"] == pytest.approx(cross, abs=0.01)
        assert measurements.seen_after(2, seed)["seen"] == 100


def test_the_identity_carries_a_gradient_and_a_fifth_does_not():
    identity = measurements.gradient_over_distance(1.0, 0)
    assert set(identity.values()) == {1.0}
    fifth = measurements.gradient_over_distance(0.2, 0)
    # Where β is negative the ReLU may cut the way: at most α^d arrives.
    assert all(0 <= fifth[f"at_{d}"] <= 0.2**d * 1.001 for d in measurements.DISTANCES)


def test_a_measurement_is_recorded_like_an_experiment(tmp_path):
    path = runner.run_experiment("rounds_of_sweeps", smoke=True, folder=tmp_path)
    assert path.read_text().splitlines()[0] == "variant,seed,seen,minutes"
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("name", measurements.MEASUREMENTS)
def test_the_recorded_measurements_are_complete(name):
    measurement = measurements.MEASUREMENTS[name]
    recorded = load_results(name)
    assert [(row["variant"], row["seed"]) for row in recorded] == [
        (variant, seed) for seed in measurement.seeds for variant in measurement.variants
    ]
    again = measurement.measure(**measurement.variants[recorded[0]["variant"]], seed=0)
    for column, value in again.items():
        assert recorded[0][column] == pytest.approx(value, rel=0.02, abs=1e-3)
