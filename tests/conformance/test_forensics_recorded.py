"""What is recorded about the released checkpoint is what the file shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from derain_edu.datasets.download import official_weight_path
from derain_edu.experiments import spanet_checkpoint
from derain_edu.files import data_folder
from derain_edu.models import create_model


def test_the_record_says_what_the_file_says(filled_cache, tmp_path, monkeypatch):
    live = spanet_checkpoint.released_checkpoint()
    assert live.source == "opened now"
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(tmp_path))
    assert spanet_checkpoint.released_checkpoint() == replace(live, source="recorded")


def test_recording_again_gives_the_same_files(filled_cache, tmp_path):
    table, rest = spanet_checkpoint.record(tmp_path)
    committed = data_folder() / "results" / table.name
    assert table.read_bytes() == committed.read_bytes()
    new, old = (json.loads(path.with_suffix(".json").read_text()) for path in (table, committed))
    for content in (new, old):
        del content["torch"], content["derain_edu"]
    assert new == old


def test_each_row_belongs_to_its_tensor(filled_cache):
    """The names are ours, the numbers the file's: compare with the network that is built of it."""
    state = create_model("spanet", pretrained="official-spa").state_dict()
    traces = spanet_checkpoint.examine(official_weight_path(spanet_checkpoint.FILE)).traces
    assert [trace.name for trace in traces] != [] and {t.name for t in traces} == set(state)
    for trace in traces:
        assert trace.largest == pytest.approx(state[trace.name].abs().max().item(), rel=1e-5)


def test_the_moments_are_read_from_the_optimizer(filled_cache):
    """Against the file itself, in the authors' words: α of the first round, all four directions."""
    path = official_weight_path(spanet_checkpoint.FILE)
    content = torch.load(path, map_location="cpu", weights_only=True)
    order = dict(zip(content["net"], content["opt"]["param_groups"][0]["params"], strict=True))
    keys = [f"SAM1.irnn1.{d}_weight.weight" for d in ("up", "right", "down", "left")]
    largest = max(content["opt"]["state"][order[k]]["exp_avg"].abs().max().item() for k in keys)
    traces = spanet_checkpoint.examine(path).traces
    alpha = next(t for t in traces if t.name == "attention.irnn1.alpha")
    assert alpha.moment == pytest.approx(largest, rel=1e-5) and alpha.number == 128
    assert spanet_checkpoint.imports_of(path) == [
        "collections.OrderedDict", "torch.FloatStorage", "torch._utils._rebuild_tensor_v2"
    ]
