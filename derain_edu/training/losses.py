"""Losses: what training pushes down.

A loss takes the derained and the clean pictures, both (B, 3, H, W), and returns one number, the
mean over the batch. So the loss of a large batch is the mean of the losses of its equal parts,
and it does not matter how many processes share the batch.

========== ============================== =========================================================
name       formula                        what it asks for
========== ============================== =========================================================
neg_ssim   −SSIM(x, y)                    the same local structure (PReNet's only loss)
l1         mean |x − y|                   the same values; a few large errors are forgiven
mse        mean (x − y)²                  the same values; large errors count most
neg_psnr   mean of 10·log₁₀(mse + 10⁻⁵)   the benchmarks' score itself, in dB: a picture with little
                                          or no rain counts as much as one in heavy rain
========== ============================== =========================================================

Names can be added up and weighted: ``"neg_ssim+l1"``, ``"neg_ssim+0.1*mse"``.

A progressive network gives one picture per stage. Either only the last one is compared with the
clean picture, as in the paper, or each stage t has a weight w_t and the loss is
Σ_t w_t · L(x_t, y). The authors of PReNet report (public thread 19 of their repository) the
weights 0.5 for stages 1 to 5 and 1.5 for stage 6, for runs in which the last stage alone made
gradients vanish or explode.

A network with attention can be told where the rain is: the square error between its (first) map
and a mask of the rain is added, as in SPANet. What counts as rain is a choice, :data:`MASKS`:

========== =======================================================================================
paper      where the rainy picture is brighter than the clean one by more than a threshold
released   where any channel differs: clip(sum(O − B), 0, 1) on unsigned bytes, in which
           −1 becomes 255, so neither the sign nor the size of a difference matters
true       where the rain generator says that it drew a streak: synthetic data only
========== =======================================================================================

References
----------
Ren et al.: Progressive image deraining networks: a better and simpler baseline. CVPR 2019
(arXiv 1901.09221), section 3.4. Wang et al.: Spatial attentive single-image deraining with a
high quality real rain dataset. CVPR 2019 (arXiv 1904.01538), section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


PSNR_FLOOR = 1e-5  # of the mean squared error: beyond 50 dB there is little left to gain


def neg_psnr(derained: Tensor, clean: Tensor) -> Tensor:
    """Return −PSNR over RGB in dB, of each picture by itself; it ends softly at 50 dB."""
    errors = (derained - clean).square().mean(dim=(1, 2, 3))  # (B,)
    return 10 * (errors + PSNR_FLOOR).log10().mean()


MASKS = ("paper", "released", "true")
# Brighter by more than this is rain, in the definition of the paper, which states no number. Ours:
# 3 of 255, so that rounding to 8 bits does not count as rain.
MASK_THRESHOLD = 3 / 255

TERMS: dict[str, Loss] = {"neg_ssim": neg_ssim, "l1": l1, "mse": mse, "neg_psnr": neg_psnr}


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


def rain_mask(rainy: Tensor, clean: Tensor, kind: str = "paper") -> Tensor:
    """Return where rain is, by the definition ``"paper"`` or ``"released"``.

    Parameters
    ----------
    rainy, clean : Tensor
        (B, 3, H, W) in [0, 1].
    kind : {"paper", "released"}

    Returns
    -------
    Tensor
        (B, 1, H, W), 0 or 1, float32.

    Examples
    --------
    >>> import torch
    >>> clean = torch.full((1, 3, 1, 3), 0.5)
    >>> rainy = clean + torch.tensor([0.2, 0.0, -0.01])  # a streak, nothing, a grain of noise
    >>> [rain_mask(rainy, clean, kind).flatten().tolist() for kind in ("paper", "released")]
    [[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
    """
    if kind == "paper":
        return ((rainy - clean).mean(dim=1, keepdim=True) > MASK_THRESHOLD).float()
    if kind == "released":
        rainy, clean = ((255 * picture).round().byte() for picture in (rainy, clean))
        difference = rainy - clean  # in bytes: 3 − 5 is 254
        return difference.long().sum(dim=1, keepdim=True).clamp(0, 1).float()
    raise DerainError(f"unknown mask {kind!r}: choose 'paper' or 'released'")


def attention_loss(
    attention: Tensor, batch: Mapping[str, Tensor], kind: str, weight: float = 1.0
) -> Tensor:
    """Return the weighted square error between an attention map and the mask of the rain.

    Parameters
    ----------
    attention : Tensor
        (B, 1, H, W) in (0, 1).
    batch : mapping
        ``rainy`` and ``clean`` (B, 3, H, W); for ``"true"`` also ``mask`` (B, 1, H, W).
    kind : str
        One of :data:`MASKS`.
    weight : float

    Raises
    ------
    DerainError
        If the kind is unknown, or the data know no true mask.
    """
    if kind != "true":
        mask = rain_mask(batch["rainy"], batch["clean"], kind)
    elif "mask" in batch:
        mask = batch["mask"].float()
    else:
        raise DerainError(
            "these data don't say where the rain is: choose the mask 'paper' or 'released', or "
            "train on synthetic rain"
        )
    return weight * F.mse_loss(attention, mask.to(attention.device))


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
