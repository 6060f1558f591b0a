"""The gate: a text that says which images to keep, and the verdict it gives on what the models answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..prediction import Answers, Labels
from .check import check_clause
from .parse import LONGEST, parse_clauses
from .reason import why_decided, why_undecided, why_unjudged
from .tree import OUTCOMES, Clause, Comparison, Link, Outcome, Value, WordTest, models_in, terms, values_of
from .truth import FALSE, TRUE, UNJUDGED, Finding, find, needs, unjudged_in
from .unjudged import Unjudged

__all__ = ["OUTCOMES", "Clause", "Decision", "Gate", "Outcome", "Unjudged", "Verdict", "not_judged"]

_Outcomes = frozenset[Outcome]


@dataclass(frozen=True)
class Verdict:
    """What happens to an image, and why."""

    outcome: Outcome
    reason: str
    """One line for the user that begins with the outcome: "reject: faramir.accept 0.31 < 0.50; degraded"."""
    unjudged: tuple[Unjudged, ...] = ()
    """What could not be judged and left the outcome open, which is then review; empty where it was reached without."""

    @property
    def judged(self) -> bool:
        """Whether the gate reached the outcome. If not, the image may not be accepted, dropped, moved or the best."""
        return not self.unjudged

    @property
    def lasts(self) -> bool:
        """Whether the same image has the same verdict the next time; not so where a model was missing or failed."""
        return all(one.lasts for one in self.unjudged)


def not_judged(*unjudged: Unjudged) -> Verdict:
    """The verdict on an image that could not be judged: review, with the reasons."""
    return Verdict("review", f"review: {why_unjudged(unjudged)}", unjudged)


@dataclass(frozen=True)
class Decision:
    """A verdict, or what it still takes to reach one."""

    verdict: Verdict | None
    """None while the outcome is open; then at least one of the others is not empty."""
    models: tuple[str, ...] = ()
    """The models that have not answered and could still change the outcome, in the gate's order."""
    blurred: tuple[str, ...] = ()
    """The models whose values are too close to a threshold for their tolerance; they are needed at `exact`."""

    def closed(self) -> Verdict:
        """The verdict where no model can be asked any more: while the outcome is open, the image is not judged."""
        if self.verdict:
            return self.verdict
        reason = why_undecided(self.models, self.blurred)
        return not_judged(*(Unjudged(model, "unasked", reason) for model in self.models or self.blurred))


