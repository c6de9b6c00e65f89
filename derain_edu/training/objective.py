"""What a training step pushes down: the network's pictures, and its attention, against the truth.

:mod:`derain_edu.training.losses` says how two pictures are compared; this module says which: the
last stage or all of them, and for a network with attention also its first map against a mask of the
rain.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from derain_edu.training.config import PRECISIONS, TrainConfig
from derain_edu.training.losses import Loss, attention_loss, stage_loss


def objective(
    model: nn.Module,
    batch: Mapping[str, Tensor],
    config: TrainConfig,
    loss: Loss,
    stages: int | None = None,
) -> Tensor:
    """Run a network on a batch and return the one number that training pushes down.

    Parameters
    ----------
    model : nn.Module
        With ``attend`` (needed for ``config.attention_mask``), with ``unroll`` (progressive), or
        with just a forward pass.
    batch : mapping
        ``rainy`` and ``clean`` (B, 3, H, W), on the model's device; ``mask`` (B, 1, H, W) where
        ``config.attention_mask`` is ``"true"``.
    config : TrainConfig
        Its precision, stage weights, and what concerns attention.
    loss : callable
        What :func:`derain_edu.training.losses.make_loss` returns.
    stages : int, optional
        T of a progressive network in this step. Default: its own.
    """
    rainy, low, maps = batch["rainy"], PRECISIONS[config.precision], None
    with torch.autocast(rainy.device.type, dtype=low, enabled=low is not None):
        if config.attention_mask:
            derained, maps = model.attend(rainy)  # (B, 3, H, W), (B, stages, H, W)
            pictures = [derained]
        elif hasattr(model, "unroll"):
            pictures = model.unroll(rainy, stages, checkpoint=config.checkpoint_stages)
        else:
            pictures = [model(rainy)]
    # A loss subtracts nearly equal numbers: always in float32.
    pictures = [x_t.float() for x_t in pictures]
    total = stage_loss(pictures, batch["clean"], loss, config.stage_weights)
    if maps is None:
        return total
    first = maps[:, :1].float()
    return total + attention_loss(first, batch, config.attention_mask, config.attention_weight)
