"""The nodes and links of a workflow: the outer ones, and those inside of subgraphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .graph import rows, table

Entry = Mapping[str, Any]
"""A node, or an end of a subgraph, as the editor writes it."""
INPUT = "-10"
"""The origin of links that come from a subgraph's own inputs."""
_DEPTH = 16
_LINK = ("id", "origin_id", "origin_slot", "target_id", "target_slot")


class Wire(NamedTuple):
    """A link of the editor."""

    origin: str
    slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, eq=False)
class Plan:
    """The outer workflow, or the definition of a subgraph."""

    nodes: Mapping[str, Entry]
    wires: Mapping[int, Wire]
    inputs: tuple[Entry, ...] = ()
    outputs: tuple[Entry, ...] = ()

    def wire(self, link: object) -> Wire | None:
        """The link of an id, or None."""
        return self.wires.get(link) if isinstance(link, int) else None


@dataclass(eq=False)
class Scope:
    """The outer workflow, or one use of a subgraph in it."""

    plan: Plan
    prefix: str = ""
    """Before the ids of its nodes: "57:"."""
    outer: Scope | None = None
    host: Entry = field(default_factory=dict[str, Any])
    """The node that stands for the subgraph in the outer scope."""
    inner: dict[str, Scope] = field(default_factory=dict["str", "Scope"])
    """The uses of subgraphs by the ids of their nodes."""


def laid_out(workflow: Entry, limit: int) -> list[Scope]:
    """The scope of a workflow and all those inside of it; subgraphs are left out that would make it more than
    `limit` nodes, or that stand inside of themselves."""
    listed = map(table, rows(table(workflow.get("definitions")).get("subgraphs")))
    definitions = {str(definition.get("id")): definition for definition in listed}
    plans: dict[str, Plan] = {}
    found = [Scope(_plan(workflow))]
    stack = [(found[0], frozenset[str]())]
    count = len(found[0].plan.nodes)
    while stack:
        outer, around = stack.pop()
        for i, node in outer.plan.nodes.items():
            kind = str(node["type"])
            if kind not in definitions or kind in around or len(around) >= _DEPTH:
                continue
            plan = plans[kind] = plans.get(kind) or _plan(definitions[kind])
            count += max(len(plan.nodes), 1)
            if count > limit:
                return found
            outer.inner[i] = Scope(plan, f"{outer.prefix}{i}:", outer, node)
            found.append(outer.inner[i])
            stack.append((outer.inner[i], around | {kind}))
    return found


def _plan(data: Entry) -> Plan:
    nodes: dict[str, Entry] = {}
    for node in map(table, rows(data.get("nodes"))):
        if isinstance(node.get("type"), str) and "id" in node:
            nodes[str(node["id"])] = node
    ends = [tuple(map(table, rows(data.get(name)))) for name in ("inputs", "outputs")]
    return Plan(nodes, dict(_wires(data.get("links"))), *ends)


def _wires(links: object) -> Iterator[tuple[int, Wire]]:
    """The links by id; the editor writes them as arrays, and in subgraphs as objects."""
    for entry in rows(links) or list(table(links).values()):
        named = table(entry)
        row = [named.get(key) for key in _LINK] if named else rows(entry)[:5]
        if len(row) == 5 and type(row[0]) is int and type(row[2]) is int and type(row[4]) is int:
            yield row[0], Wire(str(row[1]), row[2], str(row[3]), row[4])
