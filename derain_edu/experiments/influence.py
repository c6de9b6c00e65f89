"""How far the pixels that a sweep hears are: shares of the gradient by distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from derain_edu.errors import DerainError


def influence(
    layer: Callable[[Tensor], Tensor], x: Tensor, pixel: tuple[int, int] | None = None
) -> Tensor:
    """Return how much each input pixel moves one output pixel: a map (H, W) of derivatives.

    Parameters
    ----------
    layer : callable
        (1, C, H, W) to (1, any, H, W).
    x : Tensor
        (1, C, H, W). Take float64: what is tiny is not 0, and float32 can't always tell.
    pixel : (int, int), optional
        Row and column of the output pixel. Default: the middle.

    Returns
    -------
    Tensor
        (H, W): the absolute derivatives, summed over the channels of the input.

    Examples
    --------
    >>> x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    >>> influence(lambda x: 2 * x + x.roll(1, dims=3), x).tolist()
    [[0.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if x.dim() != 4 or x.shape[0] != 1:
        raise DerainError(f"expected one picture (1, C, H, W), got {tuple(x.shape)}")
    row, column = pixel or (x.shape[2] // 2, x.shape[3] // 2)
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(layer(x)[0, :, row, column].sum(), x)
    return grad[0].abs().sum(dim=0)  # (1, C, H, W) -> (H, W)


def share_beyond(seen: Tensor, distances: Sequence[int]) -> list[float]:
    """Return which share of the middle pixel's :func:`influence` comes from further than each d.

    Pixels at distance d form a square ring: d is the larger one of the distances in rows and in
    columns.
    """
    height, width = seen.shape
    rows = (torch.arange(height, device=seen.device) - height // 2).abs()
    columns = (torch.arange(width, device=seen.device) - width // 2).abs()
    ring = torch.maximum(rows[:, None], columns)  # (H, W)
    return [float(seen[ring > d].sum() / seen.sum()) for d in distances]
