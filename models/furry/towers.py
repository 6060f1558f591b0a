"""The convolutional towers of the furry models, as timm builds them: by name, and empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.errors import CorruptWeights, one_line

if TYPE_CHECKING:
    from torch import nn

EFFICIENTNETS = tuple(f"tf_efficientnetv2_{size}" for size in ("b3", "s", "b0", "b1", "b2", "m", "l"))
"""The published ones first. The tf_ ones pad like TensorFlow; timm's own efficientnetv2_s gives other numbers."""
CONVNEXTS = ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large")
MOBILENETS = (
    "tf_mobilenetv3_small_100",
    "tf_mobilenetv3_small_075",
    "tf_mobilenetv3_large_100",
    "tf_mobilenetv3_large_075",
)
TOWERS = (*EFFICIENTNETS, *CONVNEXTS, *MOBILENETS)


def make_tower(name: str) -> nn.Module:
    """The tower without its classifier, to [B, F] features. Raises CorruptWeights."""
    import timm

    if name not in TOWERS:  # the name comes from a file: timm must not be asked for just anything
        raise CorruptWeights(f"{one_line(name)!r} is not a tower of a furry model.")
    return timm.create_model(name, pretrained=False, num_classes=0)
