"""What "Anything Everywhere" nodes send to inputs without a link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .carried import at_input, side_of_name
from .graph import Graph, Link, Node, rows, table

_SENDERS = (
    "Anything Everywhere",
    "Anything Everywhere3",
    "Anything Everywhere?",
    "Prompts Everywhere",
    "Seed Everywhere",
)
_NEEDED = {"CLIP": ("clip",), "MODEL": ("model",), "VAE": ("vae",)}


def broadcast(graph: dict[str, Node], workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The graph with links for what is sent without any: as the workflow lists it, else by type and by side."""
    listed = list(_listed(graph, workflow))
    for target, name, link in listed or list(_guessed(graph)):
        node = graph[target]
        if name not in node.inputs:
            graph[target] = node._replace(inputs={**node.inputs, name: link})
    return graph


def _listed(graph: Graph, workflow: Mapping[str, Any]) -> Iterator[tuple[str, str, Link]]:
    """The links that the extension wrote into the workflow."""
    entries = {str(table(node).get("id")): table(node) for node in rows(workflow.get("nodes"))}
    for sent in map(table, rows(table(workflow.get("extra")).get("ue_links"))):
        target, source, at, slot = (sent.get(k) for k in ("downstream", "upstream", "downstream_slot", "upstream_slot"))
        inputs = rows(entries.get(str(target), {}).get("inputs"))
        if str(target) in graph and str(source) in graph and isinstance(at, int) and isinstance(slot, int):
            name = table(inputs[at]).get("name") if 0 <= at < len(inputs) else None
            if isinstance(name, str):
                yield str(target), name, Link(str(source), slot)


def _guessed(graph: Graph) -> Iterator[tuple[str, str, Link]]:
    """Conditionings and models for samplers that have none."""
    senders = [node for node in graph.values() if node.kind in _SENDERS]
    sent = [(name, link, at_input(graph, name, link)) for node in senders for name, link in node.links()]
    if not sent:
        return
    conditionings = [(name, link) for name, link, carried in sent if carried == "conditioning"]
    model = next((link for _, link, carried in sent if carried == "model"), None)
    for node in graph.values():
        if not {"seed", "noise_seed", "cfg"} & node.inputs.keys():
            continue
        for side, link in zip(("positive", "negative"), [link for _, link in _by_side(conditionings)], strict=False):
            yield node.id, side, link
        if model is not None:
            yield node.id, "model", model


def _by_side(conditionings: list[tuple[str, Link]]) -> list[tuple[str, Link]]:
    named = [pair for pair in conditionings if side_of_name(pair[0])]
    return sorted(named, key=lambda pair: side_of_name(pair[0]) == "negative") or conditionings
