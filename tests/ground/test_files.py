"""Files are written whole, by one program at a time, and never onto an input."""

import errno
import os
import subprocess
import sys

import pytest

from derain_edu.errors import DerainError
from derain_edu.files import (
    at_home,
    growing,
    identity,
    is_one_of,
    reserved,
    write_atomically,
)
from derain_edu.images import read_picture


def test_a_long_name_is_written(tmp_path):
    path = tmp_path / "new" / ("x" * 250 + ".bin")  # 254 of the 255 bytes that a name may have
    write_atomically(path, b"all of it")
    assert path.read_bytes() == b"all of it"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    """The short write of a full disk is an error here, and nothing is left of the attempt."""
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")

    def no_space(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_reserved_for_one_program(tmp_path):
    """A second program is refused at once; when the first is killed, the folder is free."""
    code = (
        "import sys, time; from pathlib import Path; from derain_edu.files import reserved\n"
        "with reserved(Path(sys.argv[1]), 'a test'): print('in', flush=True); time.sleep(600)"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b"in\n"
        with (
            pytest.raises(DerainError, match="a test is going on in"),
            reserved(tmp_path, "a test"),
        ):
            pass
    finally:
        first.kill()
        first.communicate()
    with reserved(tmp_path, "a test"):
        pass


def test_one_file_under_many_names(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    picture = folder / "1.png"
    picture.write_bytes(b"")
    (tmp_path / "soft").symlink_to(folder)
    os.link(picture, tmp_path / "hard.png")
    for spelled in ("in/../in/1.png", "soft/1.png", "hard.png"):
        assert identity(tmp_path / spelled) == identity(picture)
        assert is_one_of(tmp_path / spelled, [folder / "0.png", picture])
    assert not is_one_of(folder / "2.png", [picture])
    assert is_one_of(tmp_path / "soft/new.png", [folder / "new.png"])  # neither exists yet
    assert not is_one_of(folder / "new.png", [picture, folder])


def test_a_disk_that_numbers_no_files(tmp_path, monkeypatch):
    """All its files have the number 0; they are told apart by name."""
    stat = os.stat

    def no_numbers(path, **more):
        return os.stat_result((*stat(path, **more)[:1], 0, *stat(path, **more)[2:]))

    for name in "ab":
        (tmp_path / name).touch()
    monkeypatch.setattr(os, "stat", no_numbers)
    assert not is_one_of(tmp_path / "a", [tmp_path / "b"])
    assert is_one_of(tmp_path / "a", [tmp_path / ".." / tmp_path.name / "a"])


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert at_home("~/a.png") == os.path.join(str(tmp_path), "a.png").replace("\\", os.sep)
    assert at_home("~a.png") == "~a.png" and at_home("a~") == "a~"
    (tmp_path / "~b.png").touch()
    assert at_home("~b.png") == str(tmp_path / "~b.png")


@pytest.mark.parametrize("name", ["~", "~/a.png"])
def test_without_a_home_folder_there_is_a_sentence(no_home, name):
    for read in (at_home, read_picture):
        with pytest.raises(DerainError, match="no home folder, so write the whole path"):
            read(name)
    assert at_home("~a.png") == "~a.png"


def test_a_file_that_grows_gets_its_name_at_the_end(tmp_path):
    path = tmp_path / "new" / "clip.mp4"
    with growing(path) as part:
        part.write_bytes(b"film")
        assert not path.exists() and part.parent == path.parent
        assert part.name.startswith("clip.") and part.name.endswith(".part.mp4")
    assert path.read_bytes() == b"film" and list(path.parent.iterdir()) == [path]
    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error), growing(path) as part:
            part.write_bytes(b"half")
            raise error
    with pytest.raises(FileNotFoundError), growing(path):
        pass  # nothing was written
    assert path.read_bytes() == b"film" and list(path.parent.iterdir()) == [path]
