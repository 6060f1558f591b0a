"""Turns a published furry SavedModel into one safetensors file, without TensorFlow; `keepers convert furry` is this."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.errors import CorruptWeights, WrongWeights, one_line
from ...core.files import atomic_write
from ..savedmodel.metadata import DenseLayer, KerasModel, read_model
from ..savedmodel.source import SavedModel, open_savedmodel
from .format import CUTS, Layout
from .labels import built_in_tags
from .names import Piece, recognise
from .net import ACTIVATIONS
from .safetensors_stream import PlannedTensor, write_safetensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..savedmodel.bundle import Bundle, Variable

NOT_OF_THE_NET = re.compile(r"(optimizer|keras_api)/|save_counter/|.*/\.OPTIMIZER_SLOT/|_iterations/")
"""Keys of what only training needs: the optimizer's state and the running metrics."""
Recognise = Callable[[Sequence["Variable"]], tuple[str, dict[str, Piece]]]


@dataclass(frozen=True)
class ConvertOptions:
    """What the user may choose about a conversion."""

    normalised: bool | None = None
    """Whether the net expects normalised pixels; None: as the author's table says of its tower."""
    cuts: tuple[float, float] = CUTS
    """Where questionable and explicit begin."""


class Converted(NamedTuple):
    """The result of a conversion."""

    path: Path
    layout: Layout
    tensors: int
    skipped: tuple[str, ...]
    """Keys of the variables that only training needs."""


def convert(
    source: Path,
    target: Path | Callable[[Layout], Path],
    options: ConvertOptions = ConvertOptions(),
    *,
    tags: Mapping[str, tuple[str, ...]] | None = None,
    recognise: Recognise = recognise,
) -> Converted:
    """Convert a zip or folder into `target`, a path or a function that chooses one.

    Every variable of the net is used or refused by name, and every checksum is verified. The file appears whole or not
    at all. `tags` are the tags of each output, `recognise` finds the tower: both are for nets that are not published.
    Raises CorruptWeights, UnsafeWeights, WrongWeights and OSError.
    """
    with open_savedmodel(source) as model:
        try:
            structure = read_model(model.metadata)
            net, skipped = _net_variables(model.bundle)
            head_plans, left = _heads(structure, net, model.bundle)
            backbone, renaming = recognise(left)
        except CorruptWeights as error:
            raise CorruptWeights(
                f"{one_line(str(source))} is not a furry model that can be converted: {error}."
            ) from error
        layout = _layout(structure, backbone, model, options, tags or built_in_tags(), source)
        tower_plans = {f"tower.{key}": _plan(model.bundle, piece) for key, piece in renaming.items()}
        plans = {**tower_plans, **head_plans}
        path = target if isinstance(target, Path) else target(layout)
        atomic_write(path, lambda file: write_safetensors(file, plans, layout.metadata()))
    return Converted(path, layout, len(plans), skipped)


def _net_variables(bundle: Bundle) -> tuple[list[Variable], tuple[str, ...]]:
    """The net's variables in the model's order, and the keys of all others."""
    net = [variable for variable in bundle.variables if not NOT_OF_THE_NET.match(variable.key)]
    nameless = [variable.key for variable in net if not variable.name]
    if nameless:
        raise CorruptWeights(f"nobody knows what {', '.join(map(one_line, nameless[:5]))} is")
    return net, tuple(variable.key for variable in bundle.variables if NOT_OF_THE_NET.match(variable.key))


def _heads(
    structure: KerasModel, net: Sequence[Variable], bundle: Bundle
) -> tuple[dict[str, PlannedTensor], list[Variable]]:
    """The tensors of the dense layers, found by their full names, and the variables left over."""
    named = {variable.name: variable for variable in net}
    plans, used = {}, set()
    for group, chain in structure.chains.items():
        for index, layer in enumerate(chain):
            kernel, bias = _dense(layer, named)
            plans[f"heads.{group}.{index}.weight"] = _plan(bundle, Piece(kernel, (1, 0)))
            plans[f"heads.{group}.{index}.bias"] = _plan(bundle, Piece(bias))
            used |= {kernel.key, bias.key}
    return plans, [variable for variable in net if variable.key not in used]


def _dense(layer: DenseLayer, named: Mapping[str, Variable]) -> tuple[Variable, Variable]:
    """Kernel and bias of a dense layer. Raises CorruptWeights."""
    kernel, bias = (named.get(f"{layer.name}/{part}") for part in ("kernel", "bias"))
    if kernel is None or bias is None:
        raise CorruptWeights(f"the layer {one_line(layer.name)!r} has no kernel or no bias")
    if len(kernel.shape) != 2 or kernel.shape[1] != layer.units or bias.shape != (layer.units,):
        raise CorruptWeights(f"the layer {one_line(layer.name)!r} has other shapes than its description")
    if layer.activation not in ACTIVATIONS:
        raise CorruptWeights(
            f"the layer {one_line(layer.name)!r} has the unknown activation {one_line(layer.activation)!r}"
        )
    return kernel, bias


def _plan(bundle: Bundle, piece: Piece) -> PlannedTensor:
    def make() -> NDArray[np.float32]:
        array = bundle.array(piece.variable.key).astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise CorruptWeights(f"the variable {one_line(piece.variable.name)} holds NaN or infinity.")
        return array.transpose(piece.axes) if piece.axes else array

    return PlannedTensor(piece.shape, make)


def _layout(
    structure: KerasModel,
    backbone: str,
    model: SavedModel,
    options: ConvertOptions,
    tags: Mapping[str, tuple[str, ...]],
    source: Path,
) -> Layout:
    """What the tensors do not say. Raises WrongWeights where an output's values and known tags differ in number."""
    for group, chain in structure.chains.items():
        units, known = chain[-1].units, len(tags.get(group, ()))
        if units != known:
            detail = f"its output {one_line(group)!r} has {units} values, and {known} tags are known for it"
            raise WrongWeights(source, "furry", detail=detail)
    digest = hashlib.sha256()
    for shard in model.shards:
        digest.update(shard)
    # By the author's table, only the MobileNet was trained on pixels from 0 to 1.
    normalised = "mobilenet" not in backbone if options.normalised is None else options.normalised
    return Layout(
        backbone=backbone,
        size=structure.size,
        tags={group: tuple(tags[group]) for group in structure.chains},
        activations={group: tuple(layer.activation for layer in chain) for group, chain in structure.chains.items()},
        normalised=normalised,
        cuts=options.cuts,
        source=model.name,
        source_sha256=digest.hexdigest(),
        handle=structure.handle,
    )
