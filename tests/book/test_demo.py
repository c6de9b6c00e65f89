"""What the page *Try it* is made of; tests/browser looks at the page itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import derain_edu as de

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "book"))
import demo  # noqa: E402
import make_book  # noqa: E402


def test_without_npm_the_page_says_so_and_the_book_is_built(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    sources = {"en": tmp_path / "source"}
    make_book.add_demo(sources, tmp_path / "html", tmp_path / "kept")
    text = (tmp_path / "source" / "included" / "try_it.md").read_text(encoding="utf-8")
    assert "without the program that belongs here: npm is not installed" in text
    assert "npm is not installed" in capsys.readouterr().out
    assert (tmp_path / "source" / "try" / "index.md").is_file()
    assert not (tmp_path / "html").exists()


def test_without_a_network_nothing_half_is_kept(tmp_path, monkeypatch):
    def fails(command, **options):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(demo.shutil, "which", lambda name: name)
    monkeypatch.setattr(demo.subprocess, "run", fails)
    for _ in range(2):  # the second time it tries again
        reason = demo.build_demo(tmp_path / "html", tmp_path / "kept")
        assert reason == "npm can't fetch its packages (CalledProcessError)"
    assert not (tmp_path / "html").exists()


def test_packages_are_fetched_once_for_each_lock_file(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(demo.shutil, "which", lambda name: name)
    monkeypatch.setattr(demo.subprocess, "run", lambda command, **_: commands.append(command))
    for _ in range(2):
        assert demo.fetch_runtime(tmp_path / "npm") is None
    assert len(commands) == 1 and commands[0][:2] == ["npm", "ci"]
    (tmp_path / "npm" / "installed").write_text("another lock file", encoding="utf-8")
    assert demo.fetch_runtime(tmp_path / "npm") is None
    assert len(commands) == 2


def test_the_lock_file_names_no_host_but_npms():
    lock = json.loads((TOP / "book" / "demo" / "package-lock.json").read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        assert package.get("resolved", "https://registry.npmjs.org/").startswith(
            "https://registry.npmjs.org/"
        )
    assert lock["packages"]["node_modules/onnxruntime-web"]["integrity"].startswith("sha512-")


@pytest.mark.parametrize("example", demo.EXAMPLES, ids=lambda e: e[0])
def test_an_example_is_a_test_photo_and_says_who_took_it(tmp_path, example):
    assert example[0] in de.photo_names("test")
    about = demo.write_example(tmp_path, *example)
    assert (tmp_path / about["file"]).stat().st_size < 500_000
    assert about["author"] and about["licence"].startswith("CC BY")
    assert about["deed"].startswith("https://creativecommons.org/licenses/by")
    first = (tmp_path / about["file"]).read_bytes()
    demo.write_example(tmp_path, *example)
    assert (tmp_path / about["file"]).read_bytes() == first  # always the same rain


def test_the_known_answer_is_that_of_the_network():
    known = demo.known_answer()
    shape = (1, 3, known["height"], known["width"])
    rainy, derained = (torch.tensor(known[name]).view(shape) for name in ("rainy", "derained"))
    with torch.inference_mode():
        expected = de.create_model("prenet", pretrained="open").unroll(rainy, 1)[0]
    torch.testing.assert_close(derained, expected, atol=1e-5, rtol=0)


def test_every_file_of_the_page_is_copied():
    """A module that a file imports, and a file that it loads, must be in the list."""
    own = {path.name for path in demo.SOURCE.iterdir() if path.suffix in (".js", ".css")}
    assert own == set(demo.OWN_FILES)