@dataclass(frozen=True)
class Gate:
    """Clauses in the order written; the first that is true gives the outcome.

    If none is true, the image is rejected if there is an accept clause, and accepted if there is none.
    """

    clauses: tuple[Clause, ...]
    text: str = field(default="", compare=False)
    """As the user wrote it."""

    @classmethod
    def parse(cls, text: str) -> Gate:
        """The gate that a text describes; an empty text accepts everything.

        Raises:
            GateError: with the position and what to write instead.
        """
        return cls(parse_clauses(text), text)

    def __str__(self) -> str:
        """The gate in its canonical form, one clause per line; it parses to an equal gate."""
        canonical = "\n".join(map(str, self.clauses))
        return canonical if len(canonical) <= LONGEST or not self.text else self.text

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that the gate names, in order of appearance."""
        return tuple(dict.fromkeys(model for term in self.terms for model in models_in(term)))

    @cached_property
    def terms(self) -> tuple[Comparison | WordTest, ...]:
        """The comparisons and tests of all clauses, as written."""
        return tuple(term for clause in self.clauses for term in terms(clause.when))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The comparisons of two operands, as written."""
        return tuple(link for term in self.terms if isinstance(term, Comparison) for link in term.links)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The numbers that the gate reads, as written: one that is read twice stands here twice."""
        return tuple(value for clause in self.clauses for value in values_of(clause.when))

    def check(self, labels_of: Callable[[str], Labels | None]) -> None:
        """Compares the gate with the models' labels; `labels_of` raises UnknownName, or returns None if it cannot tell.

        Raises:
            GateError: for an unknown model or label, and for a number outside its label's range.
        """
        for clause in self.clauses:
            check_clause(clause, self.text or str(self), labels_of)

    def decide(self, answers: Answers) -> Decision:
        """The verdict, as soon as no further answer could change its outcome; else the models that could.

        `answers` may hold some of the gate's models, and others. What cannot be judged never leads to accept.
        """
        findings = self._findings(answers)
        futures = self._futures(findings)
        if len({_final(future) for future in futures[0]}) > 1:
            return self._undecided(findings, futures, answers)
        if any(len(outcomes) > 1 for outcomes in futures[0]):
            leaves = (leaf for finding in findings if finding.truth & UNJUDGED for leaf in finding.leaves)
            return Decision(not_judged(*unjudged_in(leaves, answers)))
        outcome = _final(next(iter(futures[0])))
        return Decision(Verdict(outcome, f"{outcome}: {self._reason(findings, answers)}"))

    @cached_property
    def _otherwise(self) -> Outcome:
        return "reject" if any(clause.outcome == "accept" for clause in self.clauses) else "accept"

    def _findings(self, answers: Answers) -> list[Finding]:
        """The findings of the clauses, up to the first that is certainly true."""
        found: list[Finding] = []
        for clause in self.clauses:
            found.append(find(clause.when, answers))
            if found[-1].truth == TRUE:
                break
        return found

    def _futures(self, findings: Sequence[Finding]) -> list[frozenset[_Outcomes]]:
        """For each clause, and for the end: what the clauses from there on may still lead to.

        A future is a set of outcomes, because an unjudged clause leaves both its own outcome and the rest's open.
        """
        futures = [frozenset([_Outcomes((self._otherwise,))])]
        for clause, finding in zip(reversed(self.clauses[: len(findings)]), reversed(findings), strict=True):
            rest = futures[0]
            futures.insert(0, frozenset(_meets(clause.outcome, one, r) for one in _each(finding.truth) for r in rest))
        return futures

    def _undecided(
        self, findings: Sequence[Finding], futures: Sequence[frozenset[_Outcomes]], answers: Answers
    ) -> Decision:
        missing: set[str] = set()
        blurred: set[str] = set()
        before: frozenset[_Outcomes] = frozenset([_Outcomes()])
        for clause, finding, rest in zip(self.clauses, findings, futures[1:], strict=False):
            if _matters(clause.outcome, finding.truth, before, rest):
                for leaf in finding.leaves:
                    absent, near = needs(leaf, answers)
                    missing.update(absent)
                    blurred.update(near)
            passed = [_Outcomes()] if finding.truth & FALSE else []
            passed += [_Outcomes((clause.outcome,))] if finding.truth & UNJUDGED else []
            before = frozenset(earlier | one for earlier in before for one in passed)
        return Decision(None, *(tuple(model for model in self.models if model in some) for some in (missing, blurred)))

    def _reason(self, findings: Sequence[Finding], answers: Answers) -> str:
        if not self.clauses:
            return "the gate is empty"
        if findings[-1].truth == TRUE:
            return why_decided(findings[-1].leaves, answers)
        hoped = ("accept",) if self._otherwise == "reject" else ("review", "reject")
        failed = (f for clause, f in zip(self.clauses, findings, strict=True) if clause.outcome in hoped)
        return why_decided((leaf for finding in failed for leaf in finding.leaves), answers)


def _each(truth: int) -> list[int]:
    return [one for one in (FALSE, UNJUDGED, TRUE) if truth & one]


def _meets(outcome: Outcome, truth: int, rest: _Outcomes) -> _Outcomes:
    """What a clause and those after it lead to."""
    if truth == FALSE:
        return rest
    own = _Outcomes((outcome,))
    return own if truth == TRUE else own | rest


def _final(outcomes: _Outcomes) -> Outcome:
    return next(iter(outcomes)) if len(outcomes) == 1 else "review"


def _matters(outcome: Outcome, truth: int, before: frozenset[_Outcomes], rest: frozenset[_Outcomes]) -> bool:
    """Whether the outcome could depend on what a clause turns out to be."""
    return any(
        len({_final(earlier | _meets(outcome, one, later)) for one in _each(truth)}) > 1
        for earlier in before
        for later in rest
    )
