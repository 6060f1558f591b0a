"""Nodes that pass on one of their inputs: switches with a constant, reroutes, and nodes that only look."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .constants import constant
from .graph import Graph, Link, Node

_SWITCH = re.compile(r"switch|select|index|branch|mux|if(?![a-z])|ifelse|execute a else b", re.IGNORECASE)
_SELECTORS = ("select", "index", "input", "input_selector", "switch", "boolean", "cond", "condition", "if_condition")
_BOTH = (("on_true", "on_false"), ("tt_value", "ff_value"), ("when_true", "when_false"), ("if_true", "if_false"),
         ("true_value", "false_value"), ("a_value", "b_value"))  # fmt: skip
_NUMBERED = re.compile(r"(?:inputs\.)?([A-Za-z_ ]*?)_?(\d{1,3})")
_FIRST = re.compile(r"(?:any|ctx|input)_\d+")
_FIRST_KINDS = (
    "Any Switch (rgthree)",
    "Context Merge (rgthree)",
    "Context Switch (rgthree)",
    "Context Switch Big (rgthree)",
)
_PASSING = re.compile(
    r"reroute|easy clean|cleangpu|purgevram|freememory|^easy ab$|playsound|systemnotification", re.IGNORECASE
)
_PIPES = 32
_LAST = "Context Merge (rgthree)"


class Undecided(Exception):
    """Which input a switch passed on was decided at run time; the message is the node's kind."""


def passed(graph: Graph, node: Node, slot: int) -> object | None:
    """What a switch or a reroute passes on at an output; None if the node is none, or passes nothing.

    Raises Undecided if a switch is turned by something that the graph does not hold.
    """
    if node.kind.startswith("Pipe from any"):
        return _out_of_pipe(graph, node, slot)
    if node.kind in _FIRST_KINDS:
        linked = [value for name, value in node.inputs.items() if _FIRST.fullmatch(name) and value is not None]
        return linked[-1 if node.kind == _LAST else 0] if linked else None
    if _PASSING.search(node.kind):
        return next((link for _, link in node.links()), None)
    if not is_switch(node):
        return None
    return _chosen(graph, node, slot)


def _out_of_pipe(graph: Graph, node: Node, slot: int) -> object | None:
    """What was put into a pipe of Crystools under the name that an output has: "any_3" is the fourth."""
    for _ in range(_PIPES):
        pipe = node.link("CPipeAny")
        if slot < 1 or pipe is None or pipe.node not in graph:
            return None
        node = graph[pipe.node]
        if node.link(f"any_{slot}"):
            return node.inputs[f"any_{slot}"]
    return None


def is_switch(node: Node) -> bool:
    """Whether a node chooses one of its inputs, by its name and by the names of the inputs."""
    return bool(_SWITCH.search(node.kind)) and (
        bool(_pair(node)) or len(list(_numbered(node))) > 0 or bool(_named(node))
    )


def _chosen(graph: Graph, node: Node, slot: int) -> object | None:
    selector = next((name for name in node.inputs if name.lower() in _SELECTORS), None)
    value = constant(graph, node.inputs[selector]) if selector else None
    if pair := _pair(node):
        return node.inputs.get(pair[0] if _truth(node, value) else pair[1])
    if isinstance(value, str) and value in node.inputs:
        return node.inputs[value]
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:9])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undecided(node.kind)
    fitting = [name for name, number in _numbered(node) if number == value]
    wanted = node.outputs[slot].name.lower() if 0 <= slot < len(node.outputs) else ""
    name = next((name for name in fitting if wanted and name.lower().startswith(wanted)), next(iter(fitting), None))
    return node.inputs[name] if name else None


def _truth(node: Node, value: object) -> bool:
    if value is None:
        raise Undecided(node.kind)
    return value.lower() not in ("false", "0", "") if isinstance(value, str) else bool(value)


def _pair(node: Node) -> tuple[str, str] | None:
    """The inputs for yes and no. One of them may be missing."""
    lower = {name.lower(): name for name in node.inputs}
    for yes, no in _BOTH:
        if yes in lower or no in lower:
            return lower.get(yes, yes), lower.get(no, no)
    letters = [name for name in node.inputs if name[-2:] in ("_a", "_b")]
    return (letters[0][:-1] + "a", letters[0][:-1] + "b") if letters and "boolean" in lower else None


def _numbered(node: Node) -> Iterator[tuple[str, int]]:
    for name in node.inputs:
        if name.lower() not in _SELECTORS and (found := _NUMBERED.fullmatch(name)):
            yield name, int(found[2])


def _named(node: Node) -> list[str]:
    """Inputs that the selector names, as in CR Img2Img Process Switch."""
    words = [value for name, value in node.inputs.items() if name.lower() in _SELECTORS and isinstance(value, str)]
    return [word for word in words if isinstance(node.inputs.get(word), Link)]
