"""Turns a state dict of the study's own code into a detector's file; `keepers convert realism` is this."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safetensors.torch import save
from torchvision.models import resnet18

from ...core.errors import KeepersError, WrongWeights, one_line
from ...core.files import atomic_write
from ...core.weights.assign import assign, build_on_meta, find_prefix
from ...core.weights.formats.read import read_tensors, require_finite
from .format import CLASS, Description, Shape
from .net import BasicDetector, from_torchvision
from .view import HALF, Window

if TYPE_CHECKING:
    from torch import Tensor, nn

Net = Literal["resnet18", "basic"]
"""torchvision's ResNet-18, the study's `TransferLearning`; and its own `ConvBasic`."""
SIDES = {55696: 250, 44944: 224}
"""Pixels that ConvBasic sees, by the values that its first dense layer reads: as its results were made, as it now
stands."""


@dataclass(frozen=True)
class Converted:
    """The result of a conversion."""

    path: Path
    described: Description
    tensors: int


def convert(source: Path, target: Path, net: Net, classes: Sequence[str], size: int = 0) -> Converted:
    """Write a detector's file from a state dict of `resnet18` or `ConvBasic`, as torch or safetensors saved it.

    The file may be of a net in `DataParallel`, or a checkpoint that has the weights under "state_dict" or "model"; no
    pickle is executed. `classes` names the outputs in their order. The view is the study's for that net: the middle of
    the picture in grey, `size` pixels (224, or what ConvBasic's dense layer reads), with ImageNet's mean and spread
    for ResNet-18 and 0.5 for ConvBasic. The file appears whole or not at all.

    Raises KeepersError, and its WrongWeights, CorruptWeights, UnsafeWeights and WriteFailed.
    """
    named = tuple(classes)
    if not 2 <= len(named) <= 1000 or len(set(named)) < len(named) or not all(map(CLASS.fullmatch, named)):
        raise KeepersError("--classes takes two or more different names, in the order of the outputs, as real,ai.")
    try:
        tensors = read_tensors(source)
    except OSError as error:
        raise KeepersError(f"{one_line(str(source))} cannot be read: {error.strerror or error}.") from error
    shape, view, found = (_resnet if net == "resnet18" else _basic)(tensors, source, len(named), size)
    require_finite(found, source)
    described = Description(
        named, shape, view, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), _origin(source, net)
    )
    contents = {name: tensor.clone().contiguous() for name, tensor in found.items()}
    atomic_write(target, save(contents, metadata=described.metadata()))
    return Converted(target, described, len(found))


def _origin(source: Path, net: Net) -> Mapping[str, str]:
    with source.open("rb") as file:
        digest = hashlib.sha256()
        while part := file.read(1 << 20):
            digest.update(part)
    return {"converted_from": source.name, "sha256": digest.hexdigest(), "net": net}


def _resnet(
    tensors: Mapping[str, Tensor], source: Path, classes: int, size: int
) -> tuple[Shape, Window, Mapping[str, Tensor]]:
    if not 0 <= size <= 2048 or 0 < size < 32:
        raise KeepersError("--size takes from 32 to 2048 pixels.")
    _outputs(tensors, "fc.weight", source, classes, exactly=True)
    found = _filled(lambda: resnet18(num_classes=classes), tensors, source, "resnet18")
    body = from_torchvision(found)
    return Shape("resnet"), Window(size or 224), {**body, "fc.weight": found["fc.weight"], "fc.bias": found["fc.bias"]}


def _basic(
    tensors: Mapping[str, Tensor], source: Path, classes: int, size: int
) -> tuple[Shape, Window, Mapping[str, Tensor]]:
    outputs = _outputs(tensors, "fc3.weight", source, classes, exactly=False)
    dense = next((tensor for name, tensor in tensors.items() if name.endswith("fc1.weight")), None)
    side = SIDES.get(dense.shape[-1] if dense is not None and dense.ndim else 0, 0)
    if not side:
        raise WrongWeights(
            source, "ConvBasic", detail=f"its first dense layer reads none of {', '.join(map(str, SIDES))}"
        )
    if size not in (0, side):
        raise KeepersError(f"This net sees {side} pixels and no others; leave --size out.")
    found = _filled(lambda: BasicDetector(outputs, size=side), tensors, source, "ConvBasic")
    return Shape("basic", outputs=outputs), Window(side, mean=HALF, std=HALF), found


def _outputs(tensors: Mapping[str, Tensor], last: str, source: Path, classes: int, *, exactly: bool) -> int:
    """How many outputs the last layer has. ConvBasic has ten, and uses as many as there are classes."""
    layer = next((tensor for name, tensor in tensors.items() if f".{name}".endswith(f".{last}")), None)
    if layer is None or layer.ndim != 2:
        other = {"fc.weight": ("fc3.weight", "basic"), "fc3.weight": ("layer4.0.conv1.weight", "resnet18")}[last]
        hint = f"; it looks like --net {other[1]}" if any(name.endswith(other[0]) for name in tensors) else ""
        raise WrongWeights(source, "resnet18" if exactly else "ConvBasic", detail=f"it has no layer {last}{hint}")
    outputs = len(layer)
    if classes > outputs or outputs > 1000 or (exactly and classes != outputs):
        raise KeepersError(f"{one_line(str(source))} has {outputs} outputs, and --classes names {classes}.")
    return outputs


def _filled(
    make: Callable[[], nn.Module], tensors: Mapping[str, Tensor], source: Path, model: str
) -> dict[str, Tensor]:
    """The tensors by the net's own names. Raises WrongWeights, which lists what is missing and what is too much."""
    net = build_on_meta(make)
    prefix = find_prefix(tensors, net.state_dict())
    return assign(net, tensors, path=source, model=model, prefix=prefix).state_dict()
