"""The four sweeps as compiled loops for the CPU, forward and backward.

Imported only where numba is installed; :mod:`derain_edu.models.irnn` has a form without it. Two
memory layouts, each read and written as it lies, so that no copy is made:

- contiguous, (B, C, H, W): one channel of one picture is a *plane*. A vertical sweep works on
  whole rows at a time. A horizontal sweep has to finish a pixel before its neighbour, so sweeps
  to the right and to the left, in two rows each, keep the processor busy.
- channels-last, (B, H, W, C): the channels of a pixel lie side by side, and every sweep works on
  all of them at a time.

The backward pass needs the outputs only. With G the gradient that arrives and h the output,
``g_t = [h_t > 0] · (G_t + α · g_{t+1})``; then ∂x = g, ∂α = Σ g_t·h_{t−1} and ∂β = Σ g_t, both
sums without the first pixel, which has neither α nor β. Lesson 08 derives it.

The loops are compiled the first time they run (some seconds) and kept on disk, where numba finds a
place: :func:`kept_in`. They run in as many threads as PyTorch uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

COLUMNS, ROWS = 32, 4  # lines of a channels-last sweep that run together, up/down and right/left

# "contract" allows a·b + c in one instruction. What is not allowed is to assume that there are no
# NaNs: a NaN must reach the loss, which stops the trainer. The sums of the backward pass may run in
# any order ("reassoc"). A sweep may not: α·h + (β + x) in this order has the shortest wait for h.
_SWEEP, _SUMS = {"contract", "nsz"}, {"contract", "nsz", "reassoc"}


def _loop(function: Callable[..., Any], allowed: set[str]) -> Any:
    """Compile a loop when it first runs, and keep it on disk where there is a place for it."""
    loop = njit(nogil=True, fastmath=allowed)(function)
    with suppress(RuntimeError):  # no folder can be written: compiled anew in each program
        loop.enable_caching()
    return loop


def _compiled(function: Callable[..., Any]) -> Any:
    return _loop(function, _SWEEP)


def _compiled_sums(function: Callable[..., Any]) -> Any:
    return _loop(function, _SUMS)


# -- contiguous: a plane (H, W) is one channel of one picture -------------------------------------


@_compiled
def _rows_forward(x, a, b, out, reverse):
    """Sweep a plane down or, with ``reverse``, up."""
    height, width = x.shape
    step = -1 if reverse else 1
    i = height - 1 if reverse else 0
    row, source = out[i], x[i]
    for j in range(width):
        row[j] = 0 if source[j] < 0 else source[j]
    for _ in range(1, height):
        before = out[i]
        i += step
        row, source = out[i], x[i]
        for j in range(width):
            value = a * before[j] + (b + source[j])
            row[j] = 0 if value < 0 else value


@_compiled
def _columns_forward(x, a, b, a_left, b_left, right, left):
    """Sweep a plane to the right (a, b) and to the left, two rows at a time.

    So four pixels that do not wait for each other are in flight. An odd last row runs twice.
    """
    height, width = x.shape
    zero = x.dtype.type(0)  # a plain 0 would make h a float64
    for i in range(0, height, 2):
        k = min(i + 1, height - 1)
        x0, x1, right0, right1 = x[i], x[k], right[i], right[k]
        y0, y1, left0, left1 = x[i, ::-1], x[k, ::-1], left[i, ::-1], left[k, ::-1]
        h0 = h1 = g0 = g1 = gain = bias = gain_left = bias_left = zero
        for j in range(width):
            h0 = gain * h0 + (bias + x0[j])
            h1 = gain * h1 + (bias + x1[j])
            g0 = gain_left * g0 + (bias_left + y0[j])
            g1 = gain_left * g1 + (bias_left + y1[j])
            right0[j] = h0 = zero if h0 < 0 else h0
            right1[j] = h1 = zero if h1 < 0 else h1
            left0[j] = g0 = zero if g0 < 0 else g0
            left1[j] = g1 = zero if g1 < 0 else g1
            gain, bias, gain_left, bias_left = a, b, a_left, b_left  # not for the first pixel


@_compiled_sums
def _rows_backward(h, grad, a, grad_x, g, reverse):
    """Run a vertical sweep back; add to ``grad_x``, return ∂α and ∂β. ``g`` is a row to work in."""
    height, width = h.shape
    step = -1 if reverse else 1
    i = 0 if reverse else height - 1  # where the sweep ended
    grad_a, grad_b = a * 0, a * 0
    g[:] = 0
    for t in range(height):
        row, arriving, total = h[i], grad[i], grad_x[i]
        for j in range(width):
            g[j] = arriving[j] + a * g[j] if row[j] > 0 else 0
            total[j] += g[j]
        if t < height - 1:
            before = h[i - step]
            sum_a, sum_b = a * 0, a * 0
            for j in range(width):
                sum_a += g[j] * before[j]
                sum_b += g[j]
            grad_a += sum_a
            grad_b += sum_b
        i -= step
    return grad_a, grad_b


@_compiled_sums
def _columns_backward(right, left, grad_right, grad_left, a, a_left, grad_x, work, sums):
    """Run both horizontal sweeps back; add to ``grad_x``, and ∂α, ∂β of both to ``sums`` (4,).

    Row by row: first what has to wait, the gradients g of both sweeps, into ``work`` (2, W); then
    the sums, which don't.
    """
    height, width = right.shape
    for i in range(height):
        g = k = a * 0
        for m in range(width):
            j = width - 1 - m
            g = grad_right[i, j] + a * g
            k = grad_left[i, m] + a_left * k
            work[0, j] = g = g if right[i, j] > 0 else a * 0
            work[1, m] = k = k if left[i, m] > 0 else a * 0
        h, h_left, g_right, g_left, total = right[i], left[i], work[0], work[1], grad_x[i]
        for j in range(width):
            total[j] += g_right[j] + g_left[j]
        sum_a = sum_b = sum_a_left = sum_b_left = a * 0
        for j in range(width - 1):  # the first pixel of a sweep has neither α nor β
            sum_a += g_right[j + 1] * h[j]
            sum_b += g_right[j + 1]
            sum_a_left += g_left[j] * h_left[j + 1]
            sum_b_left += g_left[j]
        sums[0] += sum_a
        sums[1] += sum_b
        sums[2] += sum_a_left
        sums[3] += sum_b_left


@_compiled
def _planes_forward(x, alpha, beta, out, start, stop):
    """Sweep the planes ``start`` to ``stop``: x (B, C, H, W), out (B, 4, C, H, W)."""
    channels = x.shape[1]
    for plane in range(start, stop):
        n, c = plane // channels, plane % channels
        for d in (0, 2):
            _rows_forward(x[n, c], alpha[d, c], beta[d, c], out[n, d, c], d == 0)
        a, b = alpha[:, c], beta[:, c]
        _columns_forward(x[n, c], a[1], b[1], a[3], b[3], out[n, 1, c], out[n, 3, c])


@_compiled_sums
def _planes_backward(out, grad, alpha, grad_x, grad_alpha, grad_beta, start, stop):
    channels = out.shape[2]
    work = np.empty((2, out.shape[4]), out.dtype)
    sums = np.empty(4, out.dtype)
    for plane in range(start, stop):
        n, c = plane // channels, plane % channels
        # (Not out[n, :, c]: the compiler must see that a plane is one piece of memory.)
        total, a = grad_x[n, c], alpha[:, c]
        total[:] = 0
        for d in (0, 2):
            grad_alpha[n, d, c], grad_beta[n, d, c] = _rows_backward(
                out[n, d, c], grad[n, d, c], a[d], total, work[0], d == 0
            )
        sums[:] = 0
        h, h_left, arrived, arrived_left = out[n, 1, c], out[n, 3, c], grad[n, 1, c], grad[n, 3, c]
        _columns_backward(h, h_left, arrived, arrived_left, a[1], a[3], total, work, sums)
        grad_alpha[n, 1, c], grad_beta[n, 1, c] = sums[0], sums[1]
        grad_alpha[n, 3, c], grad_beta[n, 3, c] = sums[2], sums[3]


# -- channels-last: a line is one column (of a vertical sweep) or one row of a picture ------------


@_compiled
def _lines_forward(x, alpha, beta, out, d, start, stop):
    """Sweep the lines ``start`` to ``stop`` side by side: x (H, W, C), out (H, W, 4, C)."""
    vertical, reverse = d % 2 == 0, d == 0 or d == 3
    length, channels = x.shape[0] if vertical else x.shape[1], x.shape[2]
    step = -1 if reverse else 1
    t = length - 1 if reverse else 0
    for k in range(length):
        for line in range(start, stop):
            i, j = (t, line) if vertical else (line, t)
            u, v = (t - step, line) if vertical else (line, t - step)
            if k == 0:
                for c in range(channels):
                    value = x[i, j, c]
                    out[i, j, d, c] = 0 if value < 0 else value
            else:
                for c in range(channels):
                    value = alpha[d, c] * out[u, v, d, c] + (beta[d, c] + x[i, j, c])
                    out[i, j, d, c] = 0 if value < 0 else value
        t += step


@_compiled_sums
def _lines_backward(out, grad, alpha, grad_x, grad_alpha, grad_beta, d, start, stop):
    """Run these sweeps back; add to ``grad_x`` (H, W, C) and to ∂α and ∂β, both (4, C)."""
    vertical, reverse = d % 2 == 0, d == 0 or d == 3
    length, channels = out.shape[0] if vertical else out.shape[1], out.shape[3]
    step = -1 if reverse else 1
    t = 0 if reverse else length - 1
    g = np.zeros((stop - start, channels), out.dtype)
    for k in range(length):
        for line in range(start, stop):
            n = line - start
            i, j = (t, line) if vertical else (line, t)
            u, v = (t - step, line) if vertical else (line, t - step)
            for c in range(channels):
                arrived = grad[i, j, d, c] + alpha[d, c] * g[n, c]
                g[n, c] = arrived if out[i, j, d, c] > 0 else 0
                grad_x[i, j, c] += g[n, c]
            if k < length - 1:  # the first pixel of the sweep has neither α nor β
                for c in range(channels):
                    grad_alpha[d, c] += g[n, c] * out[u, v, d, c]
                    grad_beta[d, c] += g[n, c]
        t -= step


@_compiled
def _blocks_forward(x, alpha, beta, out, vertical, block, start, stop):
    """Sweep the blocks of lines ``start`` to ``stop`` of a batch: x (B, H, W, C)."""
    lines = x.shape[2] if vertical else x.shape[1]
    per_picture = (lines + block - 1) // block
    for piece in range(start, stop):
        n, first = piece // per_picture, piece % per_picture * block
        for d in (0, 2) if vertical else (1, 3):
            _lines_forward(x[n], alpha, beta, out[n], d, first, min(first + block, lines))


@_compiled_sums
def _blocks_backward(out, grad, alpha, grad_x, sums, vertical, block, start, stop):
    """Run them back. ``sums`` (2, pieces, 4, C) gets ∂α and ∂β, each piece on its own."""
    lines = out.shape[2] if vertical else out.shape[1]
    per_picture = (lines + block - 1) // block
    for piece in range(start, stop):
        n, first = piece // per_picture, piece % per_picture * block
        last = min(first + block, lines)
        for d in (0, 2) if vertical else (1, 3):
            _lines_backward(
                out[n], grad[n], alpha, grad_x[n], sums[0, piece], sums[1, piece], d, first, last
            )


def kept_in() -> str | None:
    """Return the folder that the compiled loops are kept in; None: none could be written."""
    place = _planes_forward.stats.cache_path
    return None if place is None else str(place)


# -- between PyTorch and the loops ----------------------------------------------------------------


def forward(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Sweep x (B, C, H, W) in four directions; return (B, 4, C, H, W) in the layout of x."""
    batch, channels, height, width = x.shape
    alpha, beta = _array(alpha.contiguous()), _array(beta.contiguous())
    if not is_channels_last(x):
        x = x.contiguous()
        out = x.new_empty(batch, 4, channels, height, width)
        _share(_planes_forward, batch * channels, _array(x), alpha, beta, _array(out))
        return out
    out = x.new_empty(batch, height, width, 4, channels)
    pixels = _array(x.permute(0, 2, 3, 1))
    for vertical, block, lines in ((True, COLUMNS, width), (False, ROWS, height)):
        pieces = batch * -(-lines // block)
        _share(_blocks_forward, pieces, pixels, alpha, beta, _array(out), vertical, block)
    return out.permute(0, 3, 4, 1, 2)


def backward(out: Tensor, grad: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ∂x, ∂α and ∂β from the outputs and their gradient, both (B, 4, C, H, W)."""
    batch, _, channels, height, width = out.shape
    factors = _array(alpha.contiguous())
    if out.is_contiguous():
        grad_x = out.new_empty(batch, channels, height, width)
        sums = out.new_zeros(2, batch, 4, channels)
        arrays = [_array(t) for t in (grad_x, sums[0], sums[1])]
        gradient = _array(grad.contiguous())
        _share(_planes_backward, batch * channels, _array(out), gradient, factors, *arrays)
        return grad_x, *sums.sum(1)
    pixels, grad = (t.permute(0, 3, 4, 1, 2).contiguous() for t in (out, grad))
    grad_x = out.new_zeros(batch, height, width, channels)
    total = out.new_zeros(2, 4, channels)
    for vertical, block, lines in ((True, COLUMNS, width), (False, ROWS, height)):
        pieces = batch * -(-lines // block)
        sums = out.new_zeros(2, pieces, 4, channels)
        arrays = [_array(t) for t in (pixels, grad)], [_array(t) for t in (grad_x, sums)]
        _share(_blocks_backward, pieces, *arrays[0], factors, *arrays[1], vertical, block)
        total += sums.sum(1)
    return grad_x.permute(0, 3, 1, 2), *total


def is_channels_last(x: Tensor) -> bool:
    """Whether x (B, C, H, W) lies in memory as (B, H, W, C); not if both orders are the same."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _share(work: Callable[..., Any], count: int, *arguments: Any) -> None:
    """Run ``work(*arguments, start, stop)`` over range(count), in as many threads as PyTorch."""
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        work(*arguments, 0, count)
        return
    cuts = [count * k // threads for k in range(threads + 1)]
    pool = _pool(threads, os.getpid())
    jobs = [
        pool.submit(work, *arguments, *cut) for cut in zip(cuts, cuts[1:], strict=False)
    ]
    for job in jobs:
        job.result()


@lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return a pool of threads; a forked process does not inherit threads, so it gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="irnn")
