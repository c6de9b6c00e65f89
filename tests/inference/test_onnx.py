"""Export to ONNX: the same numbers at every size; a file or a sentence, never half of either."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import derain_edu as de
from derain_edu.errors import DerainError
from derain_edu.inference import onnx_export, onnx_network
from derain_edu.inference.onnx_export import (
    CHECKED,
    EXAMPLE,
    TOLERANCE,
    check_free_sizes,
    export_onnx,
    sizes,
)
from derain_edu.inference.onnx_network import load_onnx
from derain_edu.inference.restoration import derain_tensor

SMALL = {
    "residual": {"channels": 4, "blocks": 2},
    "spanet": {"channels": 4, "blocks": 1, "stages": 1},
    "nafnet_small": {"channels": 4, "blocks": 1},
}
PRN_SMALL = {"channels": 32, "blocks": 2, "stages": 2}


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function from a model's name to a small random network and its file, made once."""

    @cache
    def export(name: str) -> tuple[nn.Module, Path]:
        torch.manual_seed(0)
        model = de.create_model(name, **SMALL.get(name, PRN_SMALL))
        with torch.no_grad():
            for parameter in model.parameters():  # equal tensors, as a fresh α, are stored once
                parameter.add_(0.01 * torch.randn_like(parameter))
        return model, export_onnx(model, tmp_path_factory.mktemp("onnx") / f"{name}.onnx")

    return export


# ------------------------------------------------------------------------------ every model


