"""Which TensorFlow variable becomes which tensor of timm's tower, by the variables' names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...core.errors import CorruptWeights
from .towers import CONVNEXTS, EFFICIENTNETS, MOBILENETS, make_tower

if TYPE_CHECKING:
    from torch import nn

    from ..savedmodel.bundle import Variable

KERNEL, DEPTHWISE, MATRIX = (3, 2, 0, 1), (2, 3, 0, 1), (1, 0)
"""From TensorFlow's axes (height, width, in, out) to torch's (out, in, height, width)."""
PARTS = {
    "kernel": "weight", "weights": "weight", "depthwise_kernel": "weight", "depthwise_weights": "weight",
    "bias": "bias", "biases": "bias", "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
"""The last word of a variable's name, in Keras and in TF-Slim, and torch's word for it."""


class Piece(NamedTuple):
    """A variable and the new order of its axes; empty if they stay as they are."""

    variable: Variable
    axes: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in torch's order."""
        return tuple(self.variable.shape[axis] for axis in self.axes) if self.axes else self.variable.shape


Renaming = dict[str, Piece]
Rename = Callable[[Sequence["Variable"], "nn.Module"], Renaming]


def recognise(variables: Sequence[Variable]) -> tuple[str, Renaming]:
    """The timm tower that these variables are, and the variable for each of its tensors.

    Every variable is used. Raises CorruptWeights, with the names that have no place.
    """
    names = " ".join(variable.name for variable in variables)
    if "convnext_block_" in names:
        return _first_fitting(CONVNEXTS, variables, convnext)
    if "expanded_conv" in names:
        return _first_fitting(MOBILENETS, variables, mobilenet)
    if "blocks_0/" in names:
        return _first_fitting(EFFICIENTNETS, variables, efficientnet)
    some = ", ".join(variable.name for variable in variables[:5])
    raise CorruptWeights(f"its tower is none of EfficientNetV2, ConvNeXt and MobileNetV3 (variables: {some}, …)")


def _first_fitting(towers: Iterable[str], variables: Sequence[Variable], rename: Rename) -> tuple[str, Renaming]:
    from ...core.weights.assign import build_on_meta

    problems = {}
    for tower in towers:
        net = build_on_meta(lambda tower=tower: make_tower(tower))
        try:
            return tower, fitted(net, variables, rename)
        except CorruptWeights as error:
            problems[tower] = str(error)
    # The complaint of the closest tower is the useful one.
    tower = min(problems, key=lambda name: len(problems[name]))
    raise CorruptWeights(f"its tower fits none that is known; as {tower}: {problems[tower]}")


