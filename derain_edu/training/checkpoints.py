"""What makes it safe to stop a training run at any moment, and to go on later.

Three things are needed, and each is a few lines here:

1. **A file that is whole or absent.** :func:`save_checkpoint` writes to a temporary name, forces
   the bytes onto the disk, and only then renames. Renaming is atomic: whoever looks at the final
   name, even after a power cut, sees the old file or the new one and never half of one.
2. **Everything that the next step depends on.** Weights are not enough: Adam's moments, the step
   number and the state of every random number generator (:func:`random_state`) belong to it. The
   released code of PReNet stores the weights only, so its resumed runs are other runs.
3. **A stop between two steps, not inside one.** :func:`stop_requests` turns Ctrl-C into a note
   that the training loop reads when a step is complete.

:class:`RunFolder` is where it all lies: ``log.csv``, ``last.pt`` (to go on), ``best.pt`` (the
best validation so far) and ``model.safetensors`` (the weights, when the run is finished).

Files are read with ``weights_only=True``: a checkpoint from a stranger can't run code.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.files import write_atomically

FILES = ("log.csv", "last.pt", "best.pt", "model.safetensors")
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
    if not isinstance(content, dict) or not {"model", "optimizer", "step"} <= content.keys():
        raise DerainError(f"{path} is not a checkpoint of a training run: give another file")
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
        raise DerainError(f"{where} holds a run on other data (sample 0 differs): {advice}")


class RunFolder:
    """The files of one training run. Without a path, nothing is written."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)

    def save(self, name: str, state: Callable[[], dict[str, Any]]) -> None:
        """Write ``state()`` as the checkpoint ``name``."""
        if self.path is not None:
            save_checkpoint(state(), self.path / name)

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
        if self.path is None:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            text = ",".join(COLUMNS) + "\n" + "".join(_csv_line(row) for row in rows)
            write_atomically(self.path / "log.csv", text.encode())
        except OSError as error:
            raise DerainError(f"can't write to {self.path} ({error.strerror})") from error

    def append_log(self, row: dict[str, Any]) -> None:
        """Add one row to the log."""
        if self.path is not None:
            with open(self.path / "log.csv", "a", encoding="utf-8") as file:
                file.write(_csv_line(row))

    def export(self, state: dict[str, Tensor], model: str, options: dict[str, Any]) -> None:
        """Write the weights alone, with what :func:`derain_edu.create_model` needs to know.

        The metadata of ``model.safetensors`` hold ``model``, the name, and ``options``, as JSON.
        """
        if self.path is None:
            return
        tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        metadata = {"model": model, "options": json.dumps(options)}
        content = safetensors.torch.save(tensors, metadata)
        write_atomically(self.path / "model.safetensors", content)


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
