"""The nodes and links of a workflow: the outer ones, and those inside of subgraphs and group nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .graph import rows, table

Entry = Mapping[str, Any]
"""A node as the editor writes it."""
INPUT, OUTPUT = "-10", "-20"
"""The ids of a subgraph's own ends."""


_LINK = ("id", "origin_id", "origin_slot", "target_id", "target_slot")


class Wire(NamedTuple):
    """A link of the editor."""

    origin: str
    slot: int
    target: str
    target_slot: int


@dataclass
class Scope:
    """The outer workflow, or one use of a subgraph in it."""

    prefix: str
    """Before the ids of its nodes: "57:"."""
    nodes: dict[str, Entry]
    wires: dict[int, Wire]
    definition: Entry = field(default_factory=dict[str, Any])
    outer: Scope | None = None
    host: str = ""
    """The id of the node that stands for the subgraph in the outer scope."""
    inner: dict[str, Scope] = field(default_factory=dict["str", "Scope"])
    """The uses of subgraphs by the ids of their nodes."""


def outermost(data: Entry, limit: int) -> Scope:
    """The scope of a workflow, with all those inside of it; no more than `limit` nodes altogether."""
    definitions = {str(d.get("id")): d for d in map(table, rows(table(data.get("definitions")).get("subgraphs")))}
    scope = _scope("", data)
    _fill(scope, definitions, limit)
    return scope


def scopes(scope: Scope) -> Iterator[Scope]:
    """A scope and all inside of it."""
    stack = [scope]
    while stack:
        scope = stack.pop()
        yield scope
        stack.extend(scope.inner.values())


def _fill(scope: Scope, definitions: Mapping[str, Entry], limit: int) -> None:
    """Lays out the subgraphs, each use on its own; one inside of itself is left out."""
    stack = [(scope, frozenset[str]())]
    count = len(scope.nodes)
    while stack:
        outer, around = stack.pop()
        for i, node in outer.nodes.items():
            kind = str(node.get("type"))
            definition = definitions.get(kind)
            if definition is None or kind in around or len(around) >= 16:
                continue
            inner = _scope(f"{outer.prefix}{i}:", definition)
            inner.definition, inner.outer, inner.host = definition, outer, i
            count += len(inner.nodes)
            if count > limit:
                return
            outer.inner[i] = inner
            stack.append((inner, around | {kind}))


def _scope(prefix: str, data: Entry) -> Scope:
    nodes: dict[str, Entry] = {}
    for node in map(table, rows(data.get("nodes"))):
        if isinstance(node.get("type"), str) and "id" in node:
            nodes[str(node["id"])] = node
    return Scope(prefix, nodes, dict(_wires(data.get("links"))))


def _wires(links: object) -> Iterator[tuple[int, Wire]]:
    """The links by id; the editor writes them as arrays, and in subgraphs as objects."""
    for entry in rows(links) or list(table(links).values()):
        named = table(entry)
        row = [named.get(key) for key in _LINK] if named else rows(entry)[:5]
        if len(row) == 5 and type(row[0]) is int and isinstance(row[2], int) and isinstance(row[4], int):
            yield row[0], Wire(str(row[1]), row[2], str(row[3]), row[4])
