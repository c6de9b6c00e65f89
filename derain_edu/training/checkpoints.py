"""What makes it safe to stop a training run at any moment, and to go on later.

Three things are needed, and each is a few lines here:

1. **A file that is whole or absent.** :func:`save_checkpoint` writes to a temporary name, forces
   the bytes onto the disk, and only then renames. Renaming is atomic: whoever looks at the final
   name, even after a power cut, sees the old file or the new one and never half of one.
2. **Everything that the next step depends on.** Weights are not enough: Adam's moments, the step
   number and the state of every random number generator (:func:`random_state`) belong to it. The
   released code of PReNet stores the weights only, so its resumed runs are other runs.
3. **A stop between two steps, not inside one.** :func:`stop_requests` turns Ctrl-C into a note
   that the training loop reads when a step is complete. Whatever else ends a run between two
   steps, such as a damaged picture, :meth:`RunFolder.saving_at_the_end` saves it first.

:class:`RunFolder` is where it all lies: ``log.csv``, ``last.pt`` (to go on), ``best.pt`` (the
best validation so far) and ``model.safetensors`` (the weights, when the run is finished). One run
at a time works there, and a file of these names that is somebody else's is not replaced.

Files are read with ``weights_only=True``: a checkpoint from a stranger can't run code.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from derain_edu.datasets.pairs import PairedFolder
from derain_edu.errors import DerainError
from derain_edu.files import reserved, write_atomically

FILES = ("log.csv", "last.pt", "best.pt", "model.safetensors")
# of last.pt, among others
KEYS = {"config", "data", "model", "ema", "optimizer", "step", "seconds", "log", "random"}
COLUMNS = ("step", "samples", "minutes", "loss", "lr", "grad_norm", "validation_psnr")
# Settings that leave every number of a run as it is (to rounding, where the device changes)
FREE_TO_CHANGE = ("out", "device", "workers", "save_every")


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint: nested dicts, lists and tuples of tensors, numbers and strings."""
    buffer = BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, onto the CPU.

    Raises
    ------
    DerainError
        If the file is damaged, or no checkpoint of a training run.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, KeyError, OSError) as error:
        raise DerainError(
            f"{path} can't be read: move it away and start again, or resume from a copy"
        ) from error
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise DerainError(
            f"{path} is not a checkpoint of a training run of this program: give another file, or "
            "choose another out folder"
        )
    return content


def random_state() -> dict[str, Any]:
    """Return the state of every random number generator: Python, NumPy, PyTorch, CUDA."""
    name, keys, position, has_normal, normal = np.random.get_state()
    return {
        "python": random.getstate(),
        # An array is not allowed in a file that is safe to load; a tensor is.
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), position, has_normal, normal),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put every generator back to where :func:`random_state` found it."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():  # another machine may have other GPUs
        torch.cuda.set_rng_state_all(state["cuda"])


def fingerprint(picture: Tensor) -> str:
    """Return a short hash of a picture's numbers, to notice that data have changed."""
    return hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()[:16]


def data_fingerprint(data: Any) -> str:
    """Return a short hash of a training stream.

    It covers the files of a :class:`~derain_edu.datasets.pairs.PairedFolder`. Of other data, the
    first rainy picture stands for all.
    """
    pairs = getattr(data, "pairs", None)
    return pairs.fingerprint() if isinstance(pairs, PairedFolder) else fingerprint(data[0]["rainy"])


def check_same_run(stored: dict[str, Any], current: dict[str, Any]) -> None:
    """Compare the state of a stored run with one that wants to go on from it.

    Raises
    ------
    DerainError
        If another configuration or other data would make it another run. Where and how often
        it is stored, and on which device it is computed, may change.
    """
    where = stored["config"]["out"]
    advice = "choose another out folder, or start over with resume='never'"
    for name, now in current["config"].items():
        before = stored["config"].get(name)
        if name not in FREE_TO_CHANGE and before != now:
            raise DerainError(f"{where} holds a run with {name}={before!r}, not {now!r}: {advice}")
    if stored["data"] != current["data"]:
        raise DerainError(
            f"{where} holds a run on other data (pictures were added, removed or changed): {advice}"
        )


