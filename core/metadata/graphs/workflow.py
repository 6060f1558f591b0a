"""Turns a ComfyUI workflow, the editor's format, into the graph that a prompt is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .everywhere import broadcast
from .graph import NODE_LIMIT, BadPrompt, Node, Output, check_size, decode, rows, table
from .groups import without_groups
from .scopes import Entry, laid_out
from .signatures import signature
from .wires import VIRTUAL, Wiring, is_off

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
    every = laid_out(without_groups(whole, NODE_LIMIT), NODE_LIMIT)
    wiring = Wiring(every)
    graph: dict[str, Node] = {}
    for scope in every:
        for i, entry in scope.plan.nodes.items():
            if i not in scope.inner and entry["type"] not in VIRTUAL and not is_off(scope, entry):
                graph[scope.prefix + i] = _node(scope.prefix + i, entry, wiring.inputs_of(scope, entry))
    if not graph:
        raise BadPrompt("the ComfyUI workflow has no nodes")
    check_size(len(graph), "workflow")
    return broadcast(graph, whole)


def _node(i: str, entry: Entry, inputs: Mapping[str, object]) -> Node:
    outputs = tuple(_output(output) for output in map(table, rows(entry.get("outputs"))))
    kind = str(entry["type"])
    return Node(i, kind, inputs, outputs or signature(kind).outputs, _shown(entry))


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
