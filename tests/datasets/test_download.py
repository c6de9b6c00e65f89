"""Downloads against a server of the test's own that breaks off, lies, and is not there."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from derain_edu.datasets import download, fetching
from derain_edu.datasets.download import (
    SETS,
    Entry,
    cache_folder,
    cached_files,
    cached_set,
    download_set,
    official_weight_path,
    read_manifest,
)
from derain_edu.datasets.fetching import fetch
from derain_edu.errors import DerainError
from derain_edu.files import reserved

BODY = bytes(range(256)) * 1000  # 256,000 bytes
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Behaves as the first part of the path says; counts and remembers every request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        turn = sum(path == self.path for path, _ in self.server.requests)
        self.server.requests.append((self.path, self.headers.get("Range")))
        first = 0
        if behaviour != "no_range" and (asked := self.headers.get("Range")):
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if behaviour == "gone":
            return self.send_error(404)
        if behaviour == "busy" and turn == 0:
            return self.send_error(503)
        if first >= len(BODY):
            return self.send_error(416)
        body = BODY[::-1] if behaviour == "wrong" else BODY
        piece = body[first:]
        if behaviour in ("breaks", "always_breaks") and (turn == 0 or behaviour != "breaks"):
            piece = piece[: len(piece) // 2]
        self.send_response(206 if first else 200)
        if first:
            start = self.server.start if behaviour == "elsewhere" else first
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        if behaviour in ("no_length", "endless"):
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        for start in range(0, len(piece), 16_000):
            self.wfile.write(piece[start : start + 16_000])
            if behaviour == "slow":
                time.sleep(0.2)
        while behaviour == "endless":  # until the client has had enough and closes the connection
            self.wfile.write(bytes(16_000))
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing: a client that was killed in the middle is part of the test."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def ranges(server) -> list[str | None]:
    return [asked for _, asked in server.requests]


def test_a_file_arrives_whole_and_only_once(server, tmp_path):
    path, seen = tmp_path / "sub" / "a.bin", []
    fetch(f"{server.url}/ok", SHA, path, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY and os.listdir(path.parent) == ["a.bin"]
    assert seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)
    fetch(f"{server.url}/ok", SHA.upper(), path)
    assert len(server.requests) == 1  # the second call did not touch the network


def test_a_truncated_body_is_resumed(server, tmp_path):
    path = fetch(f"{server.url}/breaks", SHA, tmp_path / "a.bin", pause=0)
    assert path.read_bytes() == BODY
    assert ranges(server) == [None, f"bytes={len(BODY) // 2}-"]


def test_a_body_that_always_breaks_ends_in_a_sentence_and_can_go_on(server, tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(DerainError, match=r"the connection broke after 2\d+ of 256000 bytes"):
        fetch(f"{server.url}/always_breaks", SHA, path, pause=0)
    assert not path.exists()
    kept = (tmp_path / "a.bin.part").stat().st_size
    assert kept == len(BODY) - len(BODY) // 8  # three halves of what was left
    server.requests.clear()
    fetch(f"{server.url}/ok", SHA, path)
    assert ranges(server) == [f"bytes={kept}-"] and path.read_bytes() == BODY


@pytest.mark.parametrize("part", [BODY[:1000], BODY[::-1], BODY + b"more"])
def test_a_server_that_cannot_resume_starts_over(server, tmp_path, part):
    (tmp_path / "a.bin.part").write_bytes(part)
    path = fetch(f"{server.url}/no_range", SHA, tmp_path / "a.bin")
    assert path.read_bytes() == BODY and ranges(server) == [f"bytes={len(part)}-"]


@pytest.mark.parametrize("start", [999, 1001, 100_000_000_000])
def test_a_server_that_answers_with_another_place_makes_no_hole(server, tmp_path, start):
    part = tmp_path / "a.bin.part"
    part.write_bytes(BODY[:1000])
    server.start = start
    message = f"from byte 1000 on, the server sent it from byte {start}"
    with pytest.raises(DerainError, match=message):
        fetch(f"{server.url}/elsewhere", SHA, tmp_path / "a.bin", attempts=1)
    assert not part.exists()
    path = fetch(f"{server.url}/elsewhere", SHA, tmp_path / "a.bin")
    assert path.read_bytes() == BODY and ranges(server) == ["bytes=1000-", None]


def test_a_server_that_does_not_tell_the_length(server, tmp_path):
    assert fetch(f"{server.url}/no_length", SHA, tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("part", [BODY[::-1][:1000], BODY + b"more", BODY[:-1] + b"!"])
def test_a_part_of_something_else_is_thrown_away(server, tmp_path, part):
    (tmp_path / "a.bin.part").write_bytes(part)
    path = fetch(f"{server.url}/ok", SHA, tmp_path / "a.bin", pause=0)
    assert path.read_bytes() == BODY and ranges(server)[-1] is None


def test_a_complete_part_needs_no_network(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert fetch("http://127.0.0.1:9/never", SHA, tmp_path / "a.bin").read_bytes() == BODY


def test_a_wrong_hash_is_deleted_and_explained(server, tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(DerainError, match="wrong sha256.*was deleted.*save it as") as caught:
        fetch(f"{server.url}/wrong", SHA, path, pause=0)
    assert f"{server.url}/wrong" in str(caught.value) and str(path) in str(caught.value)
    assert os.listdir(tmp_path) == [] and len(server.requests) == 1


def test_404_is_final(server, tmp_path):
    with pytest.raises(DerainError, match="404 Not Found.*with a browser and save it as"):
        fetch(f"{server.url}/gone", SHA, tmp_path / "a.bin", pause=0)
    assert len(server.requests) == 1 and os.listdir(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    assert fetch(f"{server.url}/busy", SHA, tmp_path / "a.bin", pause=0).read_bytes() == BODY
    assert len(server.requests) == 2


def test_no_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DerainError, match="no connection.*Check the network and try again"):
        fetch(f"http://127.0.0.1:{port}/a", SHA, tmp_path / "a.bin", pause=0)
    with pytest.raises(DerainError, match="no connection"):
        fetch("no address at all", SHA, tmp_path / "a.bin", attempts=1)


def test_a_server_that_says_nothing(tmp_path, monkeypatch):
    real = fetching.urlopen
    monkeypatch.setattr(fetching, "urlopen", lambda request, timeout: real(request, timeout=0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DerainError, match="no connection.*timed out"):
            fetch(address, SHA, tmp_path / "a.bin", attempts=1)


def test_a_killed_process_leaves_only_a_part_to_go_on_from(server, tmp_path):
    path = tmp_path / "a.bin"
    code = "import sys; from derain_edu.datasets.fetching import fetch; fetch(*sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, f"{server.url}/slow", SHA, str(path)])
    part = tmp_path / "a.bin.part"
    for _ in range(2000):
        if part.exists() and part.stat().st_size > 0:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert os.listdir(tmp_path) == ["a.bin.part"] and 0 < kept < len(BODY)
    fetch(f"{server.url}/ok", SHA, path)
    assert path.read_bytes() == BODY and ranges(server)[-1] == f"bytes={kept}-"


@pytest.mark.parametrize("part", [b"", BODY[:1000]])
def test_a_body_that_never_ends_is_left_at_the_size_of_the_file(server, tmp_path, part):
    (tmp_path / "a.bin.part").write_bytes(part)
    seen = []
    with pytest.raises(DerainError, match="sends more than the 256000 bytes of this file"):
        fetch(
            f"{server.url}/endless", SHA, tmp_path / "a.bin", pause=0, size=len(BODY),
            progress=lambda done, total: seen.append(done),
        )  # fmt: skip
    assert max(seen) < len(BODY) + 2 * fetching._CHUNK and os.listdir(tmp_path) == []


def test_a_set_knows_the_sizes_of_its_files(small_set, server, empty_cache, monkeypatch):
    sizes = []
    real = download.fetch

    def remember(*arguments, **more):
        sizes.append(more["size"])
        return real(*arguments, **more)

    monkeypatch.setattr(download, "fetch", remember)
    download_set("rain100l", say=None)
    assert sizes == [len(BODY)] * 3


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DerainError, match="can't be written.*: choose another cache folder") as no:
        fetch(f"{server.url}/ok", SHA, tmp_path / "file" / "a.bin")
    assert "space" not in str(no.value)  # there is enough of it


def test_a_full_disk_is_told_from_a_missing_right(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DerainError, match="No space left.*: free some space, or choose another"):
        fetch(f"{server.url}/ok", SHA, tmp_path / "a.bin")


def test_a_copy_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DerainError, match="stick.bin can't be read"):
        fetch("", SHA, tmp_path / "a.bin", source=tmp_path / "stick.bin")


# ------------------------------------------------------------------------------ sets and cache


@pytest.fixture
def small_set(monkeypatch, server):
    """A set of three files on the test's own server, in place of rain100l."""
    entries = [
        Entry(file, SHA, len(BODY), f"{server.url}/ok/{file}")
        for file in ("rainy/001.png", "clean/001.png", "rainy/002.png")
    ]
    monkeypatch.setattr(download, "read_manifest", lambda name: entries)
    return entries


