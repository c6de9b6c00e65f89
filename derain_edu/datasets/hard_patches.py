"""Clean patches that are harder than most photos, and what a camera does to a pair.

A network that learned from few photos takes bright, thin things for rain that it has not seen
before: grass, fur, fences. These patches show it many such things, before it rains on them. What a
camera adds (over-exposure, noise, compression) is in the rainy picture *and* in the clean one, so
that a network learns to take the rain out, and nothing else.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from derain_edu.datasets.gratings import gratings

LEAVES = 400  # ellipses of a picture
_FINER = 2  # a picture of leaves is drawn so many times as large, and shrunk: smooth edges


def harder(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a patch changed in one of the ways of :data:`WAYS`.

    Parameters
    ----------
    clean : Tensor
        (3, P, P) in [0, 1].
    rng : numpy Generator
        Decides which way, and how much.

    Returns
    -------
    Tensor
        Of the same shape, in [0, 1].
    """
    ways, odds = zip(*WAYS, strict=True)
    return ways[rng.choice(len(ways), p=odds)](clean, rng)


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


def overexposed(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Make a picture so much brighter that 5 to 60 % of its pixels are white in some channel."""
    peak = clean.amax(dim=0)
    return brightened(clean, float(peak.quantile(1 - rng.uniform(0.05, 0.6))))


def brightened(clean: Tensor, white: float) -> Tensor:
    """Divide by ``white`` (at least 0.2) and cut off: where a channel was brighter, it clips."""
    return (clean / min(1.0, max(0.2, white))).clamp(0, 1)


def hazed(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Lay a veil of 10 to 60 % over a picture, of a grey from 0.5 to 1: rain comes with mist."""
    return torch.lerp(clean, clean.new_tensor(rng.uniform(0.5, 1)), rng.uniform(0.1, 0.6))


def noisy(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Add a camera's noise: σ of 0.005 to 0.05 in white, ∝ √brightness, grainy or smoothed."""
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    if rng.random() < 0.5:
        noise = 1.5 * F.avg_pool2d(noise, 3, stride=1, padding=1)
    return (clean + 0.005 * 10 ** rng.random() * clean.sqrt() * noise).clamp(0, 1)


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


# (way, share): gratings are what networks mistook most, leaves take most time to draw.
WAYS = (
    (gratings, 0.42), (overexposed, 0.16), (sharpened, 0.12), (stretched, 0.08), (hazed, 0.08),
    (noisy, 0.08), (dead_leaves, 0.06),
)  # fmt: skip


def compressed(picture: Tensor, quality: int) -> Tensor:
    """Return a picture (3, H, W) in [0, 1] as a JPEG file of this quality (1 to 95) gives it."""
    pixels = (255 * picture).round().byte().permute(1, 2, 0).numpy()  # (H, W, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as opened:
        back = torch.from_numpy(np.array(opened))
    return back.permute(2, 0, 1).float() / 255
