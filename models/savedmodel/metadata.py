"""Reads Keras 2's description of a saved model, `keras_metadata.pb`: its layers, and how they are connected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import CorruptWeights, one_line
from .proto import fields, nested, text

TRANSPARENT = ("Dropout", "Flatten")
"""Layers that leave a feature vector unchanged in inference."""


@dataclass(frozen=True)
class DenseLayer:
    """A dense layer of the model."""

    name: str
    units: int
    activation: str
    """By Keras' name."""


@dataclass(frozen=True)
class KerasModel:
    """A tower with chains of dense layers on top."""

    size: int
    """Pixels of the square input."""
    tower: str
    """The name of the layer that turns pixels into features."""
    handle: str
    """Where the tower came from (a hub address); empty if the file does not say."""
    chains: Mapping[str, tuple[DenseLayer, ...]]
    """By the output's group, in the order of the outputs: the dense layers from the features to it."""


def read_model(metadata: memoryview) -> KerasModel:
    """The structure of a functional model. Raises CorruptWeights for a damaged file or another kind of model."""
    try:
        config = _root(metadata)["config"]
        layers = {str(layer["name"]): layer for layer in config["layers"]}
        outputs = config["output_layers"]
        names = [one[0] for one in outputs] if isinstance(outputs[0], list) else [outputs[0]]
        walks = {str(name).partition("_")[0]: _walk(layers, str(name)) for name in names}
        if len(walks) < len(names):
            raise CorruptWeights("two outputs of it belong to the same group of tags")
        towers = {tower for tower, _ in walks.values()}
        if len(towers) != 1:
            raise CorruptWeights(f"its outputs do not share one tower of features ({', '.join(sorted(towers))})")
        tower = layers[towers.pop()]
        return KerasModel(
            size=_input_size(layers, tower),
            tower=str(tower["name"]),
            handle=str(tower["config"].get("handle", "")),
            chains={group: chain for group, (_, chain) in walks.items()},
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CorruptWeights(f"its keras_metadata.pb is not understood ({type(error).__name__}: {error})") from error


def _root(metadata: memoryview) -> dict[str, Any]:
    """The JSON of the model itself; other nodes describe its layers."""
    for number, node in fields(metadata):
        if number != 1:
            continue
        parts = {part: value for part, value in fields(nested(node)) if part in (3, 5)}
        if text(parts.get(3, memoryview(b""))) == "root":
            try:
                found = json.loads(text(parts[5]))
            except RecursionError as error:
                raise CorruptWeights("its keras_metadata.pb is nested too deeply") from error
            if found.get("class_name") not in ("Functional", "Model"):
                raise CorruptWeights(f"it is a {one_line(str(found.get('class_name')))}, not a functional Keras model")
            return found
    raise CorruptWeights("its keras_metadata.pb does not describe a Keras model")


def _walk(layers: Mapping[str, dict[str, Any]], name: str) -> tuple[str, tuple[DenseLayer, ...]]:
    """From an output back to the tower: the tower's name and the dense layers after it."""
    chain: list[DenseLayer] = []
    for _ in range(len(layers)):
        layer = layers[name]
        kind, config = layer["class_name"], layer["config"]
        if kind == "Dense":
            chain.append(DenseLayer(name, int(config["units"]), _activation(name, config)))
        elif kind not in TRANSPARENT:
            break
        name = _source(layer)
    if not chain or layers[name]["class_name"] == "InputLayer" or layers[_source(layers[name])]["inbound_nodes"]:
        kind = one_line(str(layers[name]["class_name"]))
        raise CorruptWeights(f"{one_line(name)!r} ({kind}) stands where a furry model has its tower of features")
    return name, tuple(reversed(chain))


def _activation(name: str, config: Mapping[str, Any]) -> str:
    activation = config["activation"]
    if not isinstance(activation, str) or config.get("use_bias") is False:
        raise CorruptWeights(f"the layer {one_line(name)!r} is no plain dense layer")
    return activation


def _source(layer: Mapping[str, Any]) -> str:
    """The name of the only layer that feeds this one."""
    (calls,) = layer["inbound_nodes"]
    (call,) = calls
    return str(call[0])


def _input_size(layers: Mapping[str, dict[str, Any]], tower: Mapping[str, Any]) -> int:
    shape = layers[_source(tower)]["config"]["batch_input_shape"]
    items = shape["items"] if isinstance(shape, dict) else shape
    _, height, width, channels = items
    if channels != 3 or height != width or not isinstance(height, int) or not 16 <= height <= 4096:
        raise CorruptWeights(f"its input is not a square colour image of a fixed size ({items})")
    return height
