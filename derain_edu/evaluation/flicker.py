r"""A score without a truth: by how much a still scene flickers, before and after deraining.

Where the camera stands still and only the rain moves, each pixel of a clean video would keep its
value. So the variance of a pixel over time is what rain (and the camera's noise) adds. With the
frame t of N frames, in luma y_t, and its mean over time ȳ::

    variance = Σ (y_t − ȳ)² / (N − 1)        at each pixel
    flicker  = √(mean of the variance over a kind of place), in units of 1/255

Each frame is derained by itself. On *flat* places flicker that stays is rain that was left. On
*detail* flicker may even grow: there the network takes an edge for rain in one frame and leaves
it in the next.

A network that blurs, or paints everything grey, has no flicker at all. So
:attr:`Flicker.detail_kept` stands beside the score: how strong the edges of the mean picture are,
after against before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from derain_edu.datasets.tripod import Stillness, stillness_of
from derain_edu.datasets.video import frame_to_tensor, spread
from derain_edu.errors import DerainError
from derain_edu.inference.restoration import derain_tensor
from derain_edu.metrics import luma

FRAMES = 24  # so many are derained
_DETAIL, _FLAT = 0.75, 0.50  # detail: the quarter with the strongest edges; flat: the weaker half


@dataclass(frozen=True)
class Flicker:
    """How much a still scene flickers, in units of 1/255 of luma.

    Attributes
    ----------
    flat_rainy : float
        Of the rainy frames, where the scene is flat.
    flat_derained : float
        Of the derained frames, there.
    detail_rainy : float
        Of the rainy frames, where the scene has edges.
    detail_derained : float
        Of the derained frames, there.
    detail_kept : float
        Strength of the edges in the mean of the derained frames, as a share of those in the mean
        of the rainy ones: 1 if all are there, less if the network blurs.
    stillness : Stillness
        How still the camera stood.
    """

    flat_rainy: float
    flat_derained: float
    detail_rainy: float
    detail_derained: float
    detail_kept: float
    stillness: Stillness

    def __str__(self) -> str:
        rows = (
            ("place", "rainy", "derained"),
            ("flat", f"{self.flat_rainy:.2f}", f"{self.flat_derained:.2f}"),
            ("detail", f"{self.detail_rainy:.2f}", f"{self.detail_derained:.2f}"),
        )
        lines = [f"{name:<8} {before:>8} {after:>9}" for name, before, after in rows]
        kept = f"edges kept: {100 * self.detail_kept:.0f} % (less means that it blurs)"
        return "\n".join((*lines, kept))


def measure_flicker(
    model: nn.Module,
    frames: Iterable[np.ndarray],
    most: int = FRAMES,
    tile: int | None = None,
    on_frame: Callable[[], object] | None = None,
) -> Flicker:
    """Derain frames of a still scene one by one, and compare their variance over time.

    Parameters
    ----------
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out.
    frames : iterable of numpy.ndarray
        (H, W, 3) uint8, RGB; see :func:`derain_edu.datasets.video.frames`.
    most : int
        Derain more than half of so many frames, evenly spread over the video.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    on_frame : callable, optional
        Called after each frame.

    Returns
    -------
    Flicker

    Raises
    ------
    DerainError
        If the camera moves, or there are fewer than 5 frames.
    """
    if most < 5:
        raise DerainError(f"flicker needs at least 5 frames, got {most}")
    kept = spread(frames, most)
    stillness = stillness_of(kept)
    before, after = _Variance(), _Variance()
    for _, frame in kept:
        rainy = frame_to_tensor(frame)
        before.add(rainy)
        after.add(derain_tensor(model, rainy, tile).clamp(0, 1))
        if on_frame:
            on_frame()
    detail, flat = places(before.mean)
    return Flicker(
        _root(before.variance[flat]),
        _root(after.variance[flat]),
        _root(before.variance[detail]),
        _root(after.variance[detail]),
        float(edges(after.mean)[detail].mean() / edges(before.mean)[detail].mean().clamp(1e-9)),
        stillness,
    )


class _Variance:
    """Mean and variance over time, in one walk (Welford, 1962): no frame is kept."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())  # (H, W) after the first frame
        self.squares = torch.zeros(())

    def add(self, picture: Tensor) -> None:
        """Take in a picture (3, H, W) in [0, 1]."""
        y = luma(picture[None].double())[0, 0]  # (H, W)
        self.count += 1
        difference = y - self.mean
        self.mean = self.mean + difference / self.count
        self.squares = self.squares + difference * (y - self.mean)

    @property
    def variance(self) -> Tensor:
        """Of each pixel, (H, W)."""
        return self.squares / (self.count - 1)


def edges(picture: Tensor) -> Tensor:
    """Return the length of the gradient at each pixel of (H, W), by central differences."""
    down, right = torch.gradient(picture)
    return torch.hypot(down, right)


def places(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the mean picture (H, W) has detail and where it is flat: two masks (H, W).

    Detail is the quarter of the pixels with the strongest edges, flat the half with the weakest.
    """
    strength = edges(picture)
    order = strength.flatten().argsort(stable=True).argsort()  # the rank of each pixel
    rank = order.view_as(strength) / strength.numel()
    return rank >= _DETAIL, rank < _FLAT


def _root(variance: Tensor) -> float:
    return 255 * float(variance.mean().clamp(0).sqrt())
