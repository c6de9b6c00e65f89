"""Losses: what training pushes down.

A loss takes the derained and the clean pictures, both (B, 3, H, W), and returns one number, the
mean over the batch. So the loss of a large batch is the mean of the losses of its equal parts,
and it does not matter how many processes share the batch.

========== ============================== =========================================================
name       formula                        what it asks for
========== ============================== =========================================================
neg_ssim   −SSIM(x, y)                    the same local structure (PReNet's only loss)
l1         mean |x − y|                   the same values; a few large errors are forgiven
mse        mean (x − y)²                  the same values; large errors count most (it is the PSNR)
========== ============================== =========================================================

Names can be added up and weighted: ``"neg_ssim+l1"``, ``"neg_ssim+0.1*mse"``.

A progressive network gives one picture per stage. Either only the last one is compared with the
clean picture, as in the paper, or each stage t has a weight w_t and the loss is
Σ_t w_t · L(x_t, y). The authors of PReNet report (public thread 19 of their repository) the
weights 0.5 for stages 1 to 5 and 1.5 for stage 6, for runs in which the last stage alone made
gradients vanish or explode.

References
----------
Ren et al.: Progressive image deraining networks: a better and simpler baseline. CVPR 2019
(arXiv 1901.09221), section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.metrics import structural_similarity

Loss = Callable[[Tensor, Tensor], Tensor]  # (derained, clean), each (B, 3, H, W) -> one number


def neg_ssim(derained: Tensor, clean: Tensor) -> Tensor:
    """Return −SSIM over RGB: 11×11 Gaussian window, σ = 1.5, a border of zeros."""
    return -structural_similarity(derained, clean, padding="zero").mean()


def l1(derained: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute error."""
    return F.l1_loss(derained, clean)


def mse(derained: Tensor, clean: Tensor) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(derained, clean)


TERMS: dict[str, Loss] = {"neg_ssim": neg_ssim, "l1": l1, "mse": mse}


def make_loss(name: str) -> Loss:
    """Return a loss by name.

    Parameters
    ----------
    name : str
        ``"neg_ssim"``, ``"l1"``, ``"mse"``, or a sum such as ``"neg_ssim+0.1*l1"``.

    Raises
    ------
    DerainError
        If the name, or a part of the sum, is unknown.

    Examples
    --------
    >>> import torch
    >>> clean = torch.zeros(1, 3, 8, 8)
    >>> loss = make_loss("l1+2*mse")
    >>> round(loss(clean + 0.5, clean).item(), 3)  # 0.5 + 2 · 0.25
    1.0
    """
    terms = [_weighted_term(part, name) for part in name.split("+")]

    def loss(derained: Tensor, clean: Tensor) -> Tensor:
        return sum(weight * term(derained, clean) for weight, term in terms)

    return loss


def stage_loss(
    stages: Sequence[Tensor], clean: Tensor, loss: Loss, weights: Sequence[float] | None = None
) -> Tensor:
    """Return Σ_t w_t · loss(x_t, clean) over the stages of a progressive network.

    Parameters
    ----------
    stages : sequence of Tensor
        T pictures (B, 3, H, W), as ``model.unroll(rainy)`` returns them.
    clean : Tensor
        (B, 3, H, W).
    loss : callable
        What :func:`make_loss` returns.
    weights : sequence of float, optional
        T numbers; a stage of weight 0 costs nothing. Default: the last stage alone, weight 1.

    Raises
    ------
    DerainError
        If there is not exactly one weight per stage.
    """
    if weights is None:
        return loss(stages[-1], clean)
    if len(weights) != len(stages):
        raise DerainError(
            f"{len(weights)} stage weights for {len(stages)} stages: give one weight per stage"
        )
    return sum(w * loss(x_t, clean) for w, x_t in zip(weights, stages, strict=True) if w != 0)


def _weighted_term(part: str, name: str) -> tuple[float, Loss]:
    """Read one part of a sum: ``"l1"`` or ``"0.1*l1"``."""
    factor, _, term = part.strip().rpartition("*")
    try:
        return float(factor or 1), TERMS[term.strip()]
    except (KeyError, ValueError):
        raise DerainError(
            f"unknown loss {part.strip()!r} in {name!r}: choose {', '.join(TERMS)} "
            "or a sum such as 'neg_ssim+0.1*l1'"
        ) from None
