"""The recurrence of SPANet as one operation, with its translation to ONNX.

PyTorch lets a program define an operation that no tracing looks into, here ``derain_edu::sweep``,
and lets the export say how such an operation reads in ONNX: as a small function around ``Scan``,
which carries a state along an axis. ``Scan`` knows the axis and the direction, so nothing is
flipped or transposed. See :mod:`derain_edu.models.irnn` for the recurrence.
"""

from __future__ import annotations

from typing import Any

import torch
from onnxscript import FLOAT, graph, script
from onnxscript import opset18 as op
from onnxscript.values import Opset
from torch import Tensor, nn

from derain_edu.models.irnn import DIRECTIONS, sweep
from derain_edu.models.irnn_scan import MOVES
from derain_edu.models.spanet import IRNN


class ScanIRNN(nn.Module):
    """An :class:`~derain_edu.models.spanet.IRNN` made of ``derain_edu::sweep`` operations."""

    def __init__(self, irnn: IRNN) -> None:
        super().__init__()
        self.alphas = nn.ParameterList(alpha.clone() for alpha in irnn.alpha.detach())
        self.betas = nn.ParameterList(beta.clone() for beta in irnn.beta.detach())

    def forward(self, x: Tensor) -> Tensor:
        factors = zip(self.alphas, self.betas, DIRECTIONS, strict=True)
        swept = [sweep_op(x, alpha, beta, direction) for alpha, beta, direction in factors]
        return torch.stack(swept, dim=1)  # 4 × (B, C, H, W) -> (B, 4, C, H, W)


@torch.library.custom_op("derain_edu::sweep", mutates_args=())
def sweep_op(x: Tensor, alpha: Tensor, beta: Tensor, direction: str) -> Tensor:
    """Sweep x (B, C, H, W) in one direction; alpha and beta are (C,)."""
    return sweep(x, direction, alpha, beta)


@sweep_op.register_fake
def _shape_of_a_sweep(x: Tensor, alpha: Tensor, beta: Tensor, direction: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def onnx_sweep(direction: str) -> Any:
    """Return a sweep as a function of ONNX operators."""
    axis, reverse = MOVES[direction]
    backwards = int(reverse)

    # Functions are told apart by domain and name, and all four have the name below.
    @script(Opset(f"derain_edu.{direction}", 1), default_opset=op)
    def sweep_function(x: FLOAT, alpha: FLOAT, beta: FLOAT) -> FLOAT:
        a = op.Unsqueeze(alpha, op.Constant(value_ints=[1]))  # (C, 1), for lines (B, C, length)
        b = op.Unsqueeze(beta, op.Constant(value_ints=[1]))
        line = op.Gather(x, op.Constant(value_int=0), axis=axis)
        zeros = op.Sub(line, line)

        @graph()
        def step(h, bias, x_t):
            h_t = op.Relu(op.Add(op.Add(op.Mul(a, h), bias), x_t))
            return h_t, op.Identity(b), op.Identity(h_t)

        # The first pixel has no bias: the bias is a part of the state, and starts with zeros.
        last, bias_after, swept = op.Scan(
            zeros, op.Sub(b, b), x, body=step, num_scan_inputs=1,
            scan_input_axes=[axis], scan_input_directions=[backwards],
            scan_output_axes=[axis], scan_output_directions=[backwards],
        )  # fmt: skip
        return swept

    return sweep_function


_FUNCTIONS = {direction: onnx_sweep(direction) for direction in DIRECTIONS}


def _translate(x: Any, alpha: Any, beta: Any, direction: str) -> Any:
    return _FUNCTIONS[direction](x, alpha, beta)


TRANSLATIONS = {torch.ops.derain_edu.sweep.default: _translate}  # for torch.onnx.export
