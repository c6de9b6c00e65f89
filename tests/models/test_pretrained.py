"""Weights from everywhere: our own files, checkpoints, the authors' names, and damaged ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from derain_edu.errors import DerainError
from derain_edu.models import create_model, model_options
from derain_edu.models.pretrained import (
    OFFICIAL,
    best_pretrained,
    convert_official,
    list_pretrained,
    open_weights_folder,
)


def authors_state(model) -> dict[str, torch.Tensor]:
    """Write our PReNet's weights under the authors' names, with one convolution per gate."""
    state = {}
    for kind in ("weight", "bias"):
        state[f"conv0.0.{kind}"] = getattr(model.head, kind)
        state[f"conv.0.{kind}"] = getattr(model.tail, kind)
        for gate, part in zip("ifgo", getattr(model.memory.gate_conv, kind).chunk(4), strict=True):
            state[f"conv_{gate}.0.{kind}"] = part
        for number, block in enumerate(model.blocks, 1):
            state[f"res_conv{number}.0.{kind}"] = getattr(block.conv1, kind)
            state[f"res_conv{number}.2.{kind}"] = getattr(block.conv2, kind)
    return {key: value.detach().clone() for key, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_authors_names_are_translated(tmp_path, prefix):
    model = create_model("prenet").eval()
    state = {prefix + key: value for key, value in authors_state(model).items()}
    torch.save(state, tmp_path / "net_latest.pth")
    loaded = create_model("prenet", pretrained=tmp_path / "net_latest.pth")
    rainy = torch.rand(1, 3, 9, 11)
    assert torch.equal(loaded(rainy), model(rainy))
    assert not loaded.training


def test_our_own_names_pass_unchanged():
    state = create_model("prn").state_dict()
    assert convert_official(state).keys() == state.keys()


def test_safetensors_bring_their_options(tmp_path):
    model = create_model("prn", stages=3, channels=8)
    metadata = {"model": "prn", "options": json.dumps(model_options(model))}
    save_file(model.state_dict(), tmp_path / "model.safetensors", metadata)
    loaded = create_model("prn", pretrained=tmp_path / "model.safetensors")
    assert loaded.config == model.config
    longer = create_model("prn", pretrained=tmp_path / "model.safetensors", stages=7)
    assert longer.config.stages == 7 and longer.config.channels == 8
    with pytest.raises(DerainError, match="weights of 'prn', not of 'prenet'"):
        create_model("prenet", pretrained=tmp_path / "model.safetensors")


def test_weights_that_do_not_fit_are_explained(tmp_path):
    torch.save(create_model("prn", channels=16).state_dict(), tmp_path / "small.pth")
    with pytest.raises(DerainError, match=r"head.weight is \(16, 6, 3, 3\), not \(32, 6, 3, 3\)"):
        create_model("prn", pretrained=tmp_path / "small.pth")
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DerainError, match="no head.weight"):
        create_model("prn", pretrained=tmp_path / "other.pth")


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors", "broken.pt"])
@pytest.mark.parametrize("content", [b"", b"these are no weights"])
def test_a_damaged_file_is_explained(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DerainError, match="not a readable weight file"):
        create_model("prn", pretrained=tmp_path / name)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("code from a weight file ran",)

    torch.save({"head.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(DerainError, match="not a readable weight file"):
        create_model("prn", pretrained=tmp_path / "trap.pth")


def test_no_state_dict_is_explained(tmp_path):
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(DerainError, match="no state dict"):
        create_model("prn", pretrained=tmp_path / "list.pth")


@pytest.mark.parametrize("key", ["state_dict", "params", "model", "net"])
def test_a_state_dict_is_found_inside_what_others_save(tmp_path, key):
    model = create_model("prn", channels=4)
    content = {key: model.state_dict(), "epoch": 3, "config": {"lr": 0.1}}
    torch.save(content, tmp_path / "theirs.pth")
    loaded = create_model("prn", pretrained=tmp_path / "theirs.pth", channels=4)
    assert torch.equal(loaded.head.weight, model.head.weight)


def test_a_dict_without_weights_names_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "other.pth")
    with pytest.raises(DerainError, match="no state dict but a dict of epoch, loss.*state_dict"):
        create_model("prn", pretrained=tmp_path / "other.pth")


def test_a_numpy_scalar_beside_the_weights_is_named(tmp_path):
    state = create_model("prn").state_dict()
    torch.save({"state_dict": state, "psnr": np.float64(30)}, tmp_path / "other.pth")
    with pytest.raises(DerainError, match="multiarray.scalar beside the weights"):
        create_model("prn", pretrained=tmp_path / "other.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_nan_in_the_weights_names_the_file(tmp_path, suffix):
    state = create_model("prn").state_dict()
    state["tail.bias"][1] = float("nan")
    save = save_file if suffix == "safetensors" else torch.save
    save(state, tmp_path / f"bad.{suffix}")
    with pytest.raises(DerainError, match=rf"bad\.{suffix} holds NaN .* in tail\.bias"):
        create_model("prn", pretrained=tmp_path / f"bad.{suffix}")


@pytest.mark.parametrize("options", ["[1]", "3"])
def test_options_that_are_none_are_explained(tmp_path, options):
    path = tmp_path / "model.safetensors"
    save_file(create_model("prn").state_dict(), path, {"model": "prn", "options": options})
    with pytest.raises(DerainError, match="no options by name"):
        create_model("prn", pretrained=path)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"wings": 2}, "does not have .wings."), ({"channels": [4]}, "can't be built")],
)
def test_options_of_another_network_are_explained(tmp_path, options, message):
    path = tmp_path / "model.safetensors"
    metadata = {"model": "prn", "options": json.dumps(options)}
    save_file(create_model("prn").state_dict(), path, metadata)
    with pytest.raises(DerainError, match=message):
        create_model("prn", pretrained=path)


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(DerainError, match="official-rain100l, official-rain100h"):
        create_model("prenet", pretrained="official-rain200")


def test_official_weights_that_are_not_there_say_how_to_get_them(empty_cache):
    with pytest.raises(DerainError, match="derain-edu download official-weights"):
        create_model("prenet", pretrained="official-rain100l")


@pytest.mark.parametrize("name", ["residual", "prn", "prenet"])
def test_open_weights_are_in_the_repository(name):
    assert (open_weights_folder() / f"{name}.safetensors").is_file()
    assert list_pretrained(name)[0] == "open"
    model = create_model(name, pretrained="open")
    assert not model.training
    assert model(torch.rand(1, 3, 7, 5)).shape == (1, 3, 7, 5)


def test_every_official_tag_belongs_to_a_model():
    for name, tag in OFFICIAL:
        assert tag in list_pretrained(name)
        create_model(name)


def test_the_best_weights_are_the_authors_where_the_cache_has_them(empty_cache):
    assert best_pretrained("prn") == "open"
    folder = empty_cache / "official-weights"
    folder.mkdir()
    (folder / "prn_rain100l.pth").touch()
    assert best_pretrained("prn") == "official-rain100l"
    assert best_pretrained("prenet") == "open"  # its own file is not there
    assert best_pretrained("residual") == best_pretrained("prenet_gru") == "open"  # none exists


def test_a_model_has_its_own_weights_only():
    """The name of one model may begin another's."""
    assert list_pretrained("pre") == []
    tags = list_pretrained("prenet")
    assert "open" in tags and "open-light" in tags
