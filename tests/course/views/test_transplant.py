"""The measurements of lesson 13 say what they claim to say."""

from __future__ import annotations

from io import BytesIO

import PIL.Image
import pytest
import torch

from derain_edu.course.views import transplant as views
from derain_edu.devices import set_seed
from derain_edu.errors import DerainError
from derain_edu.models import create_model
from derain_edu.models.transplant import GRAFTS, HOSTS


def fresh(host: str, graft: str, **options):
    set_seed(0)
    return create_model("transplant", host=host, graft=graft, **{"channels": 16, **options})


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(2, 3, 24, 20, generator=generator)
    return (clean + 0.2 * torch.rand(2, 1, 24, 20, generator=generator)).clamp(0, 1), clean


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("graft", GRAFTS)
def test_layers_in_their_order(host, graft):
    model = fresh(host, graft)
    found = views.layer_views(model, *pairs())
    names = [view.name for view in found]
    count = 5 + len(getattr(model, "extra", ()))
    assert names == ["head", *(f"block {k}" for k in range(1, count + 1)), "tail"]
    assert all(view.branch > 0 and view.gradient > 0 for view in found)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_layers_show_what_a_gate_does():
    found = {g: views.layer_views(fresh("residual", g), *pairs()) for g in GRAFTS}
    ratios = [d.branch / n.branch for d, n in zip(found["dropped"], found["none"], strict=True)]
    assert ratios[:3] == pytest.approx([1, 1, 1]), "before the module nothing changes"
    assert ratios[3] == pytest.approx(0.5, rel=0.1) and ratios[5] < 0.6
    assert found["zero"] == found["none"]
    assert found["dropped"][4].gradient < 0.8 * found["none"][4].gradient


def test_the_gradient_is_the_one_of_the_loss():
    model, (rainy, clean) = fresh("prn", "dropped"), pairs()
    found = views.layer_views(model, rainy, clean)
    from derain_edu.training.losses import make_loss

    make_loss("neg_ssim+l1")(model(rainy), clean).backward()
    assert found[-1].gradient == pytest.approx(views.gradient_norm(model.host.tail))
    by_hand = sum(p.grad.square().sum().item() for p in model.host.head.parameters()) ** 0.5
    assert found[0].gradient == pytest.approx(by_hand, rel=1e-5)


def test_hearing_and_saying_end_with_their_block():
    model, rainy = fresh("residual", "dropped"), pairs()[0]
    with torch.no_grad():
        own = model(rainy)
        x = views.entering(model.attention, lambda: model(rainy))
        assert x.shape == (2, 16, 24, 20)
        assert torch.equal(model.attention(x), model.attend(rainy)[1])
        with views.heard_as(model.attention, lambda f: f * 0):
            silent = model.attend(rainy)[1]
        assert torch.equal(silent, model.attention(x * 0))
        with views.saying(model.attention, torch.ones_like):
            assert torch.equal(model(rainy), model.host(rainy)), "A = 1 is the host"
        assert torch.equal(model(rainy), own)


def test_an_adapter_finds_a_linear_translation():
    source = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(0))
    truth = torch.nn.Conv2d(6, 4, 1)
    with torch.no_grad():
        adapter = views.fit_adapter(source, truth(source))
        other = torch.randn(1, 6, 3, 3)
        assert torch.allclose(adapter(other), truth(other), atol=1e-4)
    dead = source.clone()
    dead[:, 2] = 0
    assert torch.isfinite(views.fit_adapter(dead, source[:, :4]).weight).all()


def test_gains_start_at_the_host_and_use_the_given_map():
    model, (rainy, clean) = fresh("residual", "zero"), pairs()
    ones = torch.ones(2, 1, 24, 20)
    found = views.gain_views(model, rainy, clean, (-1, 0, 1), ones)
    with torch.no_grad():
        assert torch.equal(found[1].derained, model.host(rainy))
        model.gains.fill_(1)
        with views.saying(model.attention, torch.ones_like):
            assert torch.allclose(found[2].derained, model(rainy), atol=1e-6)
    assert found[1].score == pytest.approx(views.mean_psnr(found[1].derained, clean))
    own = views.gain_views(model, rainy, clean, [0.5])[0]
    assert not torch.equal(own.derained, found[1].derained)
    with pytest.raises(DerainError, match="only a residual host"):
        views.gain_views(fresh("prn", "zero"), rainy, clean, [0])


def test_the_slider_draws_every_stop():
    model, (rainy, clean) = fresh("residual", "zero"), pairs()
    maps = {"a": torch.rand(24, 20), "b": torch.rand(24, 20)}
    found = {
        name: views.gain_views(model, rainy, clean, (-0.5, 0, 1), A.expand(2, 1, 24, 20))
        for name, A in maps.items()
    }
    frames = [views.draw_gain(found, maps, k, clean[0]) for k in range(3)]
    assert len(set(frames)) == 3
    assert PIL.Image.open(BytesIO(frames[0])).width > 4 * 40
    box = views.gain_slider(found, maps, clean[0])
    box.children[0].value = 2
    assert box.children[1].value == frames[2] and "γ = +1.00" in box.children[2].value


def test_layers_can_be_drawn():
    found = {g: views.layer_views(fresh("residual", g), *pairs()) for g in ("none", "dropped")}
    left, right = views.draw_layers(found).axes
    assert left.get_yscale() == right.get_yscale() == "log" and len(left.lines) == 2
