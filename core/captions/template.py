"""Caption templates: "{trigger}, a drawing of {species}, {tags}"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..errors import RecipeError, UnknownName

FIELDS = ("trigger", "rating", "species", "tags", "last", "prompt")

_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
_BREAK = re.compile(r"\s*[,;|]\s*|\.\s+|\s*\n\s*")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class _Clause:
    """The text between two breaks: alternating literals and field names, with literals first and last."""

    literals: tuple[str, ...]
    fields: tuple[str, ...]
    joint: str
    """The break before it."""

    def fill(self, values: Mapping[str, str]) -> str:
        """The text, or nothing if all its fields are empty: what it says about them goes with them."""
        if self.fields and not any(values[name] for name in self.fields):
            return ""
        text = self.literals[0]
        for name, literal in zip(self.fields, self.literals[1:], strict=True):
            text += values[name] + literal
        # Blanks are collapsed only if an empty field left a gap; a tag's own blanks are not ours to change.
        return text.strip() if all(values[name] for name in self.fields) else _BLANKS.sub(" ", text).strip()


@dataclass(frozen=True)
class Template:
    """A parsed template."""

    text: str
    clauses: tuple[_Clause, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that it uses."""
        return frozenset(name for clause in self.clauses for name in clause.fields)

    def fill(self, values: Mapping[str, str]) -> str:
        """The caption. Values are inserted unchanged; a clause whose fields are all empty disappears with its break."""
        caption = ""
        for clause in self.clauses:
            text = clause.fill(values)
            if text:
                caption += (clause.joint if caption else "") + text
        return caption


@lru_cache(maxsize=32)
def parse_template(text: str) -> Template:
    """Parses a template. `{{` and `}}` stand for braces. Raises RecipeError, or UnknownName for an unknown field."""
    clauses: list[_Clause] = []
    literals, fields, joint = [""], list[str](), ""
    for piece, kind in _tokens(text):
        if kind == "field":
            fields.append(piece)
            literals.append("")
        elif kind == "break":
            clauses.append(_Clause(tuple(literals), tuple(fields), joint))
            literals, fields, joint = [""], [], piece
        else:
            literals[-1] += piece
    clauses.append(_Clause(tuple(literals), tuple(fields), joint))
    return Template(text, tuple(clauses))


def _tokens(text: str) -> list[tuple[str, str]]:
    """The pieces of a template, each with its kind: text, break or field."""
    found: list[tuple[str, str]] = []
    position = 0
    for match in _TOKEN.finditer(text):
        found += _plain(text[position : match.start()])
        position = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            found.append((token[0], "text"))
        elif len(token) == 1:
            raise RecipeError(f"The template {text!r} has a lone {token!r}; write {token * 2!r} for a brace.")
        else:
            found.append((_field(token[1:-1].strip()), "field"))
    return found + _plain(text[position:])


def _field(name: str) -> str:
    if name not in FIELDS:
        raise UnknownName("template field", name, FIELDS)
    return name


def _plain(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    for match in _BREAK.finditer(text):
        found += [(text[position : match.start()], "text"), (match.group(), "break")]
        position = match.end()
    return [*found, (text[position:], "text")]
