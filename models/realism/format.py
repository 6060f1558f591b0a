"""The description in a detector's file: net, classes, view, and how it was trained. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..own_files import OwnFormat
from .view import Window

Kind = Literal["resnet", "basic", "probe"]
CLASS = re.compile(r'[^\x00-\x1f"\\]{1,64}')


@dataclass(frozen=True)
class Shape:
    """How a net is built."""

    kind: Kind
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    """The number of blocks in each stage of a residual net."""
    width: int = 64
    """Channels of a residual net's first stage; features of a probe's backbone."""
    outputs: int = 0
    """Outputs of the small net; 0 means one for each class."""
    base: str = ""
    """A probe's backbone, as "siglip" or "timm:convnext_tiny.fb_in22k"."""


@dataclass(frozen=True)
class Description:
    """Everything needed to use a detector, and what a user wants to know about it."""

    classes: tuple[str, ...]
    shape: Shape
    view: Window
    trained: str = ""
    """ISO 8601, UTC."""
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Recipe, data and history of the training, for people to read."""
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Measured on held-out images."""

    def metadata(self) -> dict[str, str]:
        """The metadata of a safetensors file."""
        return FORMAT.metadata(asdict(self))


def _read(found: Mapping[str, Any]) -> Description:
    classes = tuple(str(name) for name in found["classes"])
    if not 2 <= len(classes) <= 1000 or len(set(classes)) != len(classes) or not all(map(CLASS.fullmatch, classes)):
        raise ValueError("its classes are not 2 to 1000 different names")
    return Description(
        classes=classes,
        shape=_shape(found["shape"]),
        view=_view(found["view"]),
        trained=str(found.get("trained", "")),
        training=dict(found.get("training", {})),
        metrics=dict(found.get("metrics", {})),
    )


def _shape(found: Mapping[str, Any]) -> Shape:
    shape = Shape(
        found["kind"], tuple(map(int, found["blocks"])), int(found["width"]), int(found["outputs"]), str(found["base"])
    )
    sound = (
        shape.kind in ("resnet", "basic", "probe")
        and 1 <= len(shape.blocks) <= 6
        and all(1 <= count <= 64 for count in shape.blocks)
        and 1 <= shape.width <= 65536
        and 0 <= shape.outputs <= 1000
    )
    if not sound:
        raise ValueError(f"there is no such net: {found}")
    return shape


def _view(found: Mapping[str, Any]) -> Window:
    mean, std = (tuple(float(value) for value in found[name]) for name in ("mean", "std"))
    size = int(found["size"])
    if len(mean) != 3 or len(std) != 3 or not 32 <= size <= 2048 or min(std) <= 0:
        raise ValueError(f"there is no such view: {found}")
    return Window(size, bool(found["grey"]), (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


FORMAT = OwnFormat(
    key="keepers_detector",
    number=1,
    what="a realism detector",
    read=_read,
    missing="it says nothing of itself: train one with keepers train",
    other="it was made by a newer Keepers",
    damaged="its description is damaged ({error})",
)
