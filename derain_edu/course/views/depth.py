"""The best weighted sum of channels: a linear regression of one set of features on another.

What a weighted sum of the channels finds is known at that depth of a network; what it misses, the
layers behind it have to work out.
"""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-8  # of the features' mean square: keeps the regression solvable if a channel is dead


def least_squares(features: Tensor, target: Tensor) -> Tensor:
    """Return the weights (C + 1, C'), double, of C channels and a constant that come closest.

    ``features`` is (B, C, H, W), ``target`` (B, C', H, W).
    """
    columns = features.double().movedim(1, -1).flatten(0, 2)  # (B, C, H, W) -> (B·H·W, C)
    x = torch.cat((columns, torch.ones_like(columns[:, :1])), dim=1)  # (B·H·W, C + 1)
    y = target.double().movedim(1, -1).flatten(0, 2)  # (B·H·W, C')
    gram = x.T @ x
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype, device=x.device)
    return torch.linalg.solve(gram + ridge, x.T @ y)
