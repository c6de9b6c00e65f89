"""Real data sets: folders of pairs of a rainy and a clean picture, as their authors ship them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from derain_edu.errors import DerainError
from derain_edu.images import to_tensor

Pair = tuple[Path, Path]  # the files of the rainy and of the clean picture


PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def folder_unless_named(data: str, names: Sequence[str]) -> Path | None:
    """Return the folder that ``data`` means, or None where it is one of ``names``.

    Raises
    ------
    DerainError
        If it is neither.
    """
    if data in names:
        return None
    if not Path(data).is_dir():
        choices = ", ".join(names)
        raise DerainError(f"--data {data!r} is neither {choices} nor a folder: check the name")
    return Path(data)


class PairedFolder(Dataset):
    """The pairs of a real data set.

    Parameters
    ----------
    root : path
        The folder as its authors ship it.
    layout : str
        One of :data:`LAYOUTS`:

        - ``plain``: ``rainy/`` and ``clean/`` with equal names
        - ``rain100l``, ``rain100h``: ``plain``, or ``rain-001.png`` (also under ``rainy/``)
          beside ``norain-001.png``
        - ``rain12``: ``rainy/`` and ``groundtruth/``, or ``001_in.png`` beside ``001_GT.png``
        - ``rain1400``: ``rainy_image/7_3.jpg`` (scene 7, rain 3) and ``ground_truth/7.jpg``
        - ``rain800``: one file per pair, clean on the left and rainy on the right
        - ``spa``: a list file (``*.txt``) with the two paths of a pair on each line

    Raises
    ------
    DerainError
        At once if the folder or a file of a pair is missing; on access if a file is unreadable or
        the two pictures differ in size. The message names the files.

    Notes
    -----
    ``data[i]`` is a dict of ``rainy`` and ``clean``, (3, H, W) float32 in [0, 1], and ``name``.
    """

    def __init__(self, root: str | Path, layout: str = "plain") -> None:
        self.root, self.layout = Path(root), layout
        if layout not in _FINDERS:
            raise DerainError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
        if not self.root.is_dir():
            raise DerainError(f"{self.root} is not a folder: download or unpack the data set first")
        self.pairs = _FINDERS[layout](self.root)
        if not self.pairs:
            raise DerainError(f"{self.root} holds no pairs in the layout {layout!r}")
        missing = [str(file) for pair in self.pairs for file in pair if not file.is_file()]
        if missing:
            raise DerainError(
                f"{len(missing)} files of {self.root} have no partner: {', '.join(missing[:3])} "
                "missing; download the data set again or remove the other half of each pair"
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rainy_file, clean_file = self.pairs[index]
        if rainy_file == clean_file:
            rainy, clean = _split_in_halves(rainy_file)
        else:
            rainy, clean = to_tensor(rainy_file), to_tensor(clean_file)
        if rainy.shape != clean.shape:
            raise DerainError(
                f"{rainy_file} is {rainy.shape[-1]}×{rainy.shape[-2]} pixels, but {clean_file} is "
                f"{clean.shape[-1]}×{clean.shape[-2]}: the two do not belong together"
            )
        return {"rainy": rainy, "clean": clean, "name": rainy_file.stem}


def _split_in_halves(file: Path) -> tuple[Tensor, Tensor]:
    both = to_tensor(file)  # (3, H, 2W)
    width = both.shape[-1]
    if width % 2:
        raise DerainError(f"{file} is {width} pixels wide, so it can't hold two equal halves")
    clean, rainy = both.chunk(2, dim=-1)
    return rainy.contiguous(), clean.contiguous()


def _pictures(folder: Path, pattern: str = ".*") -> list[Path]:
    """Return the pictures of a folder whose stem matches, in natural order (2 before 10)."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.suffix.lower() in PICTURES]
    found = [f for f in found if re.fullmatch(pattern, f.stem)]
    return sorted(found, key=lambda f: [int(n) for n in re.findall(r"\d+", f.stem)] + [f.stem])


def _same_names(rainy: Path, clean: Path) -> list[Pair]:
    """Pair two folders by file name; a file on either side needs a partner on the other."""
    names = {file.name: None for file in [*_pictures(rainy), *_pictures(clean)]}
    return [(rainy / name, clean / name) for name in names]


def _find_plain(root: Path) -> list[Pair]:
    return _same_names(root / "rainy", root / "clean")


def _find_rain100(root: Path) -> list[Pair]:
    if (root / "clean").is_dir():
        return _find_plain(root)
    folder = root / "rainy" if (root / "rainy").is_dir() else root
    return [
        (file, root / f"no{file.name}") for file in _pictures(folder, r"rain-\d+")
    ]


def _find_rain12(root: Path) -> list[Pair]:
    if (root / "groundtruth").is_dir():
        return _same_names(root / "rainy", root / "groundtruth")
    rainy = _pictures(root, r"\d+_in")
    return [(file, file.with_name(file.name.replace("_in", "_GT"))) for file in rainy]


def _find_rain1400(root: Path) -> list[Pair]:
    rainy = _pictures(root / "rainy_image", r"\d+_\d+")
    clean = root / "ground_truth"
    return [(file, clean / f"{file.stem.split('_')[0]}{file.suffix}") for file in rainy]


def _find_rain800(root: Path) -> list[Pair]:
    return [(file, file) for file in _pictures(root)]


def _find_spa(root: Path) -> list[Pair]:
    pairs = []
    for listing in sorted(root.glob("*.txt")):
        for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
            names = line.split()
            if not names:
                continue
            if len(names) != 2:
                raise DerainError(
                    f"{listing}, line {number}: expected the paths of a rainy and a clean picture"
                )
            rainy, clean = (root / name.lstrip("/") for name in names)
            pairs.append((rainy, clean))
    return pairs


_FINDERS: dict[str, Callable[[Path], list[Pair]]] = {
    "plain": _find_plain,
    "rain100l": _find_rain100,
    "rain100h": _find_rain100,
    "rain12": _find_rain12,
    "rain1400": _find_rain1400,
    "rain800": _find_rain800,
    "spa": _find_spa,
}


LAYOUTS = tuple(_FINDERS)