class RunFolder:
    """The files of one training run. Without a path, nothing is written."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._reserved = False
        self._log_is_whole = False  # whether log.csv holds all rows but the newest

    def check(self) -> None:
        """Refuse to replace a file that has one of our names, but was written by others.

        Raises
        ------
        DerainError
            If there is one.
        """
        for name in FILES if self.path is not None else ():
            file = self.path / name
            if name.endswith(".pt") and file.exists():
                load_checkpoint(file)
            elif file.exists() and not _is_ours(file):
                raise DerainError(
                    f"{file} was not written by a training run, and would be replaced: choose "
                    "another out folder, or move the file away"
                )

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Be the only training run in this folder, until the block ends.

        Raises
        ------
        DerainError
            At once, if another run is at work there, or if the folder can't be written.
        """
        if self.path is None or self._reserved:
            yield
            return
        lock = reserved(self.path, "a training run")
        with _explained(self.path):
            lock.__enter__()
        self._reserved = True
        try:
            yield
        finally:
            self._reserved = False
            lock.__exit__(None, None, None)

    def save(self, name: str, state: Callable[[], dict[str, Any]]) -> None:
        """Write ``state()`` as the checkpoint ``name``.

        Raises
        ------
        DerainError
            If that fails, for example on a full disk.
        """
        if self.path is not None:
            with _explained(self.path):
                save_checkpoint(state(), self.path / name)

    def try_to_save(self, name: str, state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint if possible. If not, warn: there is time to make room."""
        try:
            self.save(name, state)
        except DerainError as error:
            _warn(f"{name} was not saved: {error}; the training goes on")

    @contextmanager
    def saving_at_the_end(
        self, state: Callable[[], dict[str, Any]], is_whole: Callable[[], bool]
    ) -> Iterator[None]:
        """Save ``last.pt`` when the block ends, also when an error or Ctrl-C ends it.

        Parameters
        ----------
        state : callable
            Returns the content of the checkpoint.
        is_whole : callable
            Whether the run is between two steps. Inside one, the older checkpoint stays.
        """
        try:
            yield
            self.save("last.pt", state)
        except BaseException as error:
            if not is_whole():
                raise
            where = self._save_somewhere(state)
            if isinstance(error, (DerainError, KeyboardInterrupt)):
                raise type(error)(f"{error}; {where}") from error
            _warn(where)
            raise

    def _save_somewhere(self, state: Callable[[], dict[str, Any]]) -> str:
        """Save ``last.pt``, in another place if its own is full; say in words where it is."""
        try:
            self.save("last.pt", state)
        except DerainError:
            try:
                other = Path(tempfile.mkdtemp(prefix="derain-edu-")) / "last.pt"
                save_checkpoint(state(), other)
            except OSError:
                return self.last_good()
            return f"the run is saved in {other}: move this file to {self.path} to go on from it"
        return self.last_good()

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the checkpoint ``name``, or None where there is none."""
        if self.path is None or not (self.path / name).exists():
            return None
        return load_checkpoint(self.path / name)

    def last_good(self) -> str:
        """Say in words where the last checkpoint lies."""
        if self.path is None:
            return "nothing was saved (out=None)"
        return f"the last good checkpoint is {self.path / 'last.pt'}"

    def clear(self) -> None:
        """Remove the files of an earlier run."""
        for name in FILES if self.path is not None else ():
            (self.path / name).unlink(missing_ok=True)

    def write_log(self, rows: list[dict[str, Any]]) -> None:
        """Write the whole log anew: a killed run may have logged steps that are not saved."""
        if self.path is not None:
            text = ",".join(COLUMNS) + "\n" + "".join(_csv_line(row) for row in rows)
            with _explained(self.path):
                write_atomically(self.path / "log.csv", text.encode())
            self._log_is_whole = True

    def append_log(self, rows: list[dict[str, Any]]) -> None:
        """Add the newest row to the log; after a failure, all of them."""
        if self.path is None:
            return
        try:
            if not self._log_is_whole:
                return self.write_log(rows)
            self._log_is_whole = False
            with _explained(self.path), open(self.path / "log.csv", "a", encoding="utf-8") as file:
                file.write(_csv_line(rows[-1]))
            self._log_is_whole = True
        except DerainError as error:
            _warn(f"log.csv was not written: {error}; the training goes on")

    def export(self, state: dict[str, Tensor], model: str, options: dict[str, Any]) -> None:
        """Write the weights alone, with what :func:`derain_edu.create_model` needs to know.

        The metadata of ``model.safetensors`` hold ``model``, the name, and ``options``, as JSON.
        """
        if self.path is None:
            return
        tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        metadata = {"model": model, "options": json.dumps(options)}
        content = safetensors.torch.save(tensors, metadata)
        with _explained(self.path):
            write_atomically(self.path / "model.safetensors", content)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say in a sentence that the folder can't be written, and why."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DerainError(
            f"can't write to {folder} ({reason}): make room there, or choose another out folder"
        ) from error


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)


def _is_ours(file: Path) -> bool:
    """Whether a training run wrote this log or these weights. An empty file is nobody's."""
    if file.is_dir():
        return False
    if file.stat().st_size == 0:
        return True
    if file.suffix == ".csv":
        with open(file, "rb") as opened:
            return opened.readline().rstrip() == ",".join(COLUMNS).encode()
    try:
        with safe_open(file, framework="pt") as opened:
            return {"model", "options"} <= (opened.metadata() or {}).keys()
    except (SafetensorError, OSError):
        return False


def _csv_line(row: dict[str, Any]) -> str:
    cells = ["" if row[name] is None else f"{row[name]:.7g}" for name in COLUMNS]
    return ",".join(cells) + "\n"


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list, so that a loop can stop where it is safe.

    A second request raises KeyboardInterrupt at once, for those who can't wait. Outside the main
    thread, where Python delivers no signals, the list stays empty.

    Examples
    --------
    >>> with stop_requests() as requests:
    ...     for step in range(3):
    ...         if requests:
    ...             break
    """
    requests: list[int] = []

    def note(number: int, frame: Any) -> None:
        if requests:
            raise KeyboardInterrupt
        requests.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
