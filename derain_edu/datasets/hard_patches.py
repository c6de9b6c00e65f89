"""Clean patches that are harder than most photos: sharper, richer in contrast, or of dead leaves.

A network that learned from few photos mistakes bright, thin things that it has not seen before
for rain: grass, fur, snow. These patches show it many such things on which no rain falls.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAVES = 400  # ellipses of a picture
_FINER = 2  # a picture of leaves is drawn so many times as large, and shrunk: smooth edges


def harder(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a patch sharpened, with more contrast, or replaced by leaves in its colours.

    Parameters
    ----------
    clean : Tensor
        (3, P, P) in [0, 1].
    rng : numpy Generator
        Decides which of the three, and how much.

    Returns
    -------
    Tensor
        Of the same shape, in [0, 1].
    """
    return (sharpened, stretched, dead_leaves)[rng.integers(3)](clean, rng)


def sharpened(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Add 0.3 to 2 times what a Gaussian blur of σ = 0.6 to 2 px takes away."""
    from torchvision.transforms.functional import gaussian_blur  # slow to import, seldom needed

    sigma = 0.6 * (2 / 0.6) ** rng.random()
    soft = gaussian_blur(clean, 2 * math.ceil(3 * sigma) + 1, sigma)
    return (clean + rng.uniform(0.3, 2) * (clean - soft)).clamp(0, 1)


def stretched(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Multiply the distance from the mean by 1 to 2, and move the mean by up to 0.1."""
    mean = clean.mean()
    return (mean + rng.uniform(1, 2) * (clean - mean) + rng.uniform(-0.1, 0.1)).clamp(0, 1)


def dead_leaves(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Cover a square picture with ellipses in its colours, each one hiding what lies below.

    Their radii r have the density r⁻³, with which such a picture has the statistics of natural ones
    (Lee, Mumford, Huang: Occlusion models for natural images, IJCV 2001): equally rich at every
    scale. Half of the pictures have leaves that all lean the same way, as grass does.
    """
    size = clean.shape[-1]
    side, colours = _FINER * size, clean.numpy().reshape(3, -1)
    canvas = np.empty((3, side, side), np.float32)
    canvas[:] = colours.mean(axis=1)[:, None, None]
    smallest, largest = 3 * (8 / 3) ** rng.random(), side / 3
    radius = (smallest**-2 - rng.random(LEAVES) * (smallest**-2 - largest**-2)) ** -0.5
    longest = rng.uniform(1, 8)  # axes of a leaf: as 1 to this
    stretch = np.sqrt(rng.uniform(1, longest, LEAVES))
    together = rng.random() < 0.5
    angle = rng.uniform(0, np.pi, 1) + rng.normal(0, 0.2 if together else 10, LEAVES)
    centre = rng.uniform(0, side, (LEAVES, 2))
    colour = colours[:, rng.integers(colours.shape[1], size=LEAVES)]
    for k in range(LEAVES):
        _lay(canvas, centre[k], radius[k], stretch[k], angle[k], colour[:, k], rng)
    picture = torch.from_numpy(canvas).clamp(0, 1)
    return F.avg_pool2d(picture, _FINER)


def _lay(
    canvas: np.ndarray, centre: np.ndarray, radius: float, stretch: float, angle: float,
    colour: np.ndarray, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw one leaf: a little lighter on one side, and with faint veins along or across."""
    side, reach = canvas.shape[-1], radius * stretch + 1
    low, high = np.clip([centre - reach, centre + reach + 1], 0, side).astype(int)
    y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
    dy, dx = (y - centre[0]).astype(np.float32), (x - centre[1]).astype(np.float32)
    along = dx * math.cos(angle) + dy * math.sin(angle)
    across = dy * math.cos(angle) - dx * math.sin(angle)
    inside = (along / stretch) ** 2 + (across * stretch) ** 2 < radius**2
    lean_x, lean_y = rng.uniform(-0.3, 0.3, 2) / radius
    vein = along if rng.random() < 0.5 else across
    shade = 1 + lean_x * dx + lean_y * dy
    shade = shade + rng.normal(0, 0.1) * np.sin(rng.uniform(0.3, 2) * vein)
    part = canvas[:, low[0] : high[0], low[1] : high[1]]
    np.copyto(part, colour[:, None, None] * shade, where=inside)
