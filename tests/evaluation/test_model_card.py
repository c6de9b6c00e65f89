"""The model card says what is in the file and what was measured, and nothing else."""

from __future__ import annotations

import re

import pytest
import torch
from typer.testing import CliRunner

import derain_edu as de
from derain_edu.cli.app import app
from derain_edu.datasets.held_out import fixed_pairs
from derain_edu.evaluation.model_card import clean_change, model_card, write_card
from derain_edu.files import file_hash
from derain_edu.models.pretrained import open_weights_folder
from derain_edu.training.curriculum import Curriculum, equal_shares

RESIDUAL = open_weights_folder() / "residual.safetensors"


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """One photo instead of ten, so that a network is measured in a second."""
    monkeypatch.setattr("derain_edu.datasets.held_out.photo_names", lambda split: ["china"])
    monkeypatch.setattr("derain_edu.evaluation.harm.photo_names", lambda split: ["china"])
    monkeypatch.setattr("derain_edu.evaluation.model_card.PERIODS", (8,))
    fixed_pairs.cache_clear()
    yield
    fixed_pairs.cache_clear()


def trained(folder, data=None, **changes):
    settings = {"model": "residual", "options": {"blocks": 1, "channels": 4}, "steps": 3,
                "patch_size": 16, "batch_size": 2, "validate_every": 0, "data": "light",
                "lr": 0.002, "out": folder, **changes}  # fmt: skip
    de.train(de.TrainConfig(**settings), data=data)
    return folder / "model.safetensors"


