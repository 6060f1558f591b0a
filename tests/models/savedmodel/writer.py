"""Writes SavedModels as TensorFlow does, as far as a conversion reads them: for odd cases, and for large ones."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from keepers.models.savedmodel.crc import crc32c

MAGIC = 0xDB4775248B80FB57
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Written(NamedTuple):
    """A float32 variable: its key in the bundle, its full name, its value."""

    key: str
    name: str
    value: NDArray[np.float32]


def mask(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def put_varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(number: int, content: bytes) -> bytes:
    """A text or a nested message as a field."""
    return put_varint(number << 3 | 2) + put_varint(len(content)) + content


def table(entries: Mapping[bytes, bytes], compression: int = 0) -> bytes:
    """A table of one block, as LevelDB writes it."""

    def block(pairs: Mapping[bytes, bytes]) -> bytes:
        body = b"".join(b"\0" + put_varint(len(k)) + put_varint(len(v)) + k + v for k, v in sorted(pairs.items()))
        return body + struct.pack("<II", 0, 1)

    def sealed(content: bytes, kind: int) -> bytes:
        return content + bytes([kind]) + struct.pack("<I", mask(crc32c(content + bytes([kind]))))

    data, empty = block(entries), block({})
    index = block({b"\xff": b"\0" + put_varint(len(data))})
    first, second = sealed(data, compression), sealed(empty, 0)
    places = (len(first), len(empty), len(first) + len(second), len(index))
    handles = b"".join(put_varint(place) for place in places)
    return first + second + sealed(index, 0) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def header(shards: int = 1, endian: int = 0) -> bytes:
    return b"\x08" + put_varint(shards) + b"\x10" + put_varint(endian)


def entry(dtype: int, sizes: Sequence[int], offset: int, size: int, crc: int, extra: bytes = b"") -> bytes:
    shape = b"".join(message(2, b"\x08" + put_varint(side)) for side in sizes)
    body = b"\x08" + put_varint(dtype) + message(2, shape) + b"\x20" + put_varint(offset) + b"\x28" + put_varint(size)
    return body + b"\x35" + struct.pack("<I", mask(crc)) + extra


def object_graph(variables: Sequence[Written]) -> bytes:
    """A root whose list of variables holds them in order."""
    listed = b"".join(
        message(1, b"\x08" + put_varint(index + 2) + message(2, str(index).encode())) for index in range(len(variables))
    )
    root = message(1, b"\x08\x01" + message(2, b"variables"))
    nodes = [root, listed]
    for one in variables:
        held = message(1, b"VARIABLE_VALUE") + message(2, one.name.encode()) + message(3, (one.key + VALUE).encode())
        nodes.append(message(2, held))
    return b"".join(message(1, node) for node in nodes)


def metadata(layers: Sequence[Mapping[str, Any]], outputs: Sequence[str], kind: str = "Functional") -> bytes:
    """keras_metadata.pb of a functional model."""
    config = {"layers": list(layers), "output_layers": [[name, 0, 0] for name in outputs]}
    text = json.dumps({"class_name": kind, "config": config}).encode()
    return message(1, message(3, b"root") + message(5, text))


def layers_of(size: int, heads: Mapping[str, int], hidden: int) -> list[dict[str, Any]]:
    """The layers of a furry model: a tower, and a hidden layer for each output."""

    def layer(kind: str, name: str, source: str, config: Mapping[str, Any]) -> dict[str, Any]:
        feeds = [[[source, 0, 0, {}]]] if source else []
        return {"class_name": kind, "name": name, "config": dict(config), "inbound_nodes": feeds}

    found = [
        layer("InputLayer", "in", "", {"batch_input_shape": [None, size, size, 3]}),
        layer("KerasLayer", "feature_layer", "in", {"handle": "made up"}),
    ]
    for name, units in heads.items():
        relu, sigmoid = {"units": hidden, "activation": "relu"}, {"units": units, "activation": "sigmoid"}
        found.append(layer("Dense", f"{name}_hidden_layer", "feature_layer", relu))
        found.append(layer("Dense", f"{name}_output", f"{name}_hidden_layer", sigmoid))
    return found


def convnext_variables(net: nn.Module, heads: Mapping[str, int], hidden: int) -> list[Written]:
    """Random variables under the names that the hub's ConvNeXt and six heads have."""
    random = np.random.default_rng(0)
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = [_convnext_variable(key, shape, random) for key, shape in shapes.items()]
    features = shapes["head.norm.weight"][0]
    for group, units in heads.items():
        for layer, sizes in ((f"{group}_hidden_layer", (features, hidden)), (f"{group}_output", (hidden, units))):
            found.append(_random(f"{layer}/kernel", f"{layer}/kernel", sizes, random))
            found.append(_random(f"{layer}/bias", f"{layer}/bias", sizes[1:], random))
    return found


def _convnext_variable(key: str, shape: tuple[int, ...], random: np.random.Generator) -> Written:
    path, _, part = key.rpartition(".")
    norm = "norm" in path or path == "stem.1" or path.endswith("downsample.0")
    word = ("gamma" if part == "weight" else "beta") if norm else "kernel" if part == "weight" else "bias"
    numbers = [int(number) for number in re.findall(r"\d+", path)]
    if "blocks" in path:
        count = 10 + numbers[0] * 100 + numbers[1]
        layer = {"conv_dw": f"conv2d_{count}", "norm": f"layer_normalization_{count}", "mlp.fc1": f"dense_{2 * count}"}
        inside = layer.get(path.split(".", 4)[-1], f"dense_{2 * count + 1}")
        name = f"convnext_block_{numbers[0]}_{numbers[1]}/{inside}/{word}"
    else:
        number = "" if path.startswith("stem") else "_9999" if path.startswith("head") else f"_{numbers[0]}"
        name = f"{'layer_normalization' if norm else 'conv2d'}{number}/{word}"
    sizes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(shape), range(len(shape)))
    if part == "gamma":
        return _random(f"variables/{key}", "Variable", shape, random)
    return _random(f"layer_with_weights-0/{name.replace('/', '.S')}:0", name, tuple(shape[i] for i in sizes), random)


def _random(key: str, name: str, shape: Sequence[int], random: np.random.Generator) -> Written:
    return Written(key, name, random.standard_normal(shape, dtype=np.float32))


def write_savedmodel(folder: Path, variables: Sequence[Written], layers: Sequence[Mapping[str, Any]]) -> Path:
    """A folder with the three files that a conversion reads."""
    (folder / "variables").mkdir(parents=True)
    entries, offset = {b"": header()}, 0
    with (folder / "variables" / "variables.data-00000-of-00001").open("wb") as data:
        for one in variables:
            content = np.ascontiguousarray(one.value).tobytes()
            entries[(one.key + VALUE).encode()] = entry(1, one.value.shape, offset, len(content), crc32c(content))
            offset += data.write(content)
        graph = object_graph(variables)
        length = put_varint(len(graph))
        lengths = struct.pack("<I", len(graph))
        seal = struct.pack("<I", mask(crc32c(lengths)))
        data.write(length + seal + graph)
        entries[GRAPH.encode()] = entry(7, (), offset, len(length + seal + graph), crc32c(lengths + seal + graph))
    (folder / "variables" / "variables.index").write_bytes(table(entries))
    outputs = [layer["name"] for layer in layers if str(layer["name"]).endswith("_output")]
    (folder / "keras_metadata.pb").write_bytes(metadata(layers, outputs))
    return folder
