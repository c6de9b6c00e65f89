"""PyTorch or ONNX Runtime: the same picture, from the right file, made once."""

import contextlib
import warnings

import pytest
import torch

import derain_edu as de
from derain_edu.errors import DerainError
from derain_edu.inference import engine, onnx_network
from derain_edu.inference.engine import choose_engine, onnx_file_name
from derain_edu.inference.onnx_export import export_onnx
from derain_edu.inference.onnx_network import OnnxModel
from derain_edu.metrics import psnr
from derain_edu.models.pretrained import open_weights_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def open_prenet():
    return de.create_model("prenet", "open")


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return de.create_model("prn", channels=4, blocks=1, stages=2).eval()


def test_the_shipped_files_are_those_of_the_open_weights(open_prenet):
    """Whoever trains the weights anew is told to write the ONNX files anew: they have new names."""
    found = {path.name for path in open_weights_folder().glob("*.onnx")}
    assert found == {onnx_file_name(open_prenet, int8) for int8 in (False, True)}, (
        'run python -c "from derain_edu.inference.engine import write_shipped; write_shipped()"'
    )


@torch.inference_mode()
def test_on_a_cpu_the_picture_stays_the_same(open_prenet):
    clean = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    clean = torch.nn.functional.interpolate(clean, (61, 47), mode="bicubic").clamp(0, 1)
    rainy = de.add_rain(clean[0], "light", seed=1).rainy[None]
    expected = open_prenet(rainy)
    chosen = choose_engine(open_prenet, CPU)
    assert isinstance(chosen, OnnxModel) and chosen.info.precision == "float32"
    assert (chosen(rainy) - expected).abs().max() < 1e-5
    fast = choose_engine(open_prenet, CPU, fast=True)
    assert fast.info.precision.startswith("int8")
    assert 36 < psnr(fast(rainy).clamp(0, 1), expected.clamp(0, 1)) < 60  # another way, near by


def test_other_weights_or_options_are_another_file(open_prenet, tiny):
    names = {onnx_file_name(open_prenet), onnx_file_name(tiny)}
    names.add(onnx_file_name(de.create_model("prenet", "open", stages=4)))
    with torch.no_grad():
        tiny.tail.bias[0] += 1e-6
    names.add(onnx_file_name(tiny))
    assert len(names) == 4
    assert choose_engine(tiny, CPU) is tiny  # nobody has asked for its file


def test_pytorch_where_it_was_asked_for_or_on_a_gpu(open_prenet):
    assert choose_engine(open_prenet, CPU, "torch") is open_prenet
    assert choose_engine(open_prenet, torch.device("cuda")) is open_prenet


@torch.inference_mode()
def test_a_file_is_made_once(tiny, empty_cache, monkeypatch):
    rainy = torch.rand(1, 3, 20, 24)
    said = []

    def export(*arguments):
        said.append("exported")
        return export_onnx(*arguments)

    monkeypatch.setattr(engine, "export_onnx", export)
    first = choose_engine(tiny, CPU, "onnx", say=said.append)
    sentence, done = said  # in this order
    assert "it is made now, which takes" in sentence and str(first.path.parent) in sentence
    assert done == "exported"
    assert empty_cache in first.path.parents
    assert (first(rainy) - tiny(rainy)).abs().max() < 1e-5
    monkeypatch.setattr(engine, "export_onnx", lambda *_: pytest.fail("exported again"))
    silent = pytest.fail
    assert choose_engine(tiny, CPU, "onnx", say=silent).path == first.path


def test_a_second_program_waits_until_the_file_is_made(tiny, empty_cache, monkeypatch):
    """As long as that takes: an int8 file is not made in the minute that other changes get."""
    path = empty_cache / "onnx" / onnx_file_name(tiny)
    waited = []

    @contextlib.contextmanager
    def changing(file, seconds):
        waited.append(seconds)
        path.write_bytes((open_weights_folder() / onnx_file_name(shipped)).read_bytes())
        yield

    shipped = de.create_model("prenet", "open")
    path.parent.mkdir()
    monkeypatch.setattr(engine, "changing", changing)
    monkeypatch.setattr(engine, "export_onnx", lambda *_: pytest.fail("exported again"))
    assert choose_engine(tiny, CPU, "onnx", say=str).path == path
    assert min(waited) > 600


def test_what_can_not_be_made_is_refused_before_the_note(tiny, empty_cache):
    (empty_cache / "onnx").write_text("a file where the folder should be")
    with pytest.raises(DerainError, match="can't be written"):
        choose_engine(tiny, CPU, "onnx", say=pytest.fail)


def test_pytorch_where_onnx_runtime_is_missing(open_prenet, monkeypatch):
    """Nobody asked for it, so nothing is said."""
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_engine(open_prenet, CPU) is open_prenet


def test_pytorch_where_onnx_runtime_is_broken(open_prenet, monkeypatch):
    """Said in the words that the loader really uses for a library that is missing."""

    def fail(name):
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(onnx_network.importlib, "import_module", fail)
    with pytest.warns(UserWarning, match="onnxruntime is installed but.*libgomp.*PyTorch computes"):
        assert choose_engine(open_prenet, CPU) is open_prenet


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "tensorflow"}, "choose one of auto, torch, onnx"),
        ({"engine": "torch", "fast": True}, "drop engine torch"),
    ],
)
def test_choices_that_contradict_each_other(tiny, options, sentence):
    with pytest.raises(DerainError, match=sentence):
        choose_engine(tiny, CPU, **options)


def test_a_file_is_computed_as_it_is(open_prenet):
    network = choose_engine(open_prenet, CPU)
    assert choose_engine(network, CPU) is network
    for options in ({"engine": "torch"}, {"fast": True}):
        with pytest.raises(DerainError, match="is computed as it is"):
            choose_engine(network, CPU, **options)


def test_from_python():
    picture = torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(0))
    one, two = (de.derain(picture, engine=name) for name in ("auto", "torch"))
    assert (de.to_tensor(one) - de.to_tensor(two)).abs().max() < 1.5 / 255
    with pytest.raises(DerainError, match="name or file only"):
        de.derain(picture, de.create_model("prenet", "open"), fast=True)
