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


def fresh(host: str, graft: str, **options):
    set_seed(0)
    return create_model("transplant", host=host, graft=graft, **{"channels": 16, **options})


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(2, 3, 24, 20, generator=generator)
    return (clean + 0.2 * torch.rand(2, 1, 24, 20, generator=generator)).clamp(0, 1), clean


def test_the_norm_of_all_gradients():
    model, (rainy, clean) = fresh("prn", "dropped"), pairs()
    (model(rainy) - clean).square().mean().backward()
    by_hand = sum(p.grad.square().sum().item() for p in model.host.head.parameters()) ** 0.5
    assert views.gradient_norm(model.host.head) == pytest.approx(by_hand, rel=1e-5)


def test_what_a_module_hears_and_says():
    model, rainy = fresh("residual", "dropped"), pairs()[0]
    with torch.no_grad():
        own = model(rainy)
        x = views.entering(model.attention, lambda: model(rainy))
        assert x.shape == (2, 16, 24, 20)
        assert torch.equal(model.attention(x), model.attend(rainy)[1])
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


def test_channels_get_the_scale_of_others():
    x, home = torch.randn(2, 3, 5, 4), 3 * torch.randn(1, 3, 6, 6) + 1
    x[:, 1] = 0.5  # a dead one
    found = views.match_channels(x, home)
    for c in (0, 2):
        assert found[:, c].mean() == pytest.approx(home[:, c].mean().item(), abs=1e-4)
        assert found[:, c].std() == pytest.approx(home[:, c].std().item(), rel=1e-4)
    assert torch.allclose(found[:, 1], home[:, 1].mean())


def test_the_figures_show_what_they_are_given():
    bars = views.draw_aucs({"as it is": 0.9, "host": 0.5}).axes[0].patches
    assert [bar.get_height() for bar in bars] == [0.9, 0.5]
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    gains = {"baseline": {"zero": [0.1, 0.2, 0.3], "zero and taught": [0.0, 0.1, -0.1]},
             "PRN": {"zero": [-0.1, 0.0]}}
    left, right = views.draw_against_host(gains).axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["zero", "zero\n+ taught"]
    assert [list(line.get_ydata()) for line in left.lines][-2] == [0.0, 0.1, -0.1]
    assert right.get_title() == "PRN"