def fitted(net: nn.Module, variables: Sequence[Variable], rename: Rename) -> Renaming:
    """The renaming, once it gives exactly the tensors of a net. Raises CorruptWeights."""
    found = rename(variables, net)
    if len(found) < len(variables):
        used = {piece.variable.key for piece in found.values()}
        left = [variable.name or variable.key for variable in variables if variable.key not in used]
        raise CorruptWeights(f"no place for {_some(left)}")
    wanted = {key: tuple(t.shape) for key, t in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    if missing := wanted.keys() - found.keys():
        raise CorruptWeights(f"no variable for {_some(sorted(missing))}")
    if more := found.keys() - wanted.keys():
        raise CorruptWeights(f"no place for {_some(sorted(found[key].variable.name for key in more))}")
    odd = [key for key in wanted if wanted[key] != found[key].shape]
    if odd:
        name = found[odd[0]].variable.name
        raise CorruptWeights(f"{name} has the shape {found[odd[0]].variable.shape}, which does not fit {odd[0]}")
    return found


def efficientnet(variables: Sequence[Variable], net: nn.Module) -> Renaming:
    """Google's own EfficientNetV2: blocks are numbered across all stages."""
    places = _places(net)
    layers: dict[str, set[str]] = {}
    for variable in variables:
        group, layer, _ = _efficientnet_name(variable)
        layers.setdefault(group, set()).add(layer)
    found: Renaming = {}
    for variable in variables:
        group, layer, part = _efficientnet_name(variable)
        place = "" if group in OUTSIDE else _place(places, group.removeprefix("blocks_"))
        word = OUTSIDE.get(group, _block_words(layers[group])).get(layer)
        if word and place is not None:
            found[f"{place}{word}.{PARTS.get(part, part)}"] = _piece(variable)
    return found


OUTSIDE: Mapping[str, Mapping[str, str]] = {
    "stem": {"conv2d": "conv_stem", "tpu_batch_normalization": "bn1"},
    "head": {"conv2d": "conv_head", "tpu_batch_normalization": "bn2"},
}


def _efficientnet_name(variable: Variable) -> tuple[str, str, str]:
    """The stem, the head or a block; the layer inside; the part of the layer. The model's own name comes first.

    Keras numbers every stem but the first in a program.
    """
    _, _, inside = variable.name.partition("/")
    group, _, rest = inside.partition("/")
    layer, _, part = rest.rpartition("/")
    return re.sub(r"^(stem|head)_\d+$", r"\1", group), layer, part


def _block_words(layers: set[str]) -> dict[str, str]:
    """timm's names for a block's layers; which layers a block has tells its kind."""
    norm = "tpu_batch_normalization"
    if "depthwise_conv2d" in layers:
        return {
            "conv2d": "conv_pw", norm: "bn1", "depthwise_conv2d": "conv_dw", f"{norm}_1": "bn2",
            "se/conv2d": "se.conv_reduce", "se/conv2d_1": "se.conv_expand", "conv2d_1": "conv_pwl", f"{norm}_2": "bn3",
        }  # fmt: skip
    if "conv2d_1" in layers:
        return {"conv2d": "conv_exp", norm: "bn1", "conv2d_1": "conv_pwl", f"{norm}_1": "bn2"}
    return {"conv2d": "conv", norm: "bn1"}


_MODEL = re.compile(r"^.*?(?=Conv(_\d)?/|expanded_conv)")
"""The model's own name, which TF-Slim puts first."""


def mobilenet(variables: Sequence[Variable], net: nn.Module) -> Renaming:
    """MobileNetV3 of Keras or TF-Slim: the names differ only in the last word."""
    places = _places(net)
    last = places[-1]
    outside = {"Conv": ("conv_stem", "bn1"), "Conv_1": (f"{last}conv", f"{last}bn1"), "Conv_2": ("conv_head", "")}
    found: Renaming = {}
    for variable in variables:
        path, _, part = _MODEL.sub("", variable.name, count=1).rpartition("/")
        first, _, layer = path.partition("/")
        if first in outside:
            target = outside[first][layer == "BatchNorm"]
        else:
            place = _place(places, first.removeprefix("expanded_conv").removeprefix("_") or "0")
            expanded = any(f"{first}/expand/" in other.name for other in variables)
            words = _inverted_words(expanded).get(layer)
            target = f"{place}{words}" if place is not None and words else ""
        if target:
            found[f"{target}.{PARTS.get(part, part)}"] = _piece(variable)
    return found


def _inverted_words(expanded: bool) -> dict[str, str]:
    se = {"squeeze_excite/Conv": "se.conv_reduce", "squeeze_excite/Conv_1": "se.conv_expand"}
    if not expanded:
        return {
            "depthwise": "conv_dw", "depthwise/BatchNorm": "bn1",
            "project": "conv_pw", "project/BatchNorm": "bn2", **se,
        }  # fmt: skip
    return {
        "expand": "conv_pw", "expand/BatchNorm": "bn1", "depthwise": "conv_dw", "depthwise/BatchNorm": "bn2",
        "project": "conv_pwl", "project/BatchNorm": "bn3", **se,
    }  # fmt: skip


def convnext(variables: Sequence[Variable], net: nn.Module) -> Renaming:
    """ConvNeXt: layers are numbered in the order in which they were made, inside blocks and outside.

    The layer scales are all called "Variable": TensorFlow keeps only the last under its name, and the others by their
    place in the model's list of variables. `variables` come in that list's order, which is the order of the blocks.
    """
    del net
    block = re.compile(r"convnext_block_(\d+)_(\d+)/")
    blocks: dict[tuple[int, int], list[Variable]] = {}
    outside: list[Variable] = []
    scales: list[Variable] = []
    for variable in variables:
        if match := block.search(variable.name):
            blocks.setdefault((int(match[1]), int(match[2])), []).append(variable)
        else:
            (scales if "/" not in variable.name else outside).append(variable)
    found: Renaming = {}
    for stage, number in sorted(blocks):
        names = ("conv_dw", "norm", "mlp.fc1", "mlp.fc2")
        found |= _in_order(blocks[stage, number], [f"stages.{stage}.blocks.{number}.{name}" for name in names])
    downs = [f"stages.{stage}.downsample" for stage in range(1, 4)]
    convs = [variable for variable in outside if "conv2d" in variable.name]
    norms = [variable for variable in outside if "layer_normalization" in variable.name]
    found |= _in_order(convs, ["stem.0", *(f"{down}.1" for down in downs)])
    found |= _in_order(norms, ["stem.1", *(f"{down}.0" for down in downs), "head.norm"])
    for (stage, number), scale in zip(sorted(blocks), scales, strict=False):
        found[f"stages.{stage}.blocks.{number}.gamma"] = Piece(scale)
    return found


def _in_order(variables: Iterable[Variable], targets: Sequence[str]) -> Renaming:
    """Layers to targets: convolutions, norms and dense layers, each kind ordered by Keras' numbers."""
    layers: dict[str, list[Variable]] = {}
    for variable in variables:
        layers.setdefault(variable.name.rpartition("/")[0], []).append(variable)
    ordered = sorted(layers, key=_rank)
    return {
        f"{target}.{PARTS.get(part, part)}": _piece(variable)
        for layer, target in zip(ordered, targets, strict=False)
        for variable in layers[layer]
        if (part := variable.name.rpartition("/")[2])
    }


def _rank(layer: str) -> tuple[int, int]:
    """Sort key: the kinds in their order within a block, then the numbers; a layer without a number came first."""
    name = layer.rpartition("/")[2]
    kinds = ("conv2d", "layer_normalization", "dense")
    kind = next((place for place, word in enumerate(kinds) if name.startswith(word)), len(kinds))
    number = re.search(r"_(\d+)$", name)
    return kind, int(number[1]) if number else 0


def _places(net: nn.Module) -> list[str]:
    """The prefix of every block of timm's tower, across all stages."""
    names = dict.fromkeys(match[0] for key in net.state_dict() if (match := re.match(r"blocks\.\d+\.\d+\.", key)))
    return list(names)


def _place(places: Sequence[str], number: str) -> str | None:
    return places[int(number)] if number.isdecimal() and int(number) < len(places) else None


def _piece(variable: Variable) -> Piece:
    last = variable.name.rpartition("/")[2]
    axes: Mapping[int, tuple[int, ...]] = {4: DEPTHWISE if last.startswith("depthwise") else KERNEL, 2: MATRIX}
    return Piece(variable, axes.get(len(variable.shape), ()))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
