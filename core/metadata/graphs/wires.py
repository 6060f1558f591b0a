"""Where the inputs of a workflow's nodes come from: through reroutes, Get and Set, bypassed nodes, and subgraphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
    first = next(iter(table(values).values() if isinstance(values, dict) else rows(values)), None)
    return first if isinstance(first, str) else ""


def _source(scope: Scope, link: object, sets: Mapping[str, tuple[Scope, Entry]]) -> Link | Value | None:
    """What a link of a scope leads back to."""
    here: Scope | None = scope
    wire = _wire(scope, link)
    for _ in range(_HOPS):
        if here is None or wire is None:
            return None
        if wire.origin == INPUT:
            here, wire, value = _outside(here, wire)
            if value is not None:
                return value
            continue
        if wire.origin in here.inner and not is_off(here.nodes[wire.origin]):
            here = here.inner[wire.origin]
            wire = _inside(here, wire.slot)
            continue
        entry = here.nodes.get(wire.origin)
        if entry is None or entry.get("mode") == _MUTED:
            return None
        if entry.get("type") == "PrimitiveNode":
            kept = rows(entry.get("widgets_values"))
            return Value(kept[0]) if kept else None
        if entry.get("type") in _GETS:
            if (there := sets.get(_title(entry))) is None:
                return None
            here, entry = there
            wire = _first_wire(here, entry)
        elif entry.get("mode") == _BYPASSED or entry.get("type") in _REROUTES:
            wire = _first_wire(here, entry) if entry.get("type") in _REROUTES else _around(here, entry, wire.slot)
        else:
            return Link(f"{here.prefix}{wire.origin}", wire.slot)
    return None


def _wire(scope: Scope, link: object) -> Wire | None:
    return scope.wires.get(link) if isinstance(link, int) else None


def _outside(scope: Scope, wire: Wire) -> tuple[Scope | None, Wire | None, Value | None]:
    """From an input of a subgraph to what the node that stands for it is given, a link or a widget's value."""
    outer, ends = scope.outer, rows(scope.definition.get("inputs"))
    if outer is None or not 0 <= wire.slot < len(ends):
        return None, None, None
    name, host = table(ends[wire.slot]).get("name"), outer.nodes[scope.host]
    socket = next((s for s in sockets(host) if s.get("name") == name), None)
    if socket is not None and socket.get("link") is not None:
        return outer, _wire(outer, socket.get("link")), None
    value = promoted(scope).get(str(name))
    return None, None, None if value is None else Value(value)


def promoted(scope: Scope) -> dict[str, object]:
    """The values of a subgraph's own widgets, as the node that stands for it keeps them."""
    if scope.outer is None:
        return {}
    host = scope.outer.nodes[scope.host]
    values = host.get("widgets_values")
    if isinstance(values, dict):
        return dict(table(values))
    kept = rows(values)
    proxies = [rows(pair) for pair in rows(table(host.get("properties")).get("proxyWidgets"))]
    if proxies:
        own = zip(proxies, kept, strict=False)
        return {str(pair[1]): value for pair, value in own if len(pair) > 1 and str(pair[0]) == "-1"}
    names = [str(end.get("name")) for end in map(table, rows(scope.definition.get("inputs"))) if _has_widget(scope, end)]
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
    """The link that a bypassed node hands on at an output: that of the input of the same place and type, or of the type."""
    outputs = rows(entry.get("outputs"))
    kind = table(outputs[slot]).get("type") if 0 <= slot < len(outputs) else None
    inputs = [table(socket) for socket in rows(entry.get("inputs"))]
    same = [socket for socket in inputs if socket.get("type") == kind]
    if 0 <= slot < len(inputs) and inputs[slot] in same:
        same.insert(0, inputs[slot])
    return _wire(scope, same[0].get("link")) if same else None
