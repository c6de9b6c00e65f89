"""Real data sets: folders of pairs of a rainy and a clean picture, as their authors ship them."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from derain_edu.errors import DerainError
from derain_edu.files import file_hash
from derain_edu.images import to_tensor
from derain_edu.text import bars_are_off

Pair = tuple[Path, Path]  # the files of the rainy and of the clean picture


PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_HASHED = 16  # pairs whose content is part of a fingerprint
_CHECKED = 1000  # pairs that check_pairs reads: about 20 s for those of Rain100L's size


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

        - ``plain``, ``rain100l``, ``rain100h``: ``rainy/`` and ``clean/`` with equal names (or
          ``rain-001.png`` and ``norain-001.png``), or ``rain-001.png``, also under ``rainy/``,
          beside ``norain-001.png``
        - ``rain12``: ``rainy/`` and ``groundtruth/``, or ``001_in.png`` beside ``001_GT.png``
        - ``rain1400``: ``rainy_image/7_3.jpg`` (scene 7, rain 3) and ``ground_truth/7.jpg``
        - ``rain800``: one file per pair, clean on the left and rainy on the right
        - ``spa``: a list file (``*.txt``) with the two paths of a pair on each line

        Upper and lower case don't matter. The two pictures of a pair may have different formats
        (``a.jpg`` and ``a.png``), of PNG, JPEG, BMP, GIF, WebP and TIFF.

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
            known = "; ".join(f"{name}: {what}" for name, what in _DESCRIPTIONS.items())
            raise DerainError(
                f"{self.root} holds no pairs in the layout {layout!r}: arrange it so, or choose "
                f"another layout ({known})"
            )
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

    def fingerprint(self) -> str:
        """Return a short hash that differs when files were added, removed, renamed or changed.

        It is made of all names and sizes, and of the content of some files. It stays the same
        when the folder is copied or moved, so times are no part of it.
        """
        digest = hashlib.sha256()
        for file in dict.fromkeys(file for pair in self.pairs for file in pair):
            name = file.relative_to(self.root).as_posix()
            digest.update(f"{name} {file.stat().st_size}\n".encode())
        for index in _spread(len(self), _HASHED):
            digest.update("".join(file_hash(file) for file in self.pairs[index]).encode())
        return digest.hexdigest()[:16]


def check_pairs(read: Callable[[int], Any], count: int) -> None:
    """Read pairs before a long work on them, so that a damaged picture is found now.

    Parameters
    ----------
    read : callable
        Reads the pair with the number that it is given, and raises DerainError if it can't.
    count : int
        How many pairs there are. Of more than 1,000, so many are read, evenly spread.

    Raises
    ------
    DerainError
        If there are bad pairs. It says how many, and what is wrong with the first.
    """
    faults, chosen = [], _spread(count, _CHECKED)
    bar = tqdm(chosen, desc="checking the pictures", unit="pair", delay=1, disable=bars_are_off())
    for index in bar:
        try:
            read(index)
        except DerainError as error:
            faults.append(str(error))
    if faults:
        first = "" if len(faults) == 1 else "the first: "
        raise DerainError(f"{len(faults)} of {len(chosen)} pairs can't be used: {first}{faults[0]}")


def _spread(count: int, most: int) -> Sequence[int]:
    """Return all indices, or ``most`` of them, evenly spread from the first to the last."""
    if count <= most:
        return range(count)
    return [k * (count - 1) // (most - 1) for k in range(most)]


def _split_in_halves(file: Path) -> tuple[Tensor, Tensor]:
    both = to_tensor(file)  # (3, H, 2W)
    width = both.shape[-1]
    if width % 2:
        raise DerainError(f"{file} is {width} pixels wide, so it can't hold two equal halves")
    clean, rainy = both.chunk(2, dim=-1)
    return rainy.contiguous(), clean.contiguous()


def pictures_of(folder: Path, pattern: str = ".*") -> list[Path]:
    """Return the pictures of a folder whose stem matches, in natural order (2 before 10)."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.suffix.lower() in PICTURES and f.name[0] != "."]
    found = [f for f in found if re.fullmatch(pattern, f.stem, re.IGNORECASE)]
    return sorted(found, key=_natural)


