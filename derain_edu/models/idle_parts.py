"""Parts of a network that do nothing: found in the network, and in the text of a program."""

from __future__ import annotations

import ast

from torch import Tensor, nn


def idle_parameters(model: nn.Module, loss: Tensor) -> list[str]:
    """Return the parameters that want a gradient and get none, or one of zeros.

    Parameters
    ----------
    model : nn.Module
        Its ``.grad`` are overwritten.
    loss : Tensor
        One number, computed with the model from random inputs.

    Examples
    --------
    >>> import torch
    >>> model = nn.ModuleDict({"used": nn.Linear(2, 1), "forgotten": nn.Linear(2, 1)})
    >>> idle_parameters(model, model["used"](torch.ones(1, 2)).sum())
    ['forgotten.weight', 'forgotten.bias']
    """
    model.zero_grad(set_to_none=True)
    loss.backward()
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]


def dropped_results(source: str) -> list[str]:
    """Return the lines of a program that call a method and drop what it returns.

    Only methods of tensors that also exist with an underscore, which works in place: a line
    with ``x.mul(w)`` alone was most likely meant as ``x.mul_(w)`` or ``x = x.mul(w)``. The
    search can't see types, so it also reports ``names.add(name)``, where ``names`` is a set.

    Examples
    --------
    >>> dropped_results("y = x.mul(2)\\nx.mul_(2)\\nx.mul(2)\\nprint(x)")
    ['line 3: x.mul(2)']
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            name, has_goal = call.func.attr, any(word.arg == "out" for word in call.keywords)
            if hasattr(Tensor, name) and hasattr(Tensor, f"{name}_") and not has_goal:
                found.append((node.lineno, ast.unparse(node)))
    return [f"line {line}: {text}" for line, text in sorted(found)]
