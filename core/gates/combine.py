"""Combines several gates into one."""

from __future__ import annotations

from collections.abc import Sequence

from .gate import Gate
from .tree import And, Clause, Node, Not, Or, Outcome


def all_of(gates: Sequence[Gate]) -> Gate:
    """The gate that accepts what all of them accept, rejects what any of them rejects, and reviews the rest."""
    filled = [gate for gate in gates if gate.clauses]
    if len(filled) <= 1:
        return filled[0] if filled else Gate.parse("")
    accepted = _all([part for gate in filled if (part := _when(gate, "accept"))])
    rejected = [Clause("reject", part) for gate in filled if (part := _when(gate, "reject"))]
    gate = Gate((*rejected, Clause("accept", accepted), Clause("review", Not(accepted))))
    return Gate.parse(str(gate))


def _when(gate: Gate, outcome: Outcome) -> Node | None:
    """The condition under which a gate gives an outcome; None if it never does."""
    earlier: list[Node] = []
    found: list[Node] = []
    for clause in gate.clauses:
        if clause.outcome == outcome:
            found.append(_all([*([Not(_any(earlier))] if earlier else []), clause.when]))
        earlier.append(clause.when)
    otherwise = "reject" if any(clause.outcome == "accept" for clause in gate.clauses) else "accept"
    if otherwise == outcome:
        found.append(Not(_any(earlier)))
    return _any(found) if found else None


def _all(parts: Sequence[Node]) -> Node:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _any(parts: Sequence[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Or(tuple(parts))