def _natural(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", file.stem)  # text and numbers take turns, beginning with text
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], file.suffix


def _folder(root: Path, name: str) -> Path:
    """Return a folder of ``root``, whose name may be written in other letter case."""
    there = [f for f in root.iterdir() if f.name.lower() == name and f.is_dir()]
    return min(there, key=lambda f: f.name != name, default=root / name)


def _matched(rainy: Sequence[Path], clean: Path, name_of: Callable[[Path], str]) -> list[Pair]:
    """Pair each rainy picture with the one of the folder ``clean`` that ``name_of`` gives.

    If no file has just this name, suffix and letter case may differ. Where there is none at all,
    the path is that of the missing file.
    """
    alike: dict[str, list[Path]] = {}
    for file in pictures_of(clean):
        alike.setdefault(file.stem.lower(), []).append(file)
    pairs = []
    for file in rainy:
        wanted = clean / name_of(file)
        there = alike.get(wanted.stem.lower(), [])
        pairs.append((file, there[0] if len(there) == 1 else wanted))
    return pairs


def _same_names(rainy: Path, clean: Path) -> list[Pair]:
    """Pair two folders by file name; a file on either side needs a partner on the other."""
    found = _matched(pictures_of(rainy), clean, lambda file: file.name)
    used = {file for _, file in found}
    left = [file for file in pictures_of(clean) if file not in used]
    return found + [(rainy / file.name, file) for file in left]


def _without_rain(file: Path) -> str:
    """``norain-001.png`` is the partner of ``rain-001.png``."""
    return f"no{file.name}"


def _find_plain(root: Path) -> list[Pair]:
    rainy, clean = _folder(root, "rainy"), _folder(root, "clean")
    pattern = r"rain-\d+"
    if not clean.is_dir():
        there = pictures_of(rainy if rainy.is_dir() else root, pattern)
        return _matched(there, root, _without_rain)
    if pictures_of(clean, f"no{pattern}"):
        return _matched(pictures_of(rainy, pattern), clean, _without_rain)
    return _same_names(rainy, clean)


def _find_rain12(root: Path) -> list[Pair]:
    clean = _folder(root, "groundtruth")
    if clean.is_dir():
        return _same_names(_folder(root, "rainy"), clean)
    return _matched(pictures_of(root, r"\d+_in"), root, lambda f: f"{f.stem[:-3]}_GT{f.suffix}")


def _find_rain1400(root: Path) -> list[Pair]:
    rainy = pictures_of(_folder(root, "rainy_image"), r"\d+_\d+")
    clean = _folder(root, "ground_truth")
    return _matched(rainy, clean, lambda f: f"{f.stem.split('_')[0]}{f.suffix}")


def _find_rain800(root: Path) -> list[Pair]:
    return [(file, file) for file in pictures_of(root)]


def _find_spa(root: Path) -> list[Pair]:
    pairs = []
    for listing in sorted(root.glob("*.txt")):
        for number, line in enumerate(_lines(listing), 1):
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


def _lines(listing: Path) -> list[str]:
    """Read a text file in UTF-8 or, as some Windows programs save it, in UTF-16."""
    content = listing.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DerainError(f"{listing} is not a text in UTF-8: save it in this encoding") from error


_FINDERS: dict[str, Callable[[Path], list[Pair]]] = {
    "plain": _find_plain,
    "rain100l": _find_plain,
    "rain100h": _find_plain,
    "rain12": _find_rain12,
    "rain1400": _find_rain1400,
    "rain800": _find_rain800,
    "spa": _find_spa,
}
_DESCRIPTIONS = {
    "plain, rain100l, rain100h": "rainy/ and clean/ with equal names, or rain-001.png beside "
    "norain-001.png",
    "rain12": "rainy/ and groundtruth/, or 001_in.png beside 001_GT.png",
    "rain1400": "rainy_image/7_3.jpg and ground_truth/7.jpg",
    "rain800": "one file per pair, clean on the left",
    "spa": "a list *.txt of two paths per line",
}


LAYOUTS = tuple(_FINDERS)
