"""Group nodes of old editors: "workflow/Name" stands for nodes that the workflow keeps beside its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from .graph import rows, table
from .widgets import widget_of

_HEADS = ("workflow/", "workflow>")


def without_groups(workflow: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """The workflow with its group nodes laid out; it grows to no more than `limit` nodes."""
    groups = table(table(workflow.get("extra")).get("groupNodes"))
    nodes = [table(node) for node in rows(workflow.get("nodes"))]
    if not groups or not any(_group_of(groups, node) for node in nodes):
        return workflow
    laid = _Layout([list(rows(link)) for link in rows(workflow.get("links"))])
    for node in nodes:
        group = _group_of(groups, node)
        if group is None or len(laid.nodes) + len(rows(group.get("nodes"))) > limit:
            laid.nodes.append(node)
        else:
            laid.lay_out(node, group)
    return {**workflow, "nodes": laid.nodes, "links": laid.links}


def _group_of(groups: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kind = node.get("type")
    name = kind[len(_HEADS[0]) :] if isinstance(kind, str) and kind.startswith(_HEADS) else ""
    return table(groups.get(name)) or None


class _Layout:
    """Nodes and links, into which group nodes are laid out."""

    def __init__(self, links: list[list[Any]]) -> None:
        self.nodes: list[Mapping[str, Any]] = []
        self.links = links
        self._from: dict[str, list[list[Any]]] = {}
        for link in links:
            if len(link) > 2:
                self._from.setdefault(str(link[1]), []).append(link)
        self._next = 1 + max([0, *(link[0] for link in links if link and type(link[0]) is int)])

    def lay_out(self, node: Mapping[str, Any], group: Mapping[str, Any]) -> None:
        """Puts the nodes of a group in the place of the node that stands for it."""
        inner = [dict(table(entry)) for entry in rows(group.get("nodes"))]
        ids = [f"{node.get('id')}:{at}" for at in range(len(inner))]
        values = _dealt(inner, rows(node.get("widgets_values")))
        for entry, i, kept in zip(inner, ids, values, strict=True):
            inputs = [{**table(socket), "link": None} for socket in rows(entry.get("inputs"))]
            entry.update(id=i, inputs=inputs, widgets_values=kept, mode=node.get("mode", 0))
        for link in map(rows, rows(group.get("links"))):
            self._within(inner, ids, link)
        self._from_outside(inner, node)
        self._to_outside(inner, ids, node, group)
        self.nodes.extend(inner)

    def _within(self, inner: list[dict[str, Any]], ids: list[str], link: list[Any]) -> None:
        if len(link) < 4 or not all(type(part) is int for part in link[:4]):
            return
        origin, slot, target, at = link[:4]
        if not (0 <= origin < len(ids) and 0 <= target < len(ids)):
            return
        inputs = cast(list[dict[str, Any]], inner[target]["inputs"])
        if 0 <= at < len(inputs):
            inputs[at]["link"] = self._next
            self.links.append([self._next, ids[origin], slot, ids[target], at])
            self._next += 1

    def _from_outside(self, inner: list[dict[str, Any]], node: Mapping[str, Any]) -> None:
        """The inputs of the group are those of its nodes that have no link inside, in order."""
        given = [table(socket) for socket in rows(node.get("inputs"))]
        free = [socket for entry in inner for socket in entry["inputs"] if socket["link"] is None]
        if len(given) != len(free):
            free = [socket for socket in free if not widget_of(socket)]
        if len(given) != len(free):
            by_end = {str(socket.get("name")): socket for socket in given}
            given = [by_end.get(str(socket.get("name")), {}) for socket in free]
        for socket, source in zip(free, given, strict=True):
            socket["link"] = source.get("link")

    def _to_outside(self, inner: list[dict[str, Any]], ids: list[str], node: Mapping[str, Any], group: Any) -> None:
        """The outputs of the group are those of its nodes that have no link inside, or are marked, in order."""
        shown = list(_shown_outputs(inner, group))
        for link in self._from.get(str(node.get("id")), ()):
            if isinstance(link[2], int) and 0 <= link[2] < len(shown):
                at, link[2] = shown[link[2]]
                link[1] = ids[at]


def _shown_outputs(inner: list[dict[str, Any]], group: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    used = {(link[0], link[1]) for link in map(rows, rows(group.get("links"))) if len(link) > 1 and _plain(link[:2])}
    marked = set[tuple[int, int]]()
    for mark in map(rows, rows(group.get("external"))):
        first = (table(mark[0]).get("index") or mark[0]) if mark else None
        if len(mark) > 1 and isinstance(first, int) and isinstance(mark[1], int):
            marked.add((first, mark[1]))
    for at, entry in enumerate(inner):
        for slot in range(len(rows(entry.get("outputs")))):
            if (at, slot) not in used or (at, slot) in marked:
                yield at, slot


def _plain(parts: list[Any]) -> bool:
    return all(part is None or type(part) is int for part in parts)


def _dealt(inner: list[dict[str, Any]], kept: list[Any]) -> list[Any]:
    """The values of the group's widgets, dealt to its nodes; without any if they do not come out even."""
    own = [rows(entry.get("widgets_values")) for entry in inner]
    if sum(map(len, own)) != len(kept):
        return own if not kept else [[] for _ in own]
    dealt, at = list[Any](), 0
    for values in own:
        dealt.append(kept[at : at + len(values)])
        at += len(values)
    return dealt
