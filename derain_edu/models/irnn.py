"""The recurrence in four directions: how one pixel sees a whole row and a whole column.

An IRNN (Le, Jaitly & Hinton, arXiv 1504.00941) is a recurrent network with a ReLU that starts
near the identity. Bell et al. (CVPR 2016, arXiv 1512.04143) swept it over pictures, and SPANet
(Wang et al., CVPR 2019, arXiv 1904.01538, section 3.2) gives each channel one weight α and one
bias β per direction. Along each row or column::

    h_1 = relu(x_1)                        the first pixel: no bias
    h_t = relu(α · h_{t−1} + β + x_t)      every further pixel

The directions are named after the way the sweep moves: ``up`` starts at the bottom row,
``right`` at the left column. One round of four sweeps sees the cross of a pixel's row and column;
a second round sees everything.

The same numbers in several forms, in :data:`METHODS`:

========== ========================================================================================
loop       what the equations say, one row or column at a time: to read
rows       the same with the axis of the sweep in front, which is faster: no compiler needed
numba      a compiled loop (:mod:`derain_edu.models.irnn_numba`): the fastest on a CPU
scan       maps h ↦ clamp(a·h + b, lo, hi) composed in log₂(length) steps: for accelerators
           (:mod:`derain_edu.models.irnn_scan`)
export     PyTorch's ``scan`` operator, which becomes ``Scan`` in ONNX
========== ========================================================================================

``rows``, ``numba`` and ``scan`` share one backward formula, see :class:`IRNNFunction`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from derain_edu.devices import reuse_memory
from derain_edu.errors import DerainError
from derain_edu.models.irnn_scan import MOVES
from derain_edu.models.irnn_scan import backward as scan_backward
from derain_edu.models.irnn_scan import forward as scan_forward

DIRECTIONS = tuple(MOVES)  # up, right, down, left


def irnn(
    x: Tensor, alpha: Tensor, beta: Tensor, method: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sweep a picture of features in four directions.

    Parameters
    ----------
    x : Tensor
        (B, C, H, W), any H, W ≥ 1, contiguous or channels-last (other layouts are copied).
    alpha, beta : Tensor
        (4, C): weight and bias of each channel in the order up, right, down, left. α may be
        negative.
    method : str, optional
        A name of :data:`METHODS`. Default: what is fastest where ``x`` lives, see
        :func:`choose_method`.

    Returns
    -------
    up, right, down, left : Tensor
        (B, C, H, W) each, never negative. Computed in float32 at least; a float16 or bfloat16
        ``x`` comes back as such.

    Raises
    ------
    DerainError
        If the shapes don't fit or the method is unknown.

    Examples
    --------
    >>> x = torch.tensor([0.0, 2.0, 0.0, 0.0]).view(1, 1, 1, 4)
    >>> _, right, _, left = irnn(x, torch.full((4, 1), 0.5), torch.zeros(4, 1), method="loop")
    >>> right.flatten().tolist(), left.flatten().tolist()
    ([0.0, 2.0, 1.0, 0.5], [1.0, 2.0, 0.0, 0.0])
    """
    return irnn_stack(x, alpha, beta, method).unbind(1)


def irnn_stack(x: Tensor, alpha: Tensor, beta: Tensor, method: str | None = None) -> Tensor:
    """Return the four sweeps of :func:`irnn` in one tensor (B, 4, C, H, W).

    They are written side by side, so ``.flatten(1, 2)`` is their concatenation without a copy.
    """
    _check(x, alpha, beta)
    if not torch.compiler.is_compiling():
        reuse_memory()  # the four sweeps of a large picture are a large tensor
    method = method or choose_method(x)
    if method not in METHODS:
        raise DerainError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    wide = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    with torch.autocast(x.device.type, enabled=False):  # a long sum needs more than 8 bits
        return METHODS[method](x.to(wide), alpha.to(wide), beta.to(wide)).to(x.dtype)


def choose_method(x: Tensor) -> str:
    """Return the method for x: ``export`` while a graph is captured, else by the device."""
    if torch.compiler.is_exporting():
        return "export"
    if x.device.type != "cpu":
        return "scan"
    return "rows" if _numba_kernels() is None else "numba"


# -- forms to read, and to export -----------------------------------------------------------------


def sweep(x: Tensor, direction: str, alpha: Tensor, beta: Tensor) -> Tensor:
    """Sweep x (B, C, H, W) in one direction, as the equations say; alpha and beta are (C,)."""
    axis, reverse = MOVES[direction]
    alpha, beta = alpha.view(-1, 1), beta.view(-1, 1)  # (C, 1), for lines (B, C, length)
    lines = x.unbind(axis)
    h = lines[-1 if reverse else 0].relu()
    swept = [h]
    for line in lines[-2::-1] if reverse else lines[1:]:
        h = (alpha * h + beta + line).relu()
        swept.append(h)
    return torch.stack(swept[::-1] if reverse else swept, dim=axis)


