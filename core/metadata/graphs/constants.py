"""Numbers and words that a graph holds: at an input, or behind its link in nodes that only pass a value on."""

from __future__ import annotations

import re
from collections.abc import Collection

from .graph import Graph, Link, Node

_DEPTH = 32
"""The most links that are followed in a row."""
_USUAL = (
    "value", "int", "float", "number", "seed", "boolean", "string", "text", "choice", "noise_seed", "seed_num",
    "input_seed", "Xi", "combo", "any", "anything", "sampler_name", "scheduler", "ckpt_name", "unet_name",
)  # fmt: skip
_COMPUTED = (
    "aspect", "ratio", "preset", "resolution", "expression", "operation", "operator", "op", "mode", "a", "x", "min",
    "minimum", "min_value",
)  # fmt: skip
"""A node with such an input does not only pass a value on."""
_COMPUTING = re.compile(r"not\b|invert|negate|compare|math|random|calc", re.IGNORECASE)


def number(graph: Graph, node: Node, names: Collection[str]) -> int | float | None:
    """The number at the first of these inputs that has one."""
    return next((v for name in names if (v := _number(graph, node.inputs.get(name), name)) is not None), None)


def word(graph: Graph, node: Node, names: Collection[str]) -> str:
    """The text at the first of these inputs that has one."""
    found = (constant(graph, node.inputs.get(name), name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")


def constant(graph: Graph, value: object, name: str = "") -> str | int | float | bool | None:
    """The constant that a value is or leads to; None if it is none, or is computed when the graph runs.

    A node behind the link has it at its input of that `name`, at one of a usual name, or at its only input.
    """
    for _ in range(_DEPTH):
        if not isinstance(value, Link):
            break
        node = graph.get(value.node)
        value = None if node is None else _passed_on(node, value.slot, name)
    if isinstance(value, (str, int, float)) and value == value:  # not NaN
        return value
    return None


def _number(graph: Graph, value: object, name: str) -> int | float | None:
    found = constant(graph, value, name)
    return None if isinstance(found, (bool, str)) else found


def _passed_on(node: Node, slot: int, name: str) -> object:
    if _COMPUTING.search(node.kind) or any(key.lower() in _COMPUTED for key in node.inputs):
        return None
    output = node.outputs[slot].name if 0 <= slot < len(node.outputs) else ""
    lower = {key.lower(): key for key in node.inputs}
    for key in (name, output, *_USUAL):
        if key and key.lower() in lower:
            return node.inputs[lower[key.lower()]]
    values = list(node.inputs.values())
    return values[0] if len(values) == 1 else None