def sections(card: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_card_of_a_run(tmp_path):
    weights = trained(tmp_path)
    card = model_card(weights, name="small one", licence="CC0 1.0")
    assert card.startswith("# small one\n")
    part = sections(card)
    assert list(part) == ["What it is", "Data", "Recipe", "Scores",
                          "Pictures without rain", "Limits, measured",
                          "The photos and their authors"]  # fmt: skip
    assert file_hash(weights) in part["What it is"] and "CC0 1.0" in part["What it is"]
    assert '"blocks": 1' in part["What it is"]
    count = len(de.photo_names("train"))
    assert f"{count} photos of the course" in part["Data"] and "`light`" in part["Data"]
    assert "is the one that these settings give" in " ".join(part["Data"].split())
    assert "3 steps of 2 patches" in part["Recipe"] and '"lr": 0.002' in part["Recipe"]
    assert "random weights" in part["Recipe"] and "out" not in part["Recipe"]
    photos = part["The photos and their authors"]
    for name in de.photo_names("train+validation+test"):
        assert f"| {name}." in photos
    assert "| extra |" not in photos  # this run did not use them
    assert photos.count("| train |") == count and "CC-BY-SA-4.0" in photos


def test_scores_and_limits_are_those_of_the_network(tmp_path):
    network = de.create_model("residual", pretrained="open")
    part = sections(model_card(RESIDUAL))
    scores = [
        (de.psnr(pair["rainy"], pair["clean"]),
         de.psnr(network(pair["rainy"][None]).detach()[0], pair["clean"]))
        for pair in fixed_pairs("test", "light")
    ]  # fmt: skip
    means = [sum(values) / len(values) for values in zip(*scores, strict=True)]
    row = re.search(r"\| test, 2 \| light \| ([\d.]+) \| ([\d.]+) \|", part["Scores"])
    assert [float(value) for value in row.groups()] == pytest.approx(means, abs=0.006)
    where, change = clean_change(network)[0]
    assert f"{where}, by {change:.2f} of 255" in " ".join(part["Limits, measured"].split())
    assert "of 6" in part["Limits, measured"]
    # Without its run folder, nothing is known about the data, and the card says so.
    assert "not stated" in part["Data"] and "not stated" in part["Recipe"]
    assert "| train |" not in part["The photos and their authors"]


def test_data_of_ones_own_are_not_passed_off_as_the_courses(tmp_path):
    own = de.SyntheticRain(photos=[torch.rand(3, 40, 40)], patch_size=16)
    part = sections(model_card(trained(tmp_path, data=own)))
    assert "data of its author's" in part["Data"]
    assert "| train |" not in part["The photos and their authors"]


def test_a_curriculum_is_part_of_the_recipe(tmp_path):
    rising = Curriculum(rain=equal_shares("light", "heavy"), patch_size=equal_shares(16, 20))
    part = sections(model_card(trained(tmp_path, curriculum=rising)))
    assert "is the one that these settings give" in " ".join(part["Data"].split())
    assert '"curriculum"' in part["Recipe"] and "heavy" in part["Recipe"]


def test_a_start_from_other_weights_is_told(tmp_path):
    weights = trained(tmp_path, pretrained=str(RESIDUAL), options={})
    assert f"the weights `{RESIDUAL}`" in sections(model_card(weights))["Recipe"]


def test_a_recipe_of_the_course_is_stated_not_read(tmp_path):
    part = sections(model_card(RESIDUAL, recipe="open-residual"))
    assert "open-residual` (stated, not read from a run): 800 steps" in part["Recipe"]
    assert '"loss": "neg_ssim+l1"' in part["Recipe"]
    assert "synthetic rain, `light`, patches of 56×56" in part["Data"]
    assert "No picture of Rain100L or Rain100H was used" in part["Data"]
    assert "| train |" in part["The photos and their authors"]
    with pytest.raises(de.DerainError, match="'open-prn' does not make this network"):
        model_card(RESIDUAL, recipe="open-prn")
    with pytest.raises(de.DerainError, match="unknown recipe 'open-sesame'"):
        model_card(RESIDUAL, recipe="open-sesame")
    run = sections(model_card(trained(tmp_path), recipe="open-residual"))
    assert "stated" not in run["Recipe"], "what the run folder tells goes first"


@pytest.mark.parametrize("weights", sorted(open_weights_folder().glob("*.safetensors")),
                         ids=lambda path: path.stem)  # fmt: skip
def test_every_shipped_file_has_its_card(weights):
    card = sections(weights.with_suffix(".md").read_text(encoding="utf-8"))
    assert f"sha256 `{file_hash(weights)}`" in card["What it is"]
    assert f"recipe `open-{weights.stem}`" in card["Recipe"] and "MIT" in card["What it is"]
    assert card["The photos and their authors"].count("| train |") >= 13


def test_change_of_clean_photos():
    assert clean_change(torch.nn.Identity())[0][1] == 0

    class Darker(torch.nn.Module):
        def forward(self, rainy):
            return rainy - 1 / 255

    assert 0 < clean_change(Darker())[0][1] <= 1


def test_a_card_is_not_written_over(tmp_path):
    path = write_card("old", tmp_path / "new" / "CARD.md")
    with pytest.raises(de.DerainError, match="exists already, perhaps with your own edits"):
        write_card("new", path)
    assert path.read_text() == "old"
    assert write_card("new", path, replace_old=True).read_text() == "new"


def test_what_others_wrote_is_shown_and_not_obeyed(tmp_path):
    weights = tmp_path / "a`<b>`.safetensors"
    weights.write_bytes(RESIDUAL.read_bytes())
    card = model_card(weights, "<img src=x> [a](b)", licence="CC0\n\n## Scores\n<script>")
    assert card.startswith("# &lt;img src=x&gt; \\[a\\](b)\n")
    assert "licence of the weights: CC0 ## Scores &lt;script&gt;\n" in card
    assert card.count("\n## Scores\n") == 1 and "<img" not in card and "<script" not in card
    assert "file: `` a`<b>`.safetensors ``" in card


def test_a_photographers_name_is_a_cell_of_the_table(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photos.csv").write_text(
        'file,name,split,author,licence\na.png,a,test,"A|B\n<b>",CC0\n'
    )
    monkeypatch.setattr("derain_edu.evaluation.model_card.data_folder", lambda: tmp_path)
    assert sections(model_card(RESIDUAL))["The photos and their authors"].strip().endswith(
        "\n| a.png | test | A\\|B &lt;b&gt; | CC0 |"
    )


def test_errors():
    with pytest.raises(de.DerainError, match="does not exist"):
        model_card("nowhere.safetensors")
    with pytest.raises(de.DerainError, match="the name 'a|b' does not fit"):
        model_card(RESIDUAL, name="a|b")


def test_the_command(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(RESIDUAL.read_bytes())
    runner = CliRunner()
    done = runner.invoke(app, ["card", str(weights)])
    assert done.exit_code == 0 and done.stdout.strip() == str(tmp_path / "MODEL_CARD.md")
    assert (tmp_path / "MODEL_CARD.md").read_text().startswith("# residual\n")
    again = runner.invoke(app, ["card", str(weights)])
    assert again.exit_code == 2 and again.stderr.startswith("error: ")
    assert runner.invoke(app, ["card", str(weights), "--replace"]).exit_code == 0
    spelled = tmp_path / "a" / ".." / "model.safetensors"
    spelled.parent.parent.mkdir()
    onto = runner.invoke(app, ["card", str(weights), "-o", str(spelled), "--replace"])
    assert onto.exit_code == 2 and "would overwrite what is read" in onto.stderr
    assert weights.read_bytes() == RESIDUAL.read_bytes()