def _loop(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    sweeps = [sweep(x, d, alpha[k], beta[k]) for k, d in enumerate(DIRECTIONS)]
    return torch.stack(sweeps, dim=1)


def _export(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """The loop as a ``scan`` operator: a graph of it holds for every height and width.

    A Python loop would be unrolled and freeze the size; so would a reversed index, hence
    flip, scan, flip. The first pixel differs by its α and β alone: the state carries them, and
    starts with zeros.
    """
    from torch._higher_order_ops.scan import scan  # a prototype: touched only when needed

    def step(state: tuple[Tensor, ...], line: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        h, gain, bias = state
        h = (gain * h + bias + line).relu()
        # A state and an output of an operator may not be the same tensor, hence the clones.
        return (h, a.clone(), b.clone()), h.clone()

    swept = []
    for k, (axis, reverse) in enumerate(MOVES.values()):
        lines = (x.flip(axis) if reverse else x).movedim(axis, 0).contiguous()
        start = lines.new_zeros(lines.shape[1:])  # (B, C, length of a line)
        a = alpha[k].view(-1, 1) + start
        b = beta[k].view(-1, 1) + start
        _, h = scan(step, (start, start.clone(), start.clone()), lines, dim=0)
        h = h.movedim(0, axis)
        swept.append(h.flip(axis) if reverse else h)
    return torch.stack(swept, dim=1)


# -- forms to run ---------------------------------------------------------------------------------


class Kernels(NamedTuple):
    """The two halves of a form: see :mod:`derain_edu.models.irnn_numba` for the shapes."""

    forward: Callable[[Tensor, Tensor, Tensor], Tensor]  # x, α, β -> h
    backward: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]  # h, G, α -> ∂


class IRNNFunction(torch.autograd.Function):
    """The recurrence with its own backward pass, which needs nothing but the outputs.

    With G the gradient that arrives at h: ``g_t = [h_t > 0] · (G_t + α · g_{t+1})``, from the end
    of the sweep to its start. Then ∂x = g, ∂α = Σ g_t · h_{t−1} and ∂β = Σ g_t, both sums without
    the first pixel.
    """

    @staticmethod
    def forward(ctx, x: Tensor, alpha: Tensor, beta: Tensor, kernels: Kernels) -> Tensor:  # noqa: ANN001
        out = kernels.forward(x, alpha, beta)  # (B, 4, C, H, W)
        ctx.save_for_backward(out, alpha)
        ctx.kernels = kernels
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN001
        out, alpha = ctx.saved_tensors
        return *ctx.kernels.backward(out, grad, alpha), None


def _rows_forward(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """The loop with the axis of the sweep in front, so that each step works on one block."""
    batch, channels, height, width = x.shape
    out = x.new_empty(batch, 4, channels, height, width)
    for k, (axis, reverse) in enumerate(MOVES.values()):
        lines = x.movedim(axis, 0).contiguous()  # (L, B, C, length of a line)
        a, b = alpha[k].view(-1, 1), beta[k].view(-1, 1)
        order = range(len(lines))[::-1] if reverse else range(len(lines))
        h = torch.empty_like(lines)
        torch.clamp(lines[order[0]], min=0, out=h[order[0]])
        for before, t in zip(order, order[1:], strict=False):
            torch.add(lines[t], b, out=h[t]).addcmul_(h[before], a).relu_()
        out[:, k] = h.movedim(0, axis)
    return out


def _rows_backward(out: Tensor, grad: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = torch.zeros_like(out[:, 0])
    grad_alpha, grad_beta = torch.zeros_like(alpha), torch.zeros_like(alpha)
    for k, (axis, reverse) in enumerate(MOVES.values()):
        h = out[:, k].movedim(axis, 0).contiguous()  # (L, B, C, length of a line)
        g = grad[:, k].movedim(axis, 0) * (h > 0)
        a = alpha[k].view(-1, 1)
        order = range(len(h)) if reverse else range(len(h))[::-1]  # back from the end
        for after, t in zip(order, order[1:], strict=False):
            g[t] += a * g[after] * (h[t] > 0)
        inner, before = (g[:-1], h[1:]) if reverse else (g[1:], h[:-1])
        grad_x += g.movedim(0, axis)
        grad_alpha[k] = (inner * before).sum((0, 1, 3))
        grad_beta[k] = inner.sum((0, 1, 3))
    return grad_x, grad_alpha, grad_beta


@lru_cache(maxsize=1)
def _numba_kernels() -> Kernels | None:
    """Import the compiled loops when they are first needed; None where numba is missing."""
    try:
        from derain_edu.models.irnn_numba import backward, forward
    except ImportError:
        return None
    return Kernels(forward, backward)


def _numba(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    kernels = _numba_kernels()
    if kernels is None:
        raise DerainError("numba is not installed: install it, or take method='rows'")
    if x.device.type != "cpu":
        raise DerainError(f"the numba form runs on the CPU, and x is on {x.device}: take 'scan'")
    return IRNNFunction.apply(x, alpha, beta, kernels)


_ROWS = Kernels(_rows_forward, _rows_backward)
_SCAN = Kernels(scan_forward, scan_backward)

# name -> (x, alpha, beta) to (B, 4, C, H, W)
METHODS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "loop": _loop,
    "rows": lambda x, alpha, beta: IRNNFunction.apply(x, alpha, beta, _ROWS),
    "numba": _numba,
    "scan": lambda x, alpha, beta: IRNNFunction.apply(x, alpha, beta, _SCAN),
    "export": _export,
}


def _check(x: Tensor, alpha: Tensor, beta: Tensor) -> None:
    if x.dim() != 4 or 0 in x.shape[2:]:
        raise DerainError(f"x must be (B, C, H, W) with H, W ≥ 1, got {tuple(x.shape)}")
    for name, factors in (("alpha", alpha), ("beta", beta)):
        if factors.shape != (4, x.shape[1]):
            raise DerainError(
                f"{name} must be (4, {x.shape[1]}), one number per direction and channel of x, "
                f"got {tuple(factors.shape)}"
            )
