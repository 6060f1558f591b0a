"""What a KEEPERS_SCORES wire carries: for every image, the models' answers and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...core.gates.gate import Gate, Verdict
from ...core.gates.tree import Value, values_of
from ...core.judging.case import Subject
from ...core.metadata.record import Record, record_of, to_json
from ...core.prediction import Answer, Answers, Prediction


@dataclass(frozen=True)
class Scored:
    """One image's answers, and its verdict if a gate was asked."""

    answers: Answers = field(default_factory=dict[str, Answer])
    flaw: str = ""
    """Why no model could judge the image (NaN in its pixels)."""
    verdict: Verdict | None = None
    gate: str = ""
    """The gate of the verdict, in its canonical form."""

    @property
    def outcome(self) -> str:
        """ "accept", "review" or "reject"; an image that no gate was asked about is accepted."""
        return self.verdict.outcome if self.verdict else "accept"

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        return self.verdict.reason if self.verdict else "accept: no gate was asked"

    def record(self, caption: str = "") -> Record:
        """What is written into the saved image."""
        return record_of(self.answers, self.verdict, self.gate, caption)


@dataclass(frozen=True)
class Scores:
    """The images of one run, in their order."""

    images: tuple[Scored, ...] = ()

    def count(self, outcome: str) -> int:
        """How many images have this outcome."""
        return sum(one.outcome == outcome for one in self.images)

    def subjects(self, fresh: Sequence[Subject]) -> list[Subject]:
        """The subjects of the same images with their known answers, so that nothing is asked twice.

        Failures are not carried over: a model that failed once may succeed the next time.
        """
        known = [{m: a for m, a in one.answers.items() if isinstance(a, Prediction)} for one in self.images]
        return [
            Subject(open=subject.open, known=answers, flaw=one.flaw or subject.flaw, name=subject.name)
            for subject, one, answers in zip(fresh, self.images, known, strict=True)
        ]


def joined(given: Iterable[Scores]) -> Scores:
    """Several runs as one, for lists of images."""
    return Scores(tuple(one for scores in given for one in scores.images))


def ranking(gate: Gate, wish: str = "") -> Value | None:
    """The number by which images are ranked: the one that the user names, else the last in the accept clause.

    The last, because gates begin with cheap models and end with those that matter. Raises GateError.
    """
    if wish.strip():
        return named_value(wish)
    ordered = sorted(gate.clauses, key=lambda clause: clause.outcome != "accept")
    for clause in ordered:
        if values := values_of(clause.when):
            return values[-1]
    return None


def wish_gate(wish: str) -> Gate:
    """A gate that asks only for the number `wish`, so that it can be checked like any gate.

    Raises GateError if `wish` is not of the form `model.label`.
    """
    return Gate.parse(f"accept: {wish.strip()} == {wish.strip()}")


def named_value(wish: str) -> Value | None:
    """The number that a text such as `faramir.accept` names. Raises GateError."""
    return next(iter(wish_gate(wish).values), None)


def rank(scored: Scored, by: Value | None) -> float:
    """An image's number for the ranking; minus infinity if it has none."""
    answer = scored.answers.get(by.model) if by else None
    if by is None or not isinstance(answer, Prediction) or by.label not in answer.labels:
        return -math.inf
    value = answer[by.label]
    return -math.inf if math.isnan(value) else value


def word(scored: Scored, by: Value | None, gate: Gate) -> str:
    """The label of the model that ranks, else of the last model of the gate that has a label."""
    for model in ((by.model,) if by else ()) + tuple(reversed(gate.models)):
        answer = scored.answers.get(model)
        if isinstance(answer, Prediction) and answer.label:
            return answer.label
    return ""


def summary(scores: Scores) -> str:
    """The counts in one line, as shown on the node."""
    total = len(scores.images)
    if not total:
        return "no images came in"
    parts = [f"{scores.count('accept')} of {total} accepted"]
    parts += [f"{n} for review" for n in [scores.count("review")] if n]
    parts += [f"{n} rejected" for n in [scores.count("reject")] if n]
    return ", ".join(parts)


def report(scores: Scores) -> str:
    """The counts, then a line for every image with its verdict and reason."""
    lines = [f"{index}: {one.reason}" for index, one in enumerate(scores.images)]
    return "\n".join([summary(scores), *lines])


def report_json(scores: Scores) -> str:
    """The records of all images as a JSON list."""
    return json.dumps([json.loads(to_json(one.record())) for one in scores.images])
