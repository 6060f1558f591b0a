"""Parses a gate text by recursive descent. Nothing is evaluated, and hostile text raises GateError."""

from __future__ import annotations

from typing import NoReturn, cast

from ..errors import GateError
from .tokens import Token, tokens
from .tree import And, Clause, Comparison, Node, Not, Number, Operand, Or, Outcome, Value, WordTest

LONGEST = 10_000
DEEPEST = 64

_NUMBER_HINT = "compare it with a number, as in {0} >= 0.5"


def parse_clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a gate text; none if the text has none.

    Raises:
        GateError: with the position and what to write instead.
    """
    if len(text) > LONGEST:
        raise GateError(text[:60] + "…", 0, f"The gate has {len(text):,} characters; at most {LONGEST:,} are allowed.")
    return _Parser(text).clauses()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    def clauses(self) -> tuple[Clause, ...]:
        found: list[Clause] = []
        while True:
            while self._at_end() and self._here.text:
                self.at += 1
            if self._at_end():
                return tuple(found)
            found.append(self._clause())
            if not self._at_end():
                self._refuse_here("An and, an or, a semicolon or a new line is missing here.")

    @property
    def _here(self) -> Token:
        return self.tokens[self.at]

    def _at_end(self) -> bool:
        return self._here.kind == "end"

    def _take(self) -> Token:
        token = self._here
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _taken(self, kind: str, *texts: str) -> bool:
        fits = self._here.kind == kind and self._here.text in texts
        self.at += fits
        return fits

    def _clause(self) -> Clause:
        head = self._take().text if self._here.kind == "head" else "accept"
        return Clause(cast("Outcome", head), self._or())

    def _or(self) -> Node:
        parts = [self._and()]
        while self._taken("word", "or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Node:
        parts = [self._not()]
        while self._taken("word", "and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Node:
        if not self._taken("word", "not"):
            return self._group() if self._here.text == "(" and self._here.kind == "mark" else self._term()
        self._deeper(+1)
        part = self._not()
        self._deeper(-1)
        return Not(part)

    def _group(self) -> Node:
        opening = self._take()
        self._deeper(+1)
        node = self._or()
        self._deeper(-1)
        if not self._taken("mark", ")"):
            if self._here.kind == "end":
                self._refuse(opening.position, "This parenthesis is never closed.")
            self._refuse_here("A closing parenthesis is missing here.")
        if self._here.kind == "operator":
            self._refuse_here("Only labels and numbers can be compared, not an expression in parentheses.")
        return node

    def _deeper(self, step: int) -> None:
        self.depth += step
        if self.depth > DEEPEST:
            self._refuse_here(f"Parentheses and nots are nested more than {DEEPEST} deep.")

    def _term(self) -> Node:
        first = self._take()
        if first.kind == "name":
            return self._test(first)
        if first.kind == "string":
            return self._mirrored_test(first)
        if first.kind not in ("value", "number"):
            self._refuse(first.position, "A comparison is missing here, as in faramir.accept >= 0.5.")
        return self._comparison(first)

    def _test(self, name: Token) -> WordTest:
        negated = self._taken("word", "not")
        if self._taken("word", "in"):
            return WordTest(name.model, self._names(), negated, name.position)
        if negated or not (self._here.kind == "operator" and self._here.text in ("==", "!=")):
            self._refuse_answer(name)
        negated = self._take().text == "!="
        word = self._take()
        if word.kind != "string":
            self._refuse_answer(name)
        self._no_chain()
        return WordTest(name.model, (word.text,), negated, name.position)

    def _mirrored_test(self, word: Token) -> WordTest:
        operator, name = self._take(), self._here
        if operator.kind != "operator" or operator.text not in ("==", "!=") or name.kind not in ("name", "value"):
            self._refuse(word.position, 'Compare a word with an answer, as in coherence.label == "coherent".')
        self.at += 1
        if name.kind == "value":
            self._refuse_word_for_number(name, word)
        self._no_chain()
        return WordTest(name.model, (word.text,), operator.text == "!=", name.position)

    def _names(self) -> tuple[str, ...]:
        if not self._taken("mark", "("):
            self._refuse_here('After in comes a list of words, as in ("coherent", "semi-incoherent").')
        names: list[str] = []
        while not (names and self._taken("mark", ")")):
            if names and not self._taken("mark", ","):
                self._refuse_here("A comma or a closing parenthesis is missing here.")
            if names and self._taken("mark", ")"):
                break
            if self._here.kind != "string":
                self._refuse_here("A word in quotes is missing here.")
            names.append(self._take().text)
        return tuple(names)

    def _comparison(self, first: Token) -> Comparison:
        operands: list[Operand] = [self._operand(first)]
        operators: list[str] = []
        while self._here.kind == "operator":
            operators.append(self._take().text)
            token = self._take()
            if token.kind == "string":
                self._refuse_word_for_number(first, token)
            operands.append(self._operand(token))
            if isinstance(operands[-1], Number) and isinstance(operands[-2], Number):
                self._refuse(token.position, "Two numbers are compared here; one side must be a label.")
        if not operators:
            self._refuse_bare(first, operands[0])
        return Comparison(tuple(operands), tuple(operators))

    def _operand(self, token: Token) -> Operand:
        if token.kind == "name":
            self._refuse_answer(token)
        if token.kind not in ("number", "value"):
            self._refuse(token.position, "A number or a label is missing here, as in faramir.accept >= 0.5.")
        if token.kind == "number":
            return Number(float(token.text), token.position)
        return Value(token.model, token.text, token.position)

    def _no_chain(self) -> None:
        if self._here.kind == "operator":
            self._refuse_here("Answers cannot be compared in a chain; join the comparisons with and.")

    def _refuse_bare(self, token: Token, operand: Operand) -> NoReturn:
        if isinstance(operand, Number):
            self._refuse(
                token.position, "A number alone means nothing; compare a label with it, as in faramir.accept >= 0.5."
            )
        if self._here.kind == "word" and self._here.text in ("in", "not"):
            self._refuse_here(f"{operand} is a number; use {operand.model}.label in (...) for the answer in one word.")
        self._refuse(token.position, f"{operand} is a number: {_NUMBER_HINT.format(operand)}.")

    def _refuse_answer(self, name: Token) -> NoReturn:
        model = name.model
        self._refuse(
            name.position,
            f"{model}.label is the model's answer in one word: compare it with words, "
            f'as in {model}.label == "word" or {model}.label in ("word", "other"). '
            f'A number named label is written {model}["label"].',
        )

    def _refuse_word_for_number(self, operand: Token, word: Token) -> NoReturn:
        if operand.kind != "value":
            self._refuse(word.position, 'Compare a word with an answer, as in coherence.label == "coherent".')
        value = Value(operand.model, operand.text)
        self._refuse(
            word.position,
            f"{value} is a number: {_NUMBER_HINT.format(value)}. The answer in one word is {operand.model}.label.",
        )

    def _refuse_here(self, message: str) -> NoReturn:
        self._refuse(self._here.position, message)

    def _refuse(self, position: int, message: str) -> NoReturn:
        raise GateError(self.text, position, message)
