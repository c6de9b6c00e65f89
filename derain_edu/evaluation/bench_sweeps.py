"""How fast are the sweeps? Each form of :mod:`derain_edu.models.irnn`, side by side.

Besides the forms that run in the package there is the loop that most people write first,
:func:`indexed_sweeps`. Forward it is as good as any loop. Backward, each ``x[:, :, i]`` makes a
gradient as large as the whole picture, nearly all of it zeros, so the time grows with the square
of the length.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from derain_edu.evaluation.timing import interleave, machine_line, speedup
from derain_edu.models import create_model
from derain_edu.models.irnn import irnn_stack
from derain_edu.models.irnn_scan import MOVES
from derain_edu.text import table

WAYS = {
    "loop over unbind": ("loop", False),
    "rows": ("rows", False),
    "numba": ("numba", False),
    "numba, channels-last": ("numba", True),
}


def indexed_sweeps(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """The four sweeps with an index per step: what most people write first, slow to train."""
    swept = []
    for k, (axis, reverse) in enumerate(MOVES.values()):
        a, b = alpha[k].view(-1, 1), beta[k].view(-1, 1)
        order = range(x.shape[axis])[::-1] if reverse else range(x.shape[axis])
        lines: dict[int, Tensor] = {}
        h = None
        for i in order:
            line = x[:, :, i] if axis == 2 else x[:, :, :, i]
            h = line.relu() if h is None else (a * h + b + line).relu()
            lines[i] = h
        swept.append(torch.stack([lines[i] for i in sorted(lines)], dim=axis))
    return torch.stack(swept, dim=1)


def forward_times(size: int, channels: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of forward passes over a picture of ``size`` by way, run in turn."""
    ways: dict[str, Callable[[], object]] = {}
    for name, (method, channels_last) in WAYS.items():
        inputs = _inputs(size, channels, channels_last)
        ways[name] = lambda inputs=inputs, method=method: irnn_stack(*inputs, method)
    x = _inputs(size, channels)[0]
    ways["(only writing four copies)"] = lambda: [x.clone() for _ in range(4)]
    with torch.no_grad():
        return interleave(ways, rounds)


def training_times(size: int, channels: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of a forward and a backward pass by way, run in turn."""
    ways: dict[str, Callable[[], object]] = {}
    for name, (method, channels_last) in WAYS.items():
        inputs = [t.requires_grad_() for t in _inputs(size, channels, channels_last)]
        ways[name] = _there_and_back(
            lambda *args, method=method: irnn_stack(*args, method), inputs
        )
    inputs = [t.requires_grad_() for t in _inputs(size, channels)]
    ways["loop that indexes"] = _there_and_back(indexed_sweeps, inputs)
    return interleave(ways, rounds)


def bench_irnn(
    sizes: tuple[int, ...] = (256, 512), channels: int = 32, rounds: int = 5
) -> str:
    """Compare the forms of the recurrence: all four directions, forward, and with backward."""
    title = f"Four sweeps over {channels} channels, all ways in turn in this one process"
    parts = [title, machine_line()]
    for size in sizes:
        parts += ["", f"Forward, {size}×{size}", _as_table(forward_times(size, channels, rounds))]
    training = training_times(sizes[0], channels, rounds)
    parts += ["", f"Forward and backward, {sizes[0]}×{sizes[0]}", _as_table(training)]
    return "\n".join(parts)


@torch.inference_mode()
def bench_spanet(rounds: int = 3, size: int = 512) -> str:
    """Compare the forward pass of SPANet on one picture; the difference is to the first way."""
    rainy = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    state = create_model("spanet").state_dict()
    ways = {
        "plain loop": _spanet_way(state, rainy, method="loop"),
        "loop, channels-last": _spanet_way(state, rainy, method="loop", channels_last=True),
        "numba": _spanet_way(state, rainy),
        "numba, channels-last": _spanet_way(state, rainy, channels_last=True),
        "the same in bf16": _spanet_way(state, rainy, channels_last=True, low=True),
    }
    expected = ways["plain loop"]()
    seconds = interleave(ways, rounds)
    rows = []
    for name, runs in seconds.items():
        difference = (ways[name]() - expected).abs().max().item()
        faster = speedup(seconds["plain loop"], runs)
        rows.append([name, f"{median(runs):.2f}", f"{faster:.2f}×", f"{difference:.0e}"])
    title = f"SPANet on one picture of {size}×{size}"
    return "\n".join([title, machine_line(), table(["way", "s", "speed", "difference"], rows)])


def _spanet_way(
    state: dict[str, Tensor],
    rainy: Tensor,
    method: str | None = None,
    channels_last: bool = False,
    low: bool = False,
) -> Callable[[], Tensor]:
    model = create_model("spanet", irnn_method=method).eval()
    model.load_state_dict(state)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model, rainy = model.to(memory_format=layout), rainy.contiguous(memory_format=layout)

    def way() -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            return model(rainy).float()

    return way


def _as_table(seconds: dict[str, list[float]]) -> str:
    plain = seconds["loop over unbind"]
    rows = [
        [name, f"{1000 * median(runs):.1f}", f"{speedup(plain, runs):.2f}×"]
        for name, runs in seconds.items()
    ]
    return table(["way", "ms", "speed"], rows)


def _inputs(size: int, channels: int, channels_last: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, channels, size, size, generator=generator)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    alpha, beta = torch.rand(2, 4, channels, generator=generator)
    return [x, alpha, beta - 0.5]


def _there_and_back(
    sweeps: Callable[..., Tensor], inputs: list[Tensor]
) -> Callable[[], tuple[Tensor, ...]]:
    # The gradient that arrives lies in memory as the output does, as behind a convolution.
    arriving = torch.randn_like(sweeps(*inputs).detach())
    return lambda: torch.autograd.grad(sweeps(*inputs), inputs, arriving)