@pytest.mark.parametrize("name", de.list_models())
def test_the_graph_gives_the_models_pictures_at_every_size(name, exported):
    """Down to one pixel, lines, several pictures at once; by ONNX Runtime alone."""
    model, path = exported(name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in [(1, 3, 1, 1), (1, 3, 1, 9), (2, 3, 7, 1), (3, 3, 13, 22), (1, 3, 64, 50)]:
        assert size not in (EXAMPLE, *CHECKED)
        rainy = torch.rand(size)
        (found,) = session.run(["derained"], {"rainy": rainy.numpy()})
        with torch.no_grad():
            expected = model.eval()(rainy).numpy()
        assert found.shape == size and np.abs(found - expected).max() <= TOLERANCE, size


@pytest.mark.parametrize("name", de.list_models())
def test_the_file_says_what_it_is(name, exported):
    model, path = exported(name)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [sizes(v) for v in (*proto.graph.input, *proto.graph.output)] == [
        ["batch", 3, "height", "width"]
    ] * 2
    found = {item.key: item.value for item in proto.metadata_props}
    assert (found["derain_edu"], found["model"]) == (de.__version__, name)
    again = de.create_model(found["model"], **json.loads(found["options"]))
    assert again.config == model.config
    assert json.loads(found["halo"]) == model.halo
    assert json.loads(found["inputs"]) == {"rainy": ["batch", 3, "height", "width"]}
    assert json.loads(found["outputs"]) == {"derained": ["batch", 3, "height", "width"]}
    assert found["opset"] == "18" == str(proto.opset_import[0].version)
    assert found["precision"] == "float32" and "pytorch" in found["producer"]
    contract = json.loads(found["preprocessing"])
    assert (contract["colours"], contract["type"], contract["range"]) == (
        "RGB", "float32", "0 to 1",
    )  # fmt: skip
    assert "NCHW" in contract["layout"] and "not clamped" in contract["output"]
    checked = json.loads(found["checked"])
    assert len(checked["sizes"]) == 3 and len({size[0] for size in checked["sizes"]}) >= 2
    assert 0 <= checked["largest_difference"] <= TOLERANCE


@pytest.mark.parametrize("name", de.list_models())
def test_weights_are_stored_once_and_nothing_about_this_machine(name, exported):
    """Stages are unrolled: a weight could be stored once per stage. And the tool takes notes."""
    model, path = exported(name)
    proto = onnx.load(path)
    graphs = [proto.graph, *(a.g for n in proto.graph.node for a in n.attribute if a.HasField("g"))]
    floats = [i for g in graphs for i in g.initializer if i.data_type == TensorProto.FLOAT]
    stored = sum(math.prod(item.dims) for item in floats)
    idle = "attention.directions"  # a branch of SPANet that does nothing is not in the graph
    weights = sum(p.numel() for n, p in model.named_parameters() if not n.startswith(idle))
    constants = 4  # such as the zeros that start a sweep
    assert weights <= stored <= weights + constants
    content = path.read_bytes()
    for place in (str(Path(de.__file__).parent), "site-packages", ".py"):
        assert place.encode() not in content


def test_the_operations_are_those_that_onnx_runtime_is_fastest_in(exported):
    """No Split and no zeros in PReNet, one outer ReLU per stage; a Scan per sweep in SPANet."""
    nodes = [node.op_type for node in onnx.load(exported("prenet")[1]).graph.node]
    stages, blocks = PRN_SMALL["stages"], PRN_SMALL["blocks"]
    assert not {"Split", "Expand", "ConstantOfShape"} & set(nodes)
    assert nodes.count("Relu") == stages * (1 + 2 * blocks + 1)  # head, branches, first block
    assert nodes.count("Concat") == 2 * stages - 1  # the first stage has no memory to join
    nodes = [node.op_type for node in onnx.load(exported("spanet")[1]).graph.node]
    assert nodes.count("Scan") == 8 * SMALL["spanet"]["stages"] and "Transpose" not in nodes


def test_the_attention_of_the_paper_is_exported_too(tmp_path):
    model = de.create_model("spanet", channels=4, blocks=1, stages=1, direction_attention=True)
    net = load_onnx(export_onnx(model, tmp_path / "paper.onnx"))
    assert net.info.options["direction_attention"] is True
    rainy = torch.rand(1, 3, 12, 17)
    assert (net(rainy) - model(rainy)).abs().max() <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("spanet", SMALL["spanet"]),
        ("transplant", {"host": "residual", "graft": "zero", "channels": 4}),
    ],
)
def test_the_maps_are_a_second_output(name, options, tmp_path):
    torch.manual_seed(0)
    model = de.create_model(name, **options).eval()
    path = export_onnx(model, tmp_path / "maps.onnx", maps=True)
    net, rainy = load_onnx(path), torch.rand(2, 3, 12, 17)
    derained, maps = net.session.run(None, {"rainy": rainy.numpy()})
    with torch.inference_mode():
        expected = model.attend(rainy)
    for one, other in zip((derained, maps), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, atol=TOLERANCE, rtol=0)
    assert torch.equal(net(rainy), torch.from_numpy(derained))  # it is a model like others


def test_maps_that_differ_are_found(tmp_path, monkeypatch):
    model = de.create_model("spanet", **SMALL["spanet"])
    form = onnx_export.maps_form

    def other_maps(given):
        wrong, translations = form(given)
        attend = wrong.form.attend
        wrong.form.attend = lambda rainy: (attend(rainy)[0], attend(rainy)[1] / 2)
        return wrong, translations

    monkeypatch.setattr(onnx_export, "maps_form", other_maps)
    with pytest.raises(DerainError, match="differs from the model by"):
        export_onnx(model, tmp_path / "a.onnx", maps=True)
    with pytest.raises(DerainError, match="residual has no attention maps"):
        export_onnx(de.create_model("residual", channels=4, blocks=1), tmp_path / "a.onnx", True)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------ what goes wrong


class Frozen(nn.Module):
    """A recurrence in Python: an export sees as many steps as the example has columns."""

    def forward(self, rainy):
        h, swept = 0, []
        for column in rainy.unbind(3):
            h = torch.relu(column + 0.5 * h)
            swept.append(h)
        return torch.stack(swept, dim=3)


class SecretIf(nn.Module):
    def forward(self, rainy):
        return rainy * (2 if rainy.shape[-1] > 10 else 3)


