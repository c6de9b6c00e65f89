"""The pictures of the README, drawn by the project itself: ``derain-edu pictures``.

Only what is in the repository is used: a photo of the test split, this project's rain, and its
open weights. So the pictures always show what a newcomer gets.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import (
    derained_row,
    draw_map,
    draw_picture,
    figure_png,
    new_figure,
    picture_row,
)
from derain_edu.datasets.photos import load_photo
from derain_edu.files import data_folder, write_atomically
from derain_edu.map_scores import auc
from derain_edu.metrics import psnr
from derain_edu.models import create_model
from derain_edu.rain.synthesis import add_rain

PHOTO, RAIN, SEED, LONG_SIDE = "picosdeeuropa", "light", 1, 420


@torch.no_grad()
def readme_pictures(folder: Path | None = None) -> list[Path]:
    """Draw ``derained.png`` (rainy | derained | clean | error), ``stages.png``, ``attention.png``.

    Parameters
    ----------
    folder : Path, optional
        Where to write them. Default: ``data/results/pictures``.

    Returns
    -------
    list of Path
        The files.
    """
    folder = folder or data_folder() / "results" / "pictures"
    clean = load_photo(PHOTO, LONG_SIDE)
    rain = add_rain(clean, RAIN, seed=SEED)
    rainy = rain.rainy
    stages = [x[0] for x in create_model("prenet", pretrained="open").unroll(rainy[None])]
    names = {f"stage {t}: {psnr(x, clean):.2f} dB": x for t, x in enumerate(stages, 1)}
    figures = {
        "derained.png": derained_row(rainy, stages[-1], clean),
        "stages.png": picture_row({f"rainy: {psnr(rainy, clean):.2f} dB": rainy, **names}, 12),
        "attention.png": _attention(rainy, rain.mask),
    }
    for name, figure in figures.items():
        write_atomically(folder / name, figure_png(figure))
    return [folder / name for name in figures]


def _attention(rainy: Tensor, mask: Tensor) -> Figure:
    """Draw rainy (3, H, W), where the rain is, and where SPANet's first map says it is."""
    _, maps = create_model("spanet", pretrained="open").attend(rainy[None])  # (1, 4, H, W)
    figure, axes = new_figure(1, 3, width=12, height=3.2)
    draw_picture(axes[0, 0], rainy, "rainy")
    draw_picture(axes[0, 1], mask.float(), "true mask")
    draw_map(axes[0, 2], maps[0, 0], f"SPANet's map, AUC {auc(maps[0, 0], mask[0]):.2f}", 0, 1)
    return figure
