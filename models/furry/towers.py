"""The convolutional towers of the furry models, as timm builds them, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.errors import CorruptWeights, one_line

if TYPE_CHECKING:
    from torch import nn

EFFICIENTNETS = tuple(f"tf_efficientnetv2_{size}" for size in ("b3", "s", "b0", "b1", "b2", "m", "l"))
"""The published ones come first. Those named tf_ pad like TensorFlow; timm's efficientnetv2_s gives other values."""
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

    if name not in TOWERS:  # the name comes from a file: it must not reach timm unchecked
        raise CorruptWeights(f"{one_line(name)!r} is not a tower of a furry model.")
    return timm.create_model(name, pretrained=False, num_classes=0)
