"""Reads a prompt: the form in which ComfyUI runs a graph, and which it writes into every picture."""

from __future__ import annotations

from typing import Any, cast

from .graph import BadPrompt, Graph, Node, as_link, check_size, decode, table
from .signatures import signature


def parse_prompt(text: str) -> dict[str, Node]:
    """The nodes of a prompt by id. Raises BadPrompt and nothing else, whatever the text."""
    return as_graph(decode(text, "prompt"))


def as_graph(data: object) -> dict[str, Node]:
    """The nodes in a decoded prompt; anything else in it is skipped. Raises BadPrompt if there are none or too many."""
    graph: dict[str, Node] = {}
    for key, entry in table(data).items():
        node = table(entry)
        kind, inputs = node.get("class_type"), node.get("inputs")
        if isinstance(kind, str) and isinstance(inputs, dict):
            linked = {str(name): as_link(value) or value for name, value in cast(dict[Any, Any], inputs).items()}
            graph[str(key)] = Node(str(key), kind, linked, signature(kind).outputs)
    if not graph:
        raise BadPrompt("the ComfyUI prompt has no nodes")
    check_size(len(graph), "prompt")
    return graph


def completed(prompt: Graph, workflow: Graph) -> dict[str, Node]:
    """The prompt with what the workflow beside it knows better: the types of outputs, and what nodes showed."""
    found: dict[str, Node] = {}
    for i, node in prompt.items():
        same = workflow.get(i)
        if same is not None and same.kind == node.kind:
            node = node._replace(outputs=same.outputs or node.outputs, shown=same.shown)
        found[i] = node
    return found
