"""Where the inputs of a workflow's nodes come from: through reroutes, Get and Set, bypassed nodes, and subgraphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .graph import Link, rows, table
from .scopes import INPUT, Entry, Plan, Scope, Wire
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


class Wiring:
    """Follows the links of a workflow, each once."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self._sets = {name: at for scope in scopes for name, at in _sets_of(scope)}
        self._known: dict[_At, Link | Value | None] = {}
        self._promoted: dict[Scope, Mapping[str, object]] = {}
        self._named: dict[Plan, list[str]] = {}

    def inputs_of(self, scope: Scope, entry: Entry) -> dict[str, object]:
        """The inputs of a node by name: links as `Link`, the values of widgets as they are."""
        inputs = sockets(entry)
        found = widget_values(entry, inputs)
        linked: set[str] = set()
        for at, socket in enumerate(inputs):
            if socket.get("link") is None:
                continue
            source = self._source(scope, scope.plan.wire(socket["link"]))
            name = widget_of(socket) or str(socket["name"])
            name = f"{name}_{at}" if name in linked else name  # Prompts Everywhere has two of the same name
            linked.add(name)
            if source is not None:
                found[name] = source.value if isinstance(source, Value) else source
            elif not widget_of(socket):
                found.pop(name, None)
        return found

    def _source(self, scope: Scope, wire: Wire | None) -> Link | Value | None:
        """What a link leads back to."""
        at: _At | Link | Value | None = _at(scope, wire)
        way: list[_At] = []
        while isinstance(at, _At):
            if at in self._known or len(way) >= _HOPS:
                at = self._known.get(at)
                break
            way.append(at)
            at = self._back(at.scope, at.wire)
        for passed in way:
            self._known[passed] = at
        return at

    def _back(self, scope: Scope, wire: Wire) -> _At | Link | Value | None:
        """One step along a link, to the node that it comes from."""
        if wire.origin == INPUT:
            return self._outside(scope, wire)
        entry = scope.plan.nodes.get(wire.origin)
        if entry is None or entry.get("mode") == _MUTED:
            return None
        if entry.get("mode") == _BYPASSED:
            return _at(scope, _around(scope.plan, entry, wire.slot))
        if wire.origin in scope.inner:
            inner = scope.inner[wire.origin]
            return _at(inner, _inside(inner.plan, wire.slot))
        if entry["type"] in VIRTUAL:
            return self._through(scope, entry)
        return Link(f"{scope.prefix}{wire.origin}", wire.slot)

    def _through(self, scope: Scope, entry: Entry) -> _At | Value | None:
        """What a node of the editor alone hands on."""
        if entry["type"] == "PrimitiveNode":
            kept = rows(entry.get("widgets_values"))
            return Value(kept[0]) if kept else None
        if entry["type"] in _GETS:
            return self._sets.get(_title(entry))
        return _first_wire(scope, entry)

    def _outside(self, scope: Scope, wire: Wire) -> _At | Value | None:
        """From an input of a subgraph to what the node that stands for it is given, a link or a widget's value."""
        if scope.outer is None or not 0 <= wire.slot < len(scope.plan.inputs):
            return None
        if scope not in self._promoted:
            self._promoted[scope] = self._given(scope, scope.outer)
        given = self._promoted[scope].get(str(scope.plan.inputs[wire.slot].get("name")))
        return given if given is None or isinstance(given, _At) else Value(given)

    def _given(self, scope: Scope, outer: Scope) -> dict[str, object]:
        """What the node that stands for a subgraph has at each input: a link, or the value of its own widget."""
        found = self._values(scope)
        for socket in sockets(scope.host):
            if wire := outer.plan.wire(socket.get("link")):
                found[str(socket["name"])] = _At(outer, wire)
        return found

    def _values(self, scope: Scope) -> dict[str, object]:
        """The values of a subgraph's own widgets, as the node that stands for it keeps them."""
        if named := table(scope.host.get("widgets_values")):
            return dict(named)
        kept = rows(scope.host.get("widgets_values"))
        proxies = [rows(pair) for pair in rows(table(scope.host.get("properties")).get("proxyWidgets"))]
        if proxies:
            own = zip(proxies, kept, strict=False)
            return {str(pair[1]): value for pair, value in own if len(pair) > 1 and str(pair[0]) == "-1"}
        if scope.plan not in self._named:
            self._named[scope.plan] = [
                str(end.get("name")) for end in scope.plan.inputs if _has_widget(scope.plan, end)
            ]
        names = self._named[scope.plan]
        return dict(zip(names, kept, strict=True)) if len(names) == len(kept) else {}


def is_off(scope: Scope, entry: Entry) -> bool:
    """Whether a node, or one of the subgraphs around it, is muted or bypassed."""
    here: Scope | None = scope
    while here is not None:
        if entry.get("mode") in (_MUTED, _BYPASSED):
            return True
        entry, here = here.host, here.outer
    return False


def _sets_of(scope: Scope) -> list[tuple[str, _At]]:
    """What the Set nodes of a scope are given, by the names that Get nodes know them by."""
    entries = [entry for entry in scope.plan.nodes.values() if entry.get("type") in _SETS and not is_off(scope, entry)]
    return [(name, at) for entry in entries if (name := _title(entry)) and (at := _first_wire(scope, entry))]


def _title(entry: Entry) -> str:
    values = entry.get("widgets_values")
    first = next(iter(rows(values) or table(values).values()), None)
    return first if isinstance(first, str) else ""


def _at(scope: Scope, wire: Wire | None) -> _At | None:
    return None if wire is None else _At(scope, wire)


def _first_wire(scope: Scope, entry: Entry) -> _At | None:
    return next((_At(scope, wire) for s in sockets(entry) if (wire := scope.plan.wire(s.get("link")))), None)


def _has_widget(plan: Plan, end: Entry) -> bool:
    """Whether an input of a subgraph leads to a widget inside."""
    for i in rows(end.get("linkIds"))[:8]:
        wire = plan.wire(i)
        target = plan.nodes.get(wire.target) if wire else None
        inputs = rows(target.get("inputs")) if target else []
        if wire and 0 <= wire.target_slot < len(inputs) and widget_of(table(inputs[wire.target_slot])):
            return True
    return False


def _inside(plan: Plan, slot: int) -> Wire | None:
    """The link inside of a subgraph that one of its outputs shows."""
    ids = rows(plan.outputs[slot].get("linkIds")) if 0 <= slot < len(plan.outputs) else []
    return next((wire for i in ids if (wire := plan.wire(i))), None)


def _around(plan: Plan, entry: Entry, slot: int) -> Wire | None:
    """The link that a bypassed node hands on at an output: its input of the same place and type, or of the type."""
    outputs = rows(entry.get("outputs"))
    kind = table(outputs[slot]).get("type") if 0 <= slot < len(outputs) else None
    inputs = [table(socket) for socket in rows(entry.get("inputs"))]
    same = [socket for socket in inputs if socket.get("type") == kind]
    if 0 <= slot < len(inputs) and inputs[slot].get("type") == kind:
        same.insert(0, inputs[slot])
    return plan.wire(same[0].get("link")) if same else None