class Noisy(nn.Module):
    def forward(self, rainy):
        return rainy + torch.rand_like(rainy)


class NotANumber(nn.Module):
    def forward(self, rainy):
        return (rainy - 2).log()


class LooksIn(nn.Module):
    def forward(self, rainy):
        return rainy * 2 if float(rainy.mean()) > 0.5 else rainy


class Smaller(nn.Module):
    def forward(self, rainy):
        return rainy[..., ::2, ::2]


class Two(nn.Module):
    def forward(self, rainy):
        return rainy + 1, rainy + 2


class Pooled(nn.Module):
    def forward(self, rainy):
        if rainy.shape[-2] == 40:
            raise ValueError("40 rows are too many")
        return rainy + 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Frozen(), "the width of 'rainy' froze at 19 "),
        (SecretIf(), r"differs from the model by 1\.0e\+00 on \(3, 3, 40, 9\)"),
        (Noisy(), "differs from the model by .* can't see"),
        (NotANumber(), "differs from the model by nan"),
        (LooksIn(), r"LooksIn can't be exported to ONNX \(.*no Python if"),
        (Smaller(), r"Smaller turned \(1, 3, 16, 31\) into \(1, 3, 8, 16\)"),
        (Two(), "takes one picture and gives one back"),
        (Pooled(), r"Pooled itself fails on \(3, 3, 40, 9\) \(40 rows are too many\)"),
    ],
)
def test_what_can_not_be_exported_leaves_a_sentence_and_no_file(model, message, tmp_path):
    with pytest.raises(de.DerainError, match=message) as caught:
        export_onnx(model, tmp_path / "new" / "model.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_keeps_the_file_that_is_there(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"the old one")
    with pytest.raises(de.DerainError, match="differs"):
        export_onnx(SecretIf(), tmp_path / "model.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"the old one"


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "model.onnx").write_bytes(b"the old one")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(de.DerainError, match="can't be written .*No space left"):
        export_onnx(nn.Identity(), tmp_path / "model.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def one_node(input_size, output_size, **metadata):
    """A graph that adds a picture to itself, with the given sizes of input and output."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("rainy", input_size), ("derained", output_size))
    ]
    node = helper.make_node("Add", ["rainy", "rainy"], ["derained"])
    graph = helper.make_graph([node], "graph", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(proto, metadata)
    return proto


def test_a_size_that_froze_in_the_output_alone_is_found():
    """What Dim.AUTO makes of a Python loop: the input still looks free."""
    free, frozen = ["b", 3, "h", "w"], ["b", 3, "h", 19]
    check_free_sizes(one_node(free, free))
    with pytest.raises(de.DerainError, match="the width of 'derained' froze at 19"):
        check_free_sizes(one_node(free, frozen))
    with pytest.raises(de.DerainError, match="the height of 'rainy' froze at 21"):
        check_free_sizes(one_node(["b", 3, 21, "w"], free))
    with pytest.raises(de.DerainError, match="the batch of 'rainy' froze at 2"):
        check_free_sizes(one_node([2, 3, "h", "w"], free))


@pytest.mark.parametrize("name", ["model.pt", "model", "folder.onnx"])
def test_names_that_are_none(name, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(de.DerainError, match="choose one that ends in .onnx"):
        export_onnx(nn.Identity(), tmp_path / name)


# ------------------------------------------------------------------------------ side effects


def test_the_export_is_silent_and_changes_nothing(tmp_path, capfd, recwarn):
    model = de.create_model("prenet", channels=4, blocks=1, stages=1)
    model = model.to(memory_format=torch.channels_last).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    numbers = torch.get_rng_state()
    path = export_onnx(model, tmp_path / "a" / "b" / "model.onnx")
    assert path == tmp_path / "a" / "b" / "model.onnx" and path.is_file()
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert torch.equal(torch.get_rng_state(), numbers)
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.head.weight.is_contiguous(memory_format=torch.channels_last)


def test_half_precision_weights_are_exported_as_float(tmp_path):
    model = de.create_model("residual", **SMALL["residual"]).to(torch.bfloat16)
    net = load_onnx(export_onnx(model, tmp_path / "model.onnx"))
    rainy = torch.rand(1, 3, 9, 8)
    assert (net(rainy) - model.float()(rainy)).abs().max() <= TOLERANCE


def test_a_network_of_your_own(tmp_path):
    own = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    net = load_onnx(export_onnx(own, tmp_path / "own.onnx"))
    assert (net.info.model, net.info.options, net.halo) == ("Sequential", {}, None)
    own.halo = 1
    assert load_onnx(export_onnx(own, tmp_path / "own.onnx")).halo == 1


# ------------------------------------------------------------------------------ the file as a model


def test_a_file_is_a_model(exported):
    model, path = exported("prenet")
    net = load_onnx(str(path))
    assert isinstance(net, nn.Module) and net.halo == model.halo and not net.training
    assert "prenet" in repr(net) and "float32" in repr(net)
    rainy = torch.rand(2, 3, 12, 11, requires_grad=True)
    found = net(rainy.contiguous(memory_format=torch.channels_last))
    assert found.shape == rainy.shape and not found.requires_grad
    assert (found - model(rainy)).abs().max() <= TOLERANCE
    assert net(rainy.double()).dtype == torch.float32
    assert load_onnx(exported("spanet")[1]).halo is None


def test_threads_follow_pytorch(exported):
    net, before = load_onnx(exported("residual")[1]), torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert net.session.get_session_options().intra_op_num_threads == threads
            assert net.session is net.session
    finally:
        torch.set_num_threads(before)


def test_files_that_are_no_model(exported, tmp_path):
    free = ["b", 3, "h", "w"]
    good = {"derain_edu": "1", "model": "x", "options": "{}", "halo": "1", "precision": "float32"}
    good["opset"] = "18"
    wrong_sizes, grey = one_node(free[1:], free[1:], **good), ["b", 1, "h", "w"]
    content = exported("residual")[1].read_bytes()
    files = {
        "cut": (content[: len(content) // 2], r"cut.onnx can't be opened by ONNX Runtime \("),
        "empty": (b"", r"can't be opened"),
        "text": (b"not a graph", "can't be opened"),
        "foreign": (one_node(free, free), "foreign.onnx was not written by derain_edu"),
        "flat": (wrong_sizes, r"has inputs and outputs .* not one \(B, 3, H, W\) each"),
        "grey": (one_node(grey, grey, **good), "not one"),
        "halo": (one_node(free, free, **{**good, "halo": "far"}), "has damaged metadata"),
        "list": (one_node(free, free, **{**good, "halo": "[1]"}), "has damaged metadata"),
        "true": (one_node(free, free, **{**good, "halo": "true"}), "has damaged metadata"),
        "minus": (one_node(free, free, **{**good, "halo": "-1"}), "has damaged metadata"),
        "plain": (one_node(free, free, **{**good, "options": "[]"}), "has damaged metadata"),
        "old": (one_node(free, free, derain_edu="1"), "has damaged metadata"),
    }
    for name, (file, message) in files.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(file if isinstance(file, bytes) else file.SerializeToString())
        with pytest.raises(de.DerainError, match=message) as caught:
            load_onnx(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(one_node(free, free, **good).SerializeToString())
    quarter = torch.full((1, 3, 2, 2), 0.25)
    assert torch.equal(load_onnx(path)(quarter), 2 * quarter)
    with pytest.raises(de.DerainError, match="nowhere.onnx does not exist"):
        load_onnx(tmp_path / "nowhere.onnx")


def test_devices(exported, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    net = load_onnx(exported("residual")[1])
    assert net.to("cpu") is net
    with pytest.raises(de.DerainError, match="no CUDA provider, so choose the device cpu"):
        net.to("cuda")
    with pytest.raises(de.DerainError, match="runs on cpu or cuda, not on mps"):
        load_onnx(exported("residual")[1], device="mps")
    assert net.device == torch.device("cpu") and net(torch.rand(1, 3, 4, 4)).shape[-1] == 4


def test_it_moves_as_modules_of_pytorch_do(exported, monkeypatch):
    net = load_onnx(exported("residual")[1])
    with pytest.raises(de.DerainError, match="no CUDA provider"):
        net.cuda()  # nn.Module's own finds nothing to move and is silent
    for convert in (net.half, net.double, net.bfloat16, lambda: net.to(torch.float16)):
        with pytest.raises(de.DerainError, match="takes and returns float32"):
            convert()
    monkeypatch.setattr(onnx_network, "has_cuda", lambda: True)
    for move in (net.cuda, lambda: net.to("cuda"), lambda: net.to(device="cuda")):
        assert move() is net and net.device.type == "cuda"
        # What says nothing about the device leaves it as it is.
        assert net.to(memory_format=torch.channels_last).device.type == "cuda"
        assert net.to(torch.float32).device.type == "cuda"
        assert net.cpu().device.type == "cpu"
    assert net.cuda(1).device == torch.device("cuda", 1)
    assert net.to(torch.rand(1)).device.type == "cpu"  # as the tensor


def make_it_fail(net, monkeypatch, message):
    """Give a network a session that raises whenever it runs."""

    class Failing:
        get_inputs = net.session.get_inputs

        def run(self, *_):
            raise RuntimeError(message)

    monkeypatch.setattr(onnx_network, "open_session", lambda *_: Failing())
    net._session = None


def test_a_fault_in_memory_is_not_a_lack_of_it(exported, monkeypatch):
    net = load_onnx(exported("residual")[1])
    make_it_fail(net, monkeypatch, "CUDA error: an illegal memory access was encountered")
    with pytest.raises(de.DerainError, match="illegal memory access"):
        derain_tensor(net, torch.rand(3, 8, 9))


def test_pictures_that_do_not_fit(exported, monkeypatch):
    net = load_onnx(exported("residual")[1])
    with pytest.raises(de.DerainError, match=r"can't compute \(1, 4, 8, 8\) .* give \(B, 3"):
        net(torch.rand(1, 4, 8, 8))

    make_it_fail(net, monkeypatch, "std::bad_alloc")
    with pytest.raises(de.DerainError, match="9×8 pixels .* choose a smaller tile"):
        derain_tensor(net, torch.rand(3, 8, 9))


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_network, "find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(DerainError, match="ONNX files need onnxscript, which is missing: pip"):
        onnx_export.export_onnx(de.create_model("prn", channels=4), tmp_path / "prn.onnx")


def test_a_broken_package_is_a_sentence(tmp_path, monkeypatch):
    def broken(name):
        raise OSError("DLL load failed while importing\nmore lines")

    monkeypatch.setattr(onnx_network.importlib, "import_module", broken)
    with pytest.raises(DerainError, match=r"installed but can't be loaded \(DLL load failed") as e:
        onnx_network.has_cuda()
    assert "pip install --force-reinstall onnxruntime" in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize(("ir_version", "opset"), [(99, 18), (9, 99)])
def test_a_file_that_is_newer_than_onnx_runtime(tmp_path, ir_version, opset):
    proto = one_node(["b", 3, "h", "w"], ["b", 3, "h", "w"], derain_edu="1")
    proto.ir_version, proto.opset_import[0].version = ir_version, opset
    (tmp_path / "new.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(DerainError, match="pip install --upgrade onnxruntime"):
        load_onnx(tmp_path / "new.onnx")


def test_a_place_that_can_not_be_written_is_found_out_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(onnx_export, "_translate", lambda *_: pytest.fail("too late"))
    for name in ("file/a.onnx", 300 * "n" + ".onnx"):
        with pytest.raises(DerainError, match="can't be written"):
            export_onnx(nn.Identity(), tmp_path / name)