def test_a_set_is_downloaded_with_one_notice(small_set, server, empty_cache, capsys):
    assert cached_set("rain100l") is None
    result = download_set("rain100l")
    assert (result.total, result.new, result.missing) == (3, 3, ())
    assert (empty_cache / "rain100l" / "rainy" / "002.png").read_bytes() == BODY
    assert cached_set("rain100l") == empty_cache / "rain100l"
    assert capsys.readouterr().out.count("Research use only") == 1
    server.requests.clear()
    assert download_set("rain100l", say=None).new == 0 and server.requests == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("inside", ["", "rain100l"])
def test_a_folder_instead_of_the_network(small_set, server, empty_cache, tmp_path, inside):
    stick = tmp_path / "stick" / inside / "rainy"
    stick.mkdir(parents=True)
    (stick / "001.png").write_bytes(BODY)
    result = download_set("rain100l", source=tmp_path / "stick", say=None)
    assert result.new == 1 and result.missing == ("clean/001.png", "rainy/002.png")
    assert "1 of 3 files" in str(result) and "no clean/001.png" in str(result)
    assert cached_files("rain100l") == ["rainy/001.png"] and server.requests == []


def test_a_folder_with_a_wrong_file(small_set, empty_cache, tmp_path):
    (tmp_path / "rainy").mkdir()
    (tmp_path / "rainy" / "001.png").write_bytes(BODY[1:])
    with pytest.raises(DerainError, match=r"001\.png is not the expected file.*sha256"):
        download_set("rain100l", source=tmp_path, say=None)
    assert cached_set("rain100l") is None
    left = {path.name for path in empty_cache.rglob("*") if path.is_file()}
    assert left <= {".lock"}


