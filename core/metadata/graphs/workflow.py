"""Turns a ComfyUI workflow, the editor's format, into the graph that a prompt is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .everywhere import broadcast
from .graph import NODE_LIMIT, BadPrompt, Node, Output, check_size, decode, rows, table
from .groups import without_groups
from .scopes import Entry, Scope, outermost, scopes
from .signatures import signature
from .wires import VIRTUAL, inputs_of, is_off, sets_of

_SHOWN = (
    "ShowText|pysssss", "easy showAnything", "Display Any (rgthree)", "PreviewAny", "ShowTextForGPT", "DisplayAny",
    "PreviewTextNode", "ttN textDebug", "easy showAnythingLazy", "DisplayText_Zho",
)  # fmt: skip
"""Kinds that keep in the workflow what they showed."""


def parse_workflow(text: str) -> dict[str, Node]:
    """The nodes of a workflow by id. Raises BadPrompt and nothing else, whatever the text."""
    return as_graph(decode(text, "workflow"))


def as_graph(data: object) -> dict[str, Node]:
    """The nodes of a decoded workflow that run. Raises BadPrompt if there are none or too many."""
    whole = table(data)
    check_size(len(rows(whole.get("nodes"))), "workflow")
    scope = outermost(without_groups(whole, NODE_LIMIT), NODE_LIMIT)
    every = list(scopes(scope))
    sets = {name: found for one in every for name, found in sets_of(one)}
    graph: dict[str, Node] = {}
    for one in every:
        for i, entry in one.nodes.items():
            if i not in one.inner and not _is_off(one, entry) and entry["type"] not in VIRTUAL:
                graph[one.prefix + i] = _node(one, i, entry, sets)
    if not graph:
        raise BadPrompt("the ComfyUI workflow has no nodes")
    return broadcast(graph, whole)


def _is_off(scope: Scope, entry: Entry) -> bool:
    """Whether a node, or one of the subgraphs around it, is muted or bypassed."""
    off, here = is_off(entry), scope
    while here.outer is not None and not off:
        off, here = is_off(here.outer.nodes[here.host]), here.outer
    return off


def _node(scope: Scope, i: str, entry: Entry, sets: Mapping[str, tuple[Scope, Entry]]) -> Node:
    kind = str(entry["type"])
    outputs = tuple(_output(output) for output in map(table, rows(entry.get("outputs"))))
    return Node(
        scope.prefix + i, kind, inputs_of(scope, entry, sets), outputs or signature(kind).outputs, _shown(entry)
    )


def _output(output: Mapping[str, Any]) -> Output:
    kind, name = output.get("type"), output.get("name")
    return Output(kind if isinstance(kind, str) else "*", name if isinstance(name, str) else "")


def _shown(entry: Entry) -> str:
    """The text that a node showed, from the values that it kept."""
    if entry["type"] not in _SHOWN:
        return ""
    kept = entry.get("widgets_values")
    stack, texts = list(rows(kept) or table(kept).values())[:50], list[str]()
    for value in stack:
        texts += [text for text in ([value] if isinstance(value, str) else rows(value)[:50]) if isinstance(text, str)]
    return max(texts, key=len, default="").strip()
