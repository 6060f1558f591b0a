"""A ComfyUI prompt as a graph: its nodes, the links between them, and values found by following links."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, cast

SIZE_LIMIT = 16 << 20
"""Characters of JSON."""
NODE_LIMIT = 20_000
_DEPTH = 64
"""The most nodes that are followed in a row."""
_STRING_LIMIT = 1 << 18
_SEPARATORS = ("delimiter", "separator")
_STRING_INPUT = re.compile(
    r"(?:(?:in|out)?put_?)?(?:text|string|str|value|prompt|wildcard_text|multiline)s?_?[a-z0-9]{0,2}"
)


class BadPrompt(ValueError):
    """The text is not a ComfyUI prompt; the message says why."""


class Link(NamedTuple):
    """An input that comes from an output of another node."""

    node: str
    slot: int


class Node(NamedTuple):
    """One node of a prompt."""

    id: str
    kind: str
    """ComfyUI's class_type."""
    inputs: Mapping[str, object]

    def link(self, name: str) -> Link | None:
        """The link at an input, or None."""
        return as_link(self.inputs.get(name))

    def links(self, skip: Collection[str] = ()) -> Iterator[Link]:
        """All links in the order of the inputs, except inputs named in `skip`."""
        for name in self.inputs:
            if name not in skip and (found := self.link(name)):
                yield found


Graph = Mapping[str, Node]


def parse_prompt(text: str) -> dict[str, Node]:
    """The nodes of a prompt by id. Raises BadPrompt and nothing else, whatever the text."""
    if len(text) > SIZE_LIMIT:
        raise BadPrompt(f"the ComfyUI prompt is larger than {SIZE_LIMIT >> 20} MiB")
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadPrompt(f"the ComfyUI prompt is not JSON we can read ({type(error).__name__})") from error
    graph = as_graph(data)
    if not graph:
        raise BadPrompt("the ComfyUI prompt has no nodes")
    return graph


def as_graph(data: object) -> dict[str, Node]:
    """The nodes in a decoded prompt; anything else in it is skipped."""
    entries = cast(dict[object, object], data) if isinstance(data, dict) else {}
    graph: dict[str, Node] = {}
    for key, entry in entries.items():
        node = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
        kind, inputs = node.get("class_type"), node.get("inputs")
        if isinstance(kind, str) and isinstance(inputs, dict) and len(graph) < NODE_LIMIT:
            graph[str(key)] = Node(str(key), kind, cast(dict[str, object], inputs))
    return graph


def as_link(value: object) -> Link | None:
    """The link that a value stands for, or None; a prompt writes one as [node id, output]."""
    pair = cast(list[object], value) if isinstance(value, list) else []
    if len(pair) == 2 and isinstance(pair[0], (str, int)) and isinstance(pair[1], int):
        return Link(str(pair[0]), pair[1])
    return None


def upstream(graph: Graph, starts: Collection[Link | str], skip: Collection[str] = ()) -> Iterator[Node]:
    """The nodes that feed `starts`, nearest first, each once; inputs named in `skip` are not followed."""
    queue = deque(start if isinstance(start, str) else start.node for start in starts)
    seen: set[str] = set()
    while queue:
        name = queue.popleft()
        if name in seen or name not in graph:
            continue
        seen.add(name)
        yield graph[name]
        queue.extend(link.node for link in graph[name].links(skip))


def number(graph: Graph, node: Node, names: Collection[str]) -> int | float | None:
    """The number at the first of these inputs that has one; nodes that only pass a value on are followed."""
    return _scalar(graph, node, names, (int, float))


def word(graph: Graph, node: Node, names: Collection[str]) -> str:
    """The text at the first of these inputs that has one; nodes that only pass a value on are followed."""
    found = _scalar(graph, node, names, (str,))
    return found if isinstance(found, str) else ""


def _scalar(graph: Graph, node: Node, names: Collection[str], kinds: tuple[type, ...]) -> Any:
    for name in names:
        value = node.inputs.get(name)
        link = as_link(value)
        for _ in range(_DEPTH):
            if link is None or link.node not in graph:
                break
            value = _passed_on(graph[link.node], name, kinds)
            link = as_link(value)
        if isinstance(value, kinds) and not isinstance(value, bool) and value == value:  # not NaN
            return value
    return None


def _passed_on(node: Node, name: str, kinds: tuple[type, ...]) -> object:
    """What a primitive or reroute passes on: its input of that name, of a usual name, or the only one that fits."""
    for key in (name, "value", "int", "float", "number", "seed", "Number", "Value", "INT", "FLOAT", "string", "text"):
        if key in node.inputs:
            return node.inputs[key]
    fitting = [v for v in node.inputs.values() if isinstance(v, kinds) or as_link(v)]
    return fitting[0] if len(fitting) == 1 else None


def string(graph: Graph, value: object, known: dict[str, str] | None = None, depth: int = 0) -> str:
    """The text of an input: itself, or what the string nodes behind its link compose; empty when unknown.

    `known` caches the texts of nodes, so that texts that double from node to node cost nothing.
    """
    if isinstance(value, str):
        return value
    link, known = as_link(value), {} if known is None else known
    if link is None or link.node not in graph or depth > _DEPTH:
        return ""
    if link.node not in known:
        known[link.node] = ""  # for links that lead back here
        known[link.node] = _composed(graph, graph[link.node], known, depth)[:_STRING_LIMIT]
    return known[link.node]


def _composed(graph: Graph, node: Node, known: dict[str, str], depth: int) -> str:
    if isinstance(populated := node.inputs.get("populated_text"), str):  # what a wildcard node drew
        return populated
    names = [name for name in node.inputs if _STRING_INPUT.fullmatch(name.lower())] or list(node.inputs)
    parts = [string(graph, node.inputs[name], known, depth + 1) for name in names if name.lower() not in _SEPARATORS]
    separator = next((s for name in _SEPARATORS if isinstance(s := node.inputs.get(name), str)), ", ")
    return separator.join(dict.fromkeys(part for part in parts if part))
