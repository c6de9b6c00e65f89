"""Every network of the course, by name.

>>> model = create_model("prn")
>>> sum(p.numel() for p in model.parameters())
95107
"""

from derain_edu.models.registry import (
    create_model,
    list_models,
    model_name,
    model_options,
    register_model,
)

__all__ = ["create_model", "list_models", "model_name", "model_options", "register_model"]
