"""How the weights in ``derain_edu/weights`` were made: one training run each, from nothing.

``derain-edu train --recipe open-prn --out runs/open-prn`` does it again: the photos of the
training split, this project's own rain, a CPU. A run that was stopped goes on where it was. No
benchmark picture is used for training or for choosing anything.
"""

from __future__ import annotations

from derain_edu.errors import DerainError
from derain_edu.training_config import TrainConfig

_COMMON = {"data": "mix", "loss": "neg_ssim+l1", "schedule": "cosine", "batch_size": 8, "seed": 0}

# Minutes are for one thread of a 2.4 GHz server core; the runs count steps, not minutes.
RECIPES: dict[str, TrainConfig] = {
    "open-residual": TrainConfig(  # about 6 minutes
        model="residual", options={"blocks": 5}, steps=1200, patch_size=56, lr=2e-3, **_COMMON
    ),
    "open-prn": TrainConfig(  # about 20 minutes
        model="prn", options={"stages": 4}, steps=1000, patch_size=48, ema=0.995, **_COMMON
    ),
    "open-prenet": TrainConfig(  # about 40 minutes
        model="prenet", options={"stages": 4}, steps=1300, patch_size=48, ema=0.995, **_COMMON
    ),
}


def recipe(name: str) -> TrainConfig:
    """Return the recipe ``name``, for example ``"open-prn"``."""
    if name not in RECIPES:
        raise DerainError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