def test_a_second_download_of_a_set_gets_a_sentence(small_set, server, empty_cache):
    with (
        reserved(empty_cache / "rain100l", "a download of rain100l"),
        pytest.raises(DerainError, match="a download of rain100l is going on in"),
    ):
        download_set("rain100l", say=None)
    assert server.requests == []


def test_a_complete_set_needs_no_lock(small_set, empty_cache):
    """A class may share a cache that it can only read."""
    download_set("rain100l", say=None)
    with reserved(empty_cache / "rain100l", "a download of rain100l"):
        assert download_set("rain100l", say=None).new == 0


def test_a_folder_with_nothing_or_no_folder(small_set, empty_cache, tmp_path):
    with pytest.raises(DerainError, match="holds none of the 3 files of rain100l"):
        download_set("rain100l", source=tmp_path, say=None)
    with pytest.raises(DerainError, match="is not a folder"):
        download_set("rain100l", source=tmp_path / "nothing", say=None)


def test_manifests_are_complete_and_safe():
    assert [len(read_manifest(name)) for name in SETS] == [200, 200, 1, 19]
    for name in SETS:
        for entry in read_manifest(name):
            assert entry.url.startswith("https://") and " " not in entry.url
            assert len(bytes.fromhex(entry.sha256)) == 32 and entry.bytes > 0
            assert ".." not in entry.file and not entry.file.startswith("/")
    for name in ("rain100l", "rain100h"):
        files = {entry.file for entry in read_manifest(name)}
        assert files == {f"{kind}/{k:03}.png" for kind in ("rainy", "clean") for k in range(1, 101)}
    with pytest.raises(DerainError, match="unknown set 'rain12'.*rain100l"):
        read_manifest("rain12")


def test_every_official_weight_that_the_models_name_is_in_the_manifest():
    from derain_edu.models.pretrained import OFFICIAL

    files = {entry.file for entry in read_manifest("official-weights")}
    assert {file for file, _ in OFFICIAL.values()} <= files


def test_weights_that_are_not_there_come_with_the_command(empty_cache):
    with pytest.raises(DerainError, match="derain-edu download official-weights"):
        official_weight_path("prenet_rain100l.pth")


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("DERAIN_EDU_CACHE", "~/somewhere")
    assert cache_folder().is_absolute() and cache_folder().name == "somewhere"
    monkeypatch.delenv("DERAIN_EDU_CACHE")
    assert "derain_edu" in cache_folder().parts


def test_without_a_home_folder_the_cache_needs_a_place(no_home, monkeypatch, tmp_path):
    monkeypatch.delenv("DERAIN_EDU_CACHE")
    with pytest.raises(DerainError, match="no home folder.*set DERAIN_EDU_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("DERAIN_EDU_CACHE", "~/cache")
    with pytest.raises(DerainError, match="set DERAIN_EDU_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_the_reference_folder_fills_the_cache(filled_cache):
    assert len(cached_files("rain100l")) == len(cached_files("rain100h")) == 40
    assert len(cached_files("official-weights")) == 15 and cached_files("real-clip") == ["yard.mp4"]
    assert official_weight_path("prn_rain100h.pth").parent == filled_cache / "official-weights"
