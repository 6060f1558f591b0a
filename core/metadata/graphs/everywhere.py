"""What "Anything Everywhere" nodes send to inputs without a link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .carried import at_input
from .graph import Graph, Link, Node, rows, table

_SENDERS = (
    "Anything Everywhere",
    "Anything Everywhere3",
    "Anything Everywhere?",
    "Prompts Everywhere",
    "Seed Everywhere",
)


def broadcast(graph: dict[str, Node], workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The graph with links for what is sent without any: as the workflow lists it, else by type and by side."""
    listed = list(_listed(graph, workflow))
    for target, name, link in listed or list(_guessed(graph, workflow)):
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


def _guessed(graph: Graph, workflow: Mapping[str, Any]) -> Iterator[tuple[str, str, Link]]:
    """Conditionings and models for samplers that have none."""
    senders = [node for node in graph.values() if node.kind in _SENDERS]
    if not senders:
        return
    sent = [link for node in senders for name, link in node.links() if at_input(graph, name, link) == "model"]
    found = {"model": sent[0]} if sent else {}
    for entry in map(table, rows(workflow.get("nodes"))):
        if entry.get("type") == "Prompts Everywhere" and str(entry.get("id")) in graph:
            found |= _prompts(graph[str(entry["id"])], entry)
    for node in graph.values():
        if {"seed", "noise_seed", "cfg"} & node.inputs.keys():
            yield from ((node.id, name, link) for name, link in found.items())


def _prompts(node: Node, entry: Mapping[str, Any]) -> dict[str, Link]:
    """What "Prompts Everywhere" sends: at its first input to the positive side, at its second to the negative one."""
    found: dict[str, Link] = {}
    for at, socket in enumerate(map(table, rows(entry.get("inputs"))[:2])):
        name = str(socket.get("name"))
        link = (node.link(f"{name}_{at}") or node.link(name)) if socket.get("link") is not None else None
        if link is not None:
            found[("positive", "negative")[at]] = link
    return found
