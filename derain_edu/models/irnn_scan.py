"""The sweep as algebra: clamped affine maps, composed in log₂(length) steps.

One step of the recurrence, h ↦ relu(α·h + β + x), is a *clamped affine map*::

    h ↦ clamp(a·h + b, lo, hi)          with a = α, b = β + x, lo = 0, hi = ∞

Two such maps in a row are again one such map, for any sign of a::

    clamp(a₂·clamp(a₁·h + b₁, lo₁, hi₁) + b₂, lo₂, hi₂)
        = clamp(a₂a₁·h + a₂b₁ + b₂, lo, hi)
    lo, hi = clamp(a₂·lo₁ + b₂, lo₂, hi₂), clamp(a₂·hi₁ + b₂, lo₂, hi₂)      swapped if a₂ < 0

So no pixel has to wait for the one before it: pairs of neighbours are composed at the same time,
then pairs of pairs, and so on (Hillis & Steele, Communications of the ACM 29, 1986). After
log₂(L) rounds the map at pixel t leads from the start of the line to h_t. This is more work than
a loop, L·log₂(L) in place of L, and far fewer steps that depend on each other: slow on a CPU,
right for accelerators.

The way back is a scan too. With m_t = [h_t > 0], the gradient g_t = m_t·α·g_{t+1} + m_t·G_t is an
affine map of g_{t+1}, without a clamp.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# direction -> (axis of (B, C, H, W) along which it moves, whether from the far end to the near)
MOVES = {"up": (2, True), "right": (3, False), "down": (2, False), "left": (3, True)}


class ClampedAffine(NamedTuple):
    """The map h ↦ clamp(a·h + b, lo, hi), or a tensor of such maps."""

    a: Tensor
    b: Tensor
    lo: Tensor
    hi: Tensor

    def __call__(self, h: Tensor) -> Tensor:
        return (self.a * h + self.b).clamp(self.lo, self.hi)


def compose(second: ClampedAffine, first: ClampedAffine) -> ClampedAffine:
    """Return the one map that does what ``first`` and then ``second`` do.

    Examples
    --------
    >>> half = ClampedAffine(*torch.tensor([0.5, 1.0, 0.0, 9.0]))
    >>> minus = ClampedAffine(*torch.tensor([-1.0, 3.0, 0.0, 9.0]))
    >>> h = torch.tensor([-8.0, 1.0, 4.0, 100.0])
    >>> minus(half(h)).tolist(), compose(minus, half)(h).tolist()
    ([3.0, 1.5, 0.0, 0.0], [3.0, 1.5, 0.0, 0.0])
    """
    bounds = [
        (second.a * bound + second.b).clamp(second.lo, second.hi) for bound in (first.lo, first.hi)
    ]
    return ClampedAffine(
        second.a * first.a,
        second.a * first.b + second.b,
        torch.minimum(*bounds),
        torch.maximum(*bounds),
    )


def prefix_maps(maps: ClampedAffine) -> ClampedAffine:
    """Compose each map with all before it along the first axis: (L, …) to (L, …)."""
    reach = 1
    while reach < len(maps.a):
        far = ClampedAffine(*(part[reach:] for part in maps))
        near = ClampedAffine(*(part[:-reach] for part in maps))
        both = compose(far, near)
        maps = ClampedAffine(
            *(torch.cat((part[:reach], new)) for part, new in zip(maps, both, strict=True))
        )
        reach *= 2
    return maps


def forward(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Sweep x (B, C, H, W) in four directions; return (B, 4, C, H, W)."""
    sweeps = []
    for k, (axis, reverse) in enumerate(MOVES.values()):
        lines = x.movedim(axis, 0)  # (L, B, C, length of a line)
        h = _sweep(lines.flip(0) if reverse else lines, alpha[k], beta[k])
        sweeps.append((h.flip(0) if reverse else h).movedim(0, axis))
    return torch.stack(sweeps, dim=1)


def _sweep(lines: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Sweep along the first axis of (L, B, C, length of a line)."""
    a = alpha.view(-1, 1).expand_as(lines).clone()
    b = beta.view(-1, 1) + lines
    a[0], b[0] = 0, lines[0]  # the first pixel has neither α nor β
    # Not ∞: 0 · ∞ is not a number, and α may be 0.
    lo, hi = torch.zeros_like(b), torch.full_like(b, torch.finfo(b.dtype).max)
    maps = prefix_maps(ClampedAffine(a, b, lo, hi))
    return maps.b.clamp(maps.lo, maps.hi)  # the maps at h = 0: what comes before does not count


def backward(out: Tensor, grad: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ∂x, ∂α and ∂β from the outputs and their gradient, both (B, 4, C, H, W)."""
    grad_x = torch.zeros_like(out[:, 0])
    grad_alpha, grad_beta = torch.zeros_like(alpha), torch.zeros_like(alpha)
    for k, (axis, reverse) in enumerate(MOVES.values()):
        h, arriving = (t[:, k].movedim(axis, 0) for t in (out, grad))  # (L, B, C, line)
        if not reverse:  # the way back starts where the sweep ended
            h, arriving = h.flip(0), arriving.flip(0)
        active = (h > 0).to(h.dtype)
        g = _affine_scan(active * alpha[k].view(-1, 1), active * arriving)
        grad_alpha[k] = (g[:-1] * h[1:]).sum((0, 1, 3))  # without the first pixel, now the last
        grad_beta[k] = g[:-1].sum((0, 1, 3))
        grad_x += (g if reverse else g.flip(0)).movedim(0, axis)
    return grad_x, grad_alpha, grad_beta


def _affine_scan(a: Tensor, b: Tensor) -> Tensor:
    """Return g with g_0 = b_0 and g_t = a_t·g_{t−1} + b_t along the first axis."""
    reach = 1
    while reach < len(a):
        b = torch.cat((b[:reach], a[reach:] * b[:-reach] + b[reach:]))
        a = torch.cat((a[:reach], a[reach:] * a[:-reach]))
        reach *= 2
    return b
