"""Fetch one file by its address and its sha256.

A download grows in ``NAME.part``, goes on there after an interruption (the HTTP header ``Range``
asks for the rest only), and gets its name when the hash matches, not before. So whatever stops the
program, a file with the right name is complete and the right one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from derain_edu.errors import DerainError
from derain_edu.files import is_right, write_atomically

_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers that may be better next time
_CHUNK = 1 << 16  # bytes


def fetch(
    url: str,
    sha256: str,
    path: str | Path,
    source: str | Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    attempts: int = 3,
    pause: float = 1.0,
    size: int | None = None,
) -> Path:
    """Make sure that ``path`` is the file with this sha256.

    Parameters
    ----------
    url : str
        Where to download it from, unless it is already there.
    sha256 : str
        64 hexadecimal digits.
    path : path
        Where it goes. Until it is complete and verified, it is ``path`` + ``.part``; an
        interrupted download goes on there.
    source : path, optional
        A local copy to take instead of the network.
    progress : callable, optional
        Called with (bytes so far, bytes in all or None) after each piece.
    attempts : int
        How often to try before giving up on a broken connection.
    pause : float
        Seconds before the second attempt; doubles with each further one.
    size : int, optional
        How many bytes the file has, if that is known: no more are taken.

    Returns
    -------
    Path

    Raises
    ------
    DerainError
        If the file can't be had or has another hash.
    """
    path = Path(path)
    if is_right(path, sha256):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            return _copy(Path(source), sha256, path)
        part = path.with_name(path.name + ".part")
        _receive_all(url, sha256, path, part, progress, attempts, pause, size)
        os.replace(part, path)
    except OSError as error:  # a full disk, a folder without write permission
        raise DerainError(not_written(path, error)) from error
    return path


def not_written(path: Path, error: OSError) -> str:
    """Say in one sentence why something could not be written into the cache."""
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))  # no quota on Windows
    advice = "free some space, or choose" if full else "choose"
    return (
        f"{path} can't be written ({error.strerror or error}): {advice} another cache folder with "
        "DERAIN_EDU_CACHE"
    )


def _receive_all(
    url: str,
    sha256: str,
    path: Path,
    part: Path,
    progress: Callable[[int, int | None], None] | None,
    attempts: int,
    pause: float,
    size: int | None,
) -> None:
    """Fill ``part`` until it is the right file; go on where an earlier try stopped."""
    problem = "no attempt was made"
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        resumed = part.exists()
        if is_right(part, sha256):
            return
        try:
            problem = _receive(url, part, progress, size)
        except HTTPError as error:
            problem = f"the server answers {error.code} {error.reason}"
            if error.code == 416:  # asked for a piece behind the end: our part is not a part of it
                part.unlink(missing_ok=True)
            elif error.code not in _TRY_AGAIN:
                break
        except _NetworkError as error:
            problem = str(error)
        if problem:
            continue
        if is_right(part, sha256):
            return
        part.unlink()
        problem = "what came is not the expected file (wrong sha256) and was deleted"
        if not resumed:  # all of it came in one go, so asking again gives the same
            break
    raise DerainError(
        f"can't download {url}: {problem}. Check the network and try again (it goes on where it "
        f"stopped), or get this address with a browser and save it as {path}"
    )


class _NetworkError(Exception):
    """The connection failed, as opposed to the disk."""


def _receive(
    url: str,
    part: Path,
    progress: Callable[[int, int | None], None] | None,
    most: int | None,
) -> str:
    """Append what ``part`` lacks; return what went wrong, or '' if nothing did."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "derain-edu"} | ({"Range": f"bytes={have}-"} if have else {})
    with _ask(url, headers) as response:
        start, total = _place(response, have)
        if start not in (0, have):  # writing there would leave a hole, as long as the server says
            part.unlink(missing_ok=True)  # the next attempt asks for the whole file
            return f"asked for the file from byte {have} on, the server sent it from byte {start}"
        with open(part, "r+b" if have else "wb") as file:
            file.seek(start)  # 0 when the server does not know how to resume
            file.truncate()
            size = start
            while (piece := _next_piece(response)) and (most is None or size <= most):
                size += file.write(piece)
                if progress:
                    progress(size, total)
    if most is not None and size > most:  # it may never end
        part.unlink()
        return f"the server sends more than the {most} bytes of this file"
    if total is not None and size < total:
        return f"the connection broke after {size} of {total} bytes"
    return ""


def _ask(url: str, headers: dict[str, str]) -> HTTPResponse:
    try:
        return urlopen(Request(url, headers=headers), timeout=30)
    except HTTPError:
        raise
    except URLError as error:
        raise _NetworkError(f"no connection ({error.reason})") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _NetworkError(f"no connection ({error})") from error


def _next_piece(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise _NetworkError(f"the connection broke ({error})") from error


def _place(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where in the file the answer starts, and how long the whole file is, if known."""
    if response.status == 206:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match:
            return int(match[1]), None if match[2] == "*" else int(match[2])
        return have, None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy(source: Path, sha256: str, path: Path) -> Path:
    """Copy and verify; the largest of these files has some megabytes."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DerainError(
            f"{source} can't be read ({error.strerror or error}): check its rights and the disk"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256.lower():
        raise DerainError(
            f"{source} is not the expected file (its sha256 differs): take another copy, or "
            "download without --source"
        )
    write_atomically(path, content)
    return path
