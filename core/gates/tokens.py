"""Splits a gate text into tokens. Model ids contain ':' and '-', so no other language's tokenizer fits."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Literal, NamedTuple, NoReturn

from ..errors import GateError
from .tree import PLAIN_LABEL

Kind = Literal["head", "value", "name", "number", "string", "operator", "word", "mark", "end"]

OUTCOMES = ("accept", "review", "reject")
_WORDS = ("and", "or", "not", "in")
_BLANK = re.compile(r"(?:[^\S\n]|#[^\n]*)+")
_HEAD = re.compile(r"(accept|review|reject)[^\S\n]*:", re.IGNORECASE)
_MODEL = re.compile(r"[a-z][a-z0-9_]*(?::[A-Za-z0-9_-]+)?(?=[.\[])")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|' + r"'((?:[^'\\\n]|\\.)*)'")
_OPERATOR = re.compile(r"<=|>=|==|!=|<(?![>=])|>(?![>=])")
_GLUED = re.compile(r"[^\s<>=!()\[\];#,\"]*")
_ODD_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_LARGEST = 3.4e38
_INSTEAD = {
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "!": "not",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "=": "==",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
}


class Token(NamedTuple):
    """A piece of the text. A value's `text` is the label and `model` its model; a string's `text` is its content."""

    kind: Kind
    text: str
    position: int
    model: str = ""


def tokens(text: str) -> list[Token]:
    """All tokens, the last of kind "end". Line breaks inside an expression are dropped. Raises GateError."""
    return _joined(_Scanner(text).scan())


def _joined(found: list[Token]) -> list[Token]:
    """Line breaks end a clause, unless they are inside parentheses or beside a word or sign that needs more."""
    kept: list[Token] = []
    depth = 0
    for index, token in enumerate(found):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if token.kind == "end" and token.text == "\n":
            following = next((t for t in found[index:] if t.text != "\n" or t.kind != "end"), token)
            if depth > 0 or (kept and _goes_on(kept[-1])) or following.text in ("and", "or"):
                continue
        kept.append(token)
    return kept


def _goes_on(token: Token) -> bool:
    return token.kind in ("head", "operator", "word")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Token] = []

    def scan(self) -> list[Token]:
        while True:
            if blank := _BLANK.match(self.text, self.at):
                self.at = blank.end()
            if self.at >= len(self.text):
                self.found.append(Token("end", "", self.at))
                return self.found
            self.found.append(self._next())

    def _next(self) -> Token:
        start = self.at
        if self.text[start] in "\n;":
            self.at += 1
            return Token("end", self.text[start], start)
        if self.text[start] in "(),":
            self.at += 1
            return Token("mark", self.text[start], start)
        if self._fresh() and (head := _HEAD.match(self.text, start)):
            self.at = head.end()
            return Token("head", head[1].lower(), start)
        if operator := _OPERATOR.match(self.text, start):
            self.at = operator.end()
            return Token("operator", operator[0], start)
        return self._value() or self._number() or self._string() or self._word()

    def _fresh(self) -> bool:
        return not self.found or self.found[-1].kind == "end"

    def _value(self) -> Token | None:
        model = _MODEL.match(self.text, self.at)
        if model is None:
            return None
        start, self.at = self.at, model.end()
        label = self._bracketed() if self.text[self.at] == "[" else self._dotted(model[0])
        kind: Kind = "value" if self.text[model.end()] == "[" or label != "label" else "name"
        return Token(kind, label, start, model[0])

    def _bracketed(self) -> str:
        self.at += 1
        self._skip_blank()
        start = self.at
        label = self._string()
        if label is None:
            self._refuse(start, 'A label in brackets is written in quotes, as in model["any label"].')
        self._skip_blank()
        if not self.text.startswith("]", self.at):
            self._refuse(self.at, "A closing ] is missing after the label.")
        self.at += 1
        return label.text

    def _dotted(self, model: str) -> str:
        self.at += 1
        start = self.at
        found = PLAIN_LABEL.match(self.text, start)
        self.at = found.end() if found else start
        if (glued := _GLUED.match(self.text, self.at)) and glued[0]:
            label = self.text[start : glued.end()]
            self._refuse(start, f'A label that is not a plain word goes in brackets: {model}["{_cut(label)}"].')
        if found is None:
            self._refuse(start, f"A label is missing after {model}. Write it as in faramir.accept.")
        return found[0]

    def _number(self) -> Token | None:
        if odd := _ODD_NUMBER.match(self.text, self.at):
            self._refuse(self.at, f"A score cannot be compared with {odd[0]}; use one like 0.5.")
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            return None
        start, self.at = self.at, found.end()
        self._refuse_comma(start, found[0])
        if glued := re.compile(r"[\w.%]+").match(self.text, self.at):
            self._refuse(start, f"{_cut(found[0] + glued[0])} is not a number; write it like 0.5.")
        if abs(float(found[0])) > _LARGEST:
            self._refuse(start, f"{_cut(found[0])} is larger than any score; use a number like 0.5.")
        return Token("number", found[0], start)

    def _refuse_comma(self, start: int, whole: str) -> None:
        if comma := re.compile(r",[0-9]+").match(self.text, self.at):
            instead = whole + "." + comma[0][1:]
            self._refuse(
                start, f"Decimals follow a point, not a comma: use {_cut(instead)} for {_cut(whole + comma[0])}."
            )

    def _string(self) -> Token | None:
        if self.text[self.at : self.at + 1] not in ('"', "'"):
            return None
        found = _STRING.match(self.text, self.at)
        if found is None:
            self._refuse(self.at, "The closing quote is missing on this line.")
        start, self.at = self.at, found.end()
        content = found[1] if found[1] is not None else found[2]
        for escape in _ESCAPE.finditer(content):
            if escape[1] not in _ESCAPED:
                self._refuse(start + 1 + escape.start(), "After a backslash only \\ \" ' n r t may follow.")
        return Token("string", _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], content), start)

    def _word(self) -> Token:
        start = self.at
        found = re.compile(r"\w+").match(self.text, start)
        if found is None:
            self._refuse_sign(start)
        self.at = found.end()
        if found[0].lower() not in _WORDS:
            self._refuse_word(start, found[0], self.text[self.at : self.at + 1])
        return Token("word", found[0].lower(), start)

    def _refuse_word(self, start: int, word: str, following: str) -> NoReturn:
        shown = _cut(word)
        if following == ":" and word.lower() in OUTCOMES:
            self._refuse(start, f"A new clause begins on a new line or after a semicolon; put ; before {shown}:.")
        if following == ":" and self._fresh():
            close = get_close_matches(word.lower(), OUTCOMES, n=1) or ["accept"]
            self._refuse(start, f"There is no clause {shown}:; accept:, review: and reject: exist. Use {close[0]}:.")
        if following in (".", "[") and word != word.lower():
            self._refuse(start, f"Models are written in lower case: {shown.lower()}.")
        self._refuse(start, f"{shown} is neither a label nor a number; write model.label, as in faramir.accept.")

    def _refuse_sign(self, start: int) -> NoReturn:
        for sign, instead in _INSTEAD.items():
            if self.text.startswith(sign, start):
                self._refuse(start, f"{sign} is not part of the gate language; write {instead} instead.")
        self._refuse(start, f"{self.text[start]!a} has no meaning in a gate.")

    def _skip_blank(self) -> None:
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()

    def _refuse(self, position: int, message: str) -> NoReturn:
        raise GateError(self.text, position, message)


def _cut(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
