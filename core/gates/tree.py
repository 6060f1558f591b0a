"""What a gate text becomes: a small tree of frozen nodes, and the text of that tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

Outcome = Literal["accept", "review", "reject"]
OUTCOMES: tuple[Outcome, ...] = ("accept", "review", "reject")

PLAIN_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ANSWER = "label"
"""`model.label` is the model's one-word answer; a value of that name is written model["label"]."""

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float
    position: int = field(default=0, compare=False)

    @cached_property
    def single(self) -> float:
        """The constant as float32, like the values it is compared with, so that a score of 0.7 reaches 0.7."""
        return float(np.float32(self.value))

    def __str__(self) -> str:
        short = f"{self.value:g}"
        return short if float(short) == self.value else repr(self.value)


@dataclass(frozen=True)
class Value:
    """The number that a model gives for one of its labels."""

    model: str
    label: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if PLAIN_LABEL.fullmatch(self.label) and self.label != ANSWER:
            return f"{self.model}.{self.label}"
        return f"{self.model}[{quoted(self.label)}]"


Operand = Number | Value


@dataclass(frozen=True)
class Link:
    """One comparison of two operands, at least one of them a Value."""

    left: Operand
    operator: str
    right: Operand


@dataclass(frozen=True)
class Comparison:
    """A chain such as 0.2 < x < 0.5, true when all its links are."""

    operands: tuple[Operand, ...]
    operators: tuple[str, ...]

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The comparisons of neighbours."""
        pairs = zip(self.operands, self.operators, self.operands[1:], strict=False)
        return tuple(Link(left, operator, right) for left, operator, right in pairs)

    def __str__(self) -> str:
        rest = zip(self.operators, self.operands[1:], strict=True)
        return str(self.operands[0]) + "".join(f" {operator} {operand}" for operator, operand in rest)


@dataclass(frozen=True)
class WordTest:
    """Whether a model's one-word answer is one of `names`, or, if negated, none of them."""

    model: str
    names: tuple[str, ...]
    negated: bool = False
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if len(self.names) == 1:
            return f"{self.model}.{ANSWER} {'!=' if self.negated else '=='} {quoted(self.names[0])}"
        names = ", ".join(map(quoted, self.names))
        return f"{self.model}.{ANSWER} {'not in' if self.negated else 'in'} ({names})"


@dataclass(frozen=True)
class Not:
    """True when its part is false."""

    part: Node

    def __str__(self) -> str:
        return f"not {_grouped(self.part)}"


@dataclass(frozen=True)
class And:
    """True when all its parts are. It has at least two."""

    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(map(_grouped, self.parts))


@dataclass(frozen=True)
class Or:
    """True when any of its parts is. It has at least two."""

    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


Node = Comparison | WordTest | Not | And | Or
Leaf = Link | WordTest


@dataclass(frozen=True)
class Clause:
    """An outcome, and the condition under which it holds."""

    outcome: Outcome
    when: Node

    def __str__(self) -> str:
        return f"{self.outcome}: {self.when}"


def quoted(text: str) -> str:
    """A text as a string of the gate language, on one line."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def terms(node: Node) -> Iterator[Comparison | WordTest]:
    """The comparisons and tests of a tree, in the order written."""
    if isinstance(node, Not):
        yield from terms(node.part)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from terms(part)
    else:
        yield node


def values_of(node: Node) -> list[Value]:
    """The numbers that a tree reads, as written."""
    operands = (operand for term in terms(node) if isinstance(term, Comparison) for operand in term.operands)
    return [operand for operand in operands if isinstance(operand, Value)]


def models_in(term: Comparison | Link | WordTest) -> tuple[str, ...]:
    """The models that a term names, in the order written."""
    if isinstance(term, WordTest):
        return (term.model,)
    operands = term.operands if isinstance(term, Comparison) else (term.left, term.right)
    return tuple(operand.model for operand in operands if isinstance(operand, Value))


def _grouped(node: Node) -> str:
    return f"({node})" if isinstance(node, And | Or) else str(node)
