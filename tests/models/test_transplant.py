"""Transplants: each way into a host starts where it says, and what it adds can learn."""

from __future__ import annotations

import copy

import pytest
import torch

from derain_edu.devices import set_seed
from derain_edu.errors import DerainError
from derain_edu.evaluation.timing import interleave
from derain_edu.models import create_model, list_models, model_options
from derain_edu.models.transplant import (
    GATED,
    GRAFTS,
    HOSTS,
    Transplant,
    branch_of,
    control_blocks,
    transplant,
)
from derain_edu.training.config import TrainConfig
from derain_edu.training.trainer import Trainer

SMALL = {"channels": 4, "blocks": 4}
KINDS = [("residual", "none"), ("prn", "none"), ("prn", "lstm"), ("prn", "gru")]


def fresh(host: str, graft: str, seed: int = 0, **options) -> Transplant:
    set_seed(seed)
    return create_model("transplant", host=host, graft=graft, **{**SMALL, **options})


def host_alone(host: str, recurrent: str = "none", seed: int = 0):
    set_seed(seed)
    more = {"stages": 4, "recurrent": recurrent} if host == "prn" else {}
    return create_model(host, **SMALL, **more)


def rainy(height: int = 9, width: int = 7) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(7))


def test_the_name_is_known_and_not_one_of_the_course():
    assert "transplant" not in list_models()
    assert create_model("transplant").config.graft == "none"


@pytest.mark.parametrize(("host", "recurrent"), KINDS)
@pytest.mark.parametrize("graft", ["none", "zero"])
def test_it_starts_as_the_host_to_the_last_bit(host, recurrent, graft):
    model = fresh(host, graft, recurrent=recurrent)
    assert torch.equal(model(rainy()), host_alone(host, recurrent)(rainy()))


@pytest.mark.parametrize("host", HOSTS)
def test_with_one_seed_all_grafts_have_the_same_host(host):
    expected = host_alone(host).state_dict()
    for graft in GRAFTS:
        found = fresh(host, graft).host.state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("host", HOSTS)
def test_the_map_starts_near_one_half(host):
    for seed in range(3):
        model = fresh(host, "dropped", seed, channels=16, blocks=5)
        attention = model.body(model.enter(rainy(32, 32), None, None)[0])[1]
        assert attention.shape == (2, 1, 32, 32)
        assert abs(attention.mean() - 0.5) < 0.1 and attention.std() < 0.05
        assert torch.equal(model.gate(0, attention), attention)


def gated_and_open(model: Transplant, x: torch.Tensor) -> list[tuple[float, float]]:
    """Return the standard deviation of each gated branch, with its gate and without."""
    z = model.enter(x, None, None)[0]
    before = model.config.before
    for block in model.host.blocks[:before]:
        z = block(z)
    attention, found = model.attention(z), []
    for k, block in enumerate(model.host.blocks[before:]):
        branch = branch_of(block, z)
        gated = model.gate(k, attention) * branch
        found.append((gated.std().item(), branch.std().item()))
        z = torch.relu(gated + z)
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_matched_branches_are_as_large_as_open_ones_and_dropped_ones_are_half(host):
    from derain_edu.datasets.synthetic import SyntheticRain

    patches = SyntheticRain(rain="light", patch_size=32, seed=9)
    x = torch.stack([patches[k]["rainy"] for k in range(4)])  # not the patches it measured on
    for graft, expected in (("matched", 1.0), ("dropped", 0.5)):
        for gated, plain in gated_and_open(fresh(host, graft, channels=16, blocks=5), x):
            assert gated / plain == pytest.approx(expected, rel=0.15), graft


def test_the_scales_follow_from_the_seed_survive_saving_and_are_not_trained():
    first, second, other = (fresh("prn", "matched", seed) for seed in (0, 0, 1))
    assert torch.equal(first.scales, second.scales)
    assert not torch.equal(first.scales, other.scales)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.scales, other.scales)
    assert "scales" not in dict(first.named_parameters())
    scales, x = first.scales.clone(), rainy()
    first.train()(x).sum().backward()
    assert torch.equal(first.scales, scales), "running the network measures nothing"
    first.calibrate(x)
    assert not torch.equal(first.scales, scales)
    with pytest.raises(DerainError, match="'zero' has no scales"):
        fresh("prn", "zero").calibrate(x)


def test_no_photo_is_read_to_build_a_network(monkeypatch):
    """Also not for the scales of a matched graft, which are measured in rain."""
    from derain_edu.datasets import photos, synthetic

    def read(*_):
        raise AssertionError("a photo is read")

    monkeypatch.setattr(synthetic, "load_photo", read)
    monkeypatch.setattr(photos, "load_photo", read)
    model = create_model("transplant", host="prn", graft="matched", stages=2)
    assert (model.scales != 1).all()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("graft", GRAFTS)
