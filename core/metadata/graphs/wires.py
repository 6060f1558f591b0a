"""Where the inputs of a workflow's nodes come from: through reroutes, Get and Set, bypassed nodes, and subgraphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .graph import Link, rows, table
from .scopes import INPUT, Entry, Scope, Wire
from .widgets import sockets, widget_of, widget_values

_MUTED, _BYPASSED = 2, 4
_HOPS = 100
_GETS = ("GetNode", "easy getNode")
_SETS = ("SetNode", "easy setNode")
_REROUTES = ("Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss")
VIRTUAL = (*_GETS, *_SETS, *_REROUTES, "PrimitiveNode", "Note", "MarkdownNote")
"""Nodes of the editor alone, which never run."""


class Value:
    """A value at the far end of a link: a widget's."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class _At(NamedTuple):
    """A link on the way back to where it comes from."""

    scope: Scope
    wire: Wire


def inputs_of(scope: Scope, entry: Entry, sets: Mapping[str, tuple[Scope, Entry]]) -> dict[str, object]:
    """The inputs of a node by name: links as `Link`, the values of widgets as they are."""
    found = widget_values(entry)
    for socket in sockets(entry):
        source = _source(scope, socket.get("link"), sets)
        name = widget_of(socket) or str(socket["name"])
        if isinstance(source, Value):
            found[name] = source.value
        elif source is not None:
            found[name] = source
        elif socket.get("link") is not None and widget_of(socket) == "":
            found.pop(name, None)
    return found


def is_off(entry: Entry) -> bool:
    """Whether a node is muted or bypassed."""
    return entry.get("mode") in (_MUTED, _BYPASSED)


def sets_of(scope: Scope) -> Iterator[tuple[str, tuple[Scope, Entry]]]:
    """The Set nodes of a scope by the names that Get nodes know them by."""
    for entry in scope.nodes.values():
        if entry.get("type") in _SETS and not is_off(entry) and (name := _title(entry)):
            yield name, (scope, entry)


def _title(entry: Entry) -> str:
    values = entry.get("widgets_values")
    first = next(iter(rows(values) or table(values).values()), None)
    return first if isinstance(first, str) else ""


def _source(scope: Scope, link: object, sets: Mapping[str, tuple[Scope, Entry]]) -> Link | Value | None:
    """What a link of a scope leads back to."""
    at: _At | Link | Value | None = _at(scope, _wire(scope, link))
    for _ in range(_HOPS):
        if not isinstance(at, _At):
            return at
        at = _back(at.scope, at.wire, sets)
    return None


def _back(scope: Scope, wire: Wire, sets: Mapping[str, tuple[Scope, Entry]]) -> _At | Link | Value | None:
    """One step along a link, to the node that it comes from."""
    if wire.origin == INPUT:
        return _outside(scope, wire)
    entry = scope.nodes.get(wire.origin)
    if entry is None or entry.get("mode") == _MUTED:
        return None
    if entry.get("mode") == _BYPASSED:
        return _at(scope, _around(scope, entry, wire.slot))
    if wire.origin in scope.inner:
        inner = scope.inner[wire.origin]
        return _at(inner, _inside(inner, wire.slot))
    return _through(scope, entry, sets) if entry["type"] in VIRTUAL else Link(f"{scope.prefix}{wire.origin}", wire.slot)


def _through(scope: Scope, entry: Entry, sets: Mapping[str, tuple[Scope, Entry]]) -> _At | Value | None:
    """What a node of the editor alone hands on."""
    if entry["type"] == "PrimitiveNode":
        kept = rows(entry.get("widgets_values"))
        return Value(kept[0]) if kept else None
    if entry["type"] in _GETS:
        there = sets.get(_title(entry))
        return _at(there[0], _first_wire(*there)) if there else None
    return _at(scope, _first_wire(scope, entry))


def _at(scope: Scope, wire: Wire | None) -> _At | None:
    return None if wire is None else _At(scope, wire)


def _wire(scope: Scope, link: object) -> Wire | None:
    return scope.wires.get(link) if isinstance(link, int) else None


def _outside(scope: Scope, wire: Wire) -> _At | Value | None:
    """From an input of a subgraph to what the node that stands for it is given, a link or a widget's value."""
    outer, ends = scope.outer, rows(scope.definition.get("inputs"))
    if outer is None or not 0 <= wire.slot < len(ends):
        return None
    name, host = table(ends[wire.slot]).get("name"), outer.nodes[scope.host]
    socket = next((s for s in sockets(host) if s.get("name") == name), None)
    if socket is not None and socket.get("link") is not None:
        return _at(outer, _wire(outer, socket.get("link")))
    value = promoted(scope).get(str(name))
    return None if value is None else Value(value)


def promoted(scope: Scope) -> dict[str, object]:
    """The values of a subgraph's own widgets, as the node that stands for it keeps them."""
    if scope.outer is None:
        return {}
    host = scope.outer.nodes[scope.host]
    if named := table(host.get("widgets_values")):
        return dict(named)
    kept = rows(host.get("widgets_values"))
    proxies = [rows(pair) for pair in rows(table(host.get("properties")).get("proxyWidgets"))]
    if proxies:
        own = zip(proxies, kept, strict=False)
        return {str(pair[1]): value for pair, value in own if len(pair) > 1 and str(pair[0]) == "-1"}
    names = [
        str(end.get("name")) for end in map(table, rows(scope.definition.get("inputs"))) if _has_widget(scope, end)
    ]
    return dict(zip(names, kept, strict=True)) if len(names) == len(kept) else {}


def _has_widget(scope: Scope, end: Entry) -> bool:
    """Whether an input of a subgraph leads to a widget inside."""
    for i in rows(end.get("linkIds")):
        wire = _wire(scope, i)
        target = scope.nodes.get(wire.target) if wire else None
        inputs = rows(target.get("inputs")) if target else []
        if wire and 0 <= wire.target_slot < len(inputs) and widget_of(table(inputs[wire.target_slot])):
            return True
    return False


def _inside(scope: Scope, slot: int) -> Wire | None:
    """The link inside of a subgraph that one of its outputs shows."""
    ends = rows(scope.definition.get("outputs"))
    ids = rows(table(ends[slot]).get("linkIds")) if 0 <= slot < len(ends) else []
    return next((wire for i in ids if (wire := _wire(scope, i))), None)


def _first_wire(scope: Scope, entry: Entry) -> Wire | None:
    return next((wire for s in sockets(entry) if (wire := _wire(scope, s.get("link")))), None)


def _around(scope: Scope, entry: Entry, slot: int) -> Wire | None:
    """The link that a bypassed node hands on at an output: by place and type."""
    outputs = rows(entry.get("outputs"))
    kind = table(outputs[slot]).get("type") if 0 <= slot < len(outputs) else None
    inputs = [table(socket) for socket in rows(entry.get("inputs"))]
    same = [socket for socket in inputs if socket.get("type") == kind]
    if 0 <= slot < len(inputs) and inputs[slot] in same:
        same.insert(0, inputs[slot])
    return _wire(scope, same[0].get("link")) if same else None
