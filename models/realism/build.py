"""From a description to a net: filled from a file, or with fresh weights for training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...core.weights.assign import assign, build_on_meta
from .format import Description, Shape
from .net import BasicDetector, Detector, Probe, ResNetDetector
from .probe import backbone
from .view import Window

if TYPE_CHECKING:
    from ...core.spec import Build, LookUp, View


def make_net(shape: Shape, classes: int, view: Window) -> ResNetDetector | BasicDetector:
    """A net with fresh weights from torch's generator in its current state. Not for probes."""
    if shape.kind == "basic":
        return BasicDetector(shape.outputs or classes, size=view.size)
    assert shape.kind == "resnet"
    return ResNetDetector(classes, blocks=shape.blocks, width=shape.width)


@dataclass(frozen=True)
class Filled:
    """A detector ready for use."""

    module: Detector
    views: tuple[View, ...]
    parts: tuple[nn.Module, ...]


def filled(described: Description, given: Build, tensors: Mapping[str, Tensor], path: Path, look_up: LookUp) -> Filled:
    """The net with the file's tensors, and what it sees. Raises WrongWeights, and what a probe's backbone raises."""
    classes, shape = len(described.classes), described.shape
    base = backbone(shape.base, given, look_up) if shape.kind == "probe" else None
    net = build_on_meta(
        lambda: Probe(base.features, shape.width, classes) if base else make_net(shape, classes, described.view)
    )
    assign(net, tensors, path=path, model="a realism detector")
    if shape.kind == "resnet":
        net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub lacks this overload
    module = Detector(net, classes)
    if base:
        return Filled(module, base.views, (module, *base.parts))
    return Filled(module, (described.view,), (module,))