def test_every_parameter_gets_a_gradient(host, graft):
    model = fresh(host, graft, channels=16)
    if graft == "zero":  # at γ = 0 only γ itself: the module's turn comes one step later
        model(rainy()).square().sum().backward()
        assert (model.gains.grad != 0).all()
        assert not any(p.grad.any() for p in model.attention.parameters())
        with torch.no_grad():
            model.gains.add_(0.1)
    model.zero_grad()
    model(rainy()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("graft", GRAFTS)
def test_a_step_of_training_changes_every_part(host, graft):
    options = {"host": host, "graft": graft, "channels": 16}  # (in 4 channels a block may be dead)
    config = TrainConfig(
        model="transplant",
        options=options,
        steps=2,
        patch_size=16,
        batch_size=2,
        data="light",
        loss="neg_ssim+l1",
        device="cpu",
        validate_every=0,
    )
    trainer = Trainer(config)
    before = copy.deepcopy(trainer.model.state_dict())
    batches = trainer.batches()
    for _ in range(2):
        trainer.step(next(batches))
    same = [n for n, value in trainer.model.state_dict().items() if torch.equal(value, before[n])]
    assert same == (["scales"] if graft == "matched" else [])


@pytest.mark.parametrize("channels", [8, 16, 32])
@pytest.mark.parametrize("host", HOSTS)
def test_the_control_has_as_many_parameters(host, channels):
    count = {
        graft: sum(p.numel() for p in fresh(host, graft, channels=channels, blocks=5).parameters())
        for graft in GRAFTS
    }
    assert count["blocks"] == pytest.approx(count["dropped"], rel=0.02)
    assert count["matched"] == count["dropped"] == count["zero"] - 3 > 1.5 * count["none"]


def test_control_blocks_fill_up_with_a_narrow_one():
    assert len(control_blocks(16, 4640)) == 1 and len(control_blocks(16, 2 * 4640)) == 2
    for wanted in (1000, 5000, 21008):
        found = sum(p.numel() for p in control_blocks(16, wanted).parameters())
        assert abs(found - wanted) < 300


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("graft", GRAFTS)
def test_any_size_and_saving(host, graft):
    first, second = fresh(host, graft, seed=0), fresh(host, graft, seed=1)
    rebuilt = create_model("transplant", **model_options(first))
    for other in (second, rebuilt):
        other.load_state_dict(first.state_dict())
        for size in ((1, 1), (5, 11), (16, 16)):
            assert torch.equal(first(rainy(*size)), other(rainy(*size)))
            assert first(rainy(*size)).shape == (2, 3, *size)


@pytest.mark.parametrize("graft", ["blocks", "zero", "dropped"])
def test_a_progressive_host_unrolls(graft):
    model, x = fresh("prn", graft, recurrent="lstm"), rainy()
    pictures = model.unroll(x)
    assert len(pictures) == 4 and torch.equal(pictures[-1], model(x))
    assert len(model.unroll(x, stages=6)) == 6
    assert torch.equal(model.unroll(x, stages=2)[1], pictures[1])
    with pytest.raises(DerainError, match="stages must be at least 1"):
        model.unroll(x, stages=0)
    gradients = []
    for checkpoint in (False, True):
        model.zero_grad()
        model.unroll(x, checkpoint=checkpoint)[-1].square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_a_residual_host_shows_its_map_and_has_one_stage():
    model, x = fresh("residual", "dropped", stages=6), rainy()
    derained, attention = model.attend(x)
    assert torch.equal(derained, model(x)) and attention.shape == (2, 1, 9, 7)
    assert model.config.stages == 1 and not hasattr(model, "unroll")
    assert not hasattr(fresh("residual", "none"), "attend"), "a mask can't teach what isn't there"


def test_how_far_it_sees():
    assert fresh("residual", "none").halo == host_alone("residual").halo
    assert fresh("prn", "none").halo == host_alone("prn").halo
    model = fresh("residual", "blocks")
    assert model.halo == model.host.halo + 2 * len(model.extra)
    assert all(fresh(host, graft).halo is None for host in HOSTS for graft in GATED)
    model = fresh("residual", "blocks", channels=8, blocks=1).double()
    x = torch.rand(1, 3, 41, 41, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[0, :, 20, 20].sum(), x)
    rows = gradient.abs().amax((0, 1, 3)).nonzero().flatten()
    assert (20 - rows.min(), rows.max() - 20) == (model.halo, model.halo)


@pytest.mark.parametrize("host", HOSTS)
def test_a_trained_network_can_take_a_trained_module(host):
    trained = host_alone(host, seed=3).eval()
    donor = create_model("spanet", channels=4, blocks=1, stages=1).attention
    for graft in GATED:
        model = transplant(trained, graft, donor)
        assert not model.training and model.config.graft == graft
        assert torch.equal(model.attention.conv1.weight, donor.conv1.weight)
        assert model.attention is not donor and hasattr(donor, "directions")
        assert torch.equal(model(rainy()), trained(rainy())) == (graft == "zero")
    with torch.no_grad():
        model.host.tail.weight.zero_()
    assert trained.tail.weight.any(), "the host was copied"


def test_what_can_not_be_transplanted():
    with pytest.raises(DerainError, match="must be the same"):
        transplant(host_alone("residual"), "dropped", create_model("spanet").attention)
    with pytest.raises(DerainError, match="can't take a graft"):
        transplant(create_model("prn", channels=4, concat_rainy=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "spanet"}, "unknown host 'spanet': choose one of residual, prn"),
        ({"graft": "glued"}, "unknown graft 'glued': choose one of none, blocks, dropped"),
        ({"recurrent": "lstm"}, "a residual host has no memory"),
        ({"graft": "zero", "blocks": 1}, "needs blocks before and after it"),
    ],
)
def test_impossible_transplants(options, message):
    with pytest.raises(DerainError, match=message):
        create_model("transplant", **options)


@pytest.mark.slow
def test_the_module_costs_little():
    """A step on small patches takes at most about twice as long as the host's."""
    for host in HOSTS:
        models = {g: fresh(host, g, channels=16, blocks=5) for g in ("none", "dropped")}
        x = rainy(32, 32).repeat(2, 1, 1, 1)

        def step(model, x=x):
            model(x).square().mean().backward()

        for model in models.values():
            step(model)
        ways = {g: (lambda m=m: step(m)) for g, m in models.items()}
        seconds = {g: min(times) for g, times in interleave(ways, 7).items()}
        assert seconds["dropped"] < 4 * seconds["none"]
