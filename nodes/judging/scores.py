"""What a KEEPERS_SCORES wire carries: for every image, the models' answers and the verdict."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...core.gates.gate import Gate, Verdict
from ...core.gates.tree import Value, values_of
from ...core.gates.truth import Reading, read
from ...core.gates.unjudged import unanswered
from ...core.judging.case import Subject
from ...core.metadata.record import Record, record_of, to_json
from ...core.prediction import Answer, Answers, Prediction

UNJUDGED = "unjudged"
WORDS: Mapping[str, str] = {
    "accept": "accepted",
    "review": "for review",
    "reject": "rejected",
    UNJUDGED: "could not be judged",
}
"""What becomes of images, as users read it. Those that could not be judged are counted apart from those for review."""


@dataclass(frozen=True)
class Scored:
    """One image's answers, and its verdict if a gate was asked."""

    answers: Answers = field(default_factory=dict[str, Answer])
    flaw: str = ""
    """Why no model could judge the image (NaN in its pixels)."""
    verdict: Verdict | None = None
    gate: str = ""
    """The gate of the verdict, in its canonical form."""
    notes: tuple[str, ...] = ()
    """As in `Judged`: how models saw the file."""

    @property
    def outcome(self) -> str:
        """ "accept", "review" or "reject"; an image that no gate was asked about is accepted."""
        return self.verdict.outcome if self.verdict else "accept"

    @property
    def judged(self) -> bool:
        """Whether the gate reached its outcome; also where no gate was asked. If not, the image is never given up."""
        return self.verdict is None or self.verdict.judged

    @property
    def fate(self) -> str:
        """The key in WORDS: the outcome, or "unjudged"."""
        return self.outcome if self.judged else UNJUDGED

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
        """How many images have this outcome; those that could not be judged are among those for review."""
        return sum(one.outcome == outcome for one in self.images)

    @property
    def unjudged(self) -> int:
        """How many images could not be judged."""
        return sum(not one.judged for one in self.images)

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
    found = read(by, scored.answers) if by else None
    return found.value if isinstance(found, Reading) else -math.inf


def word(scored: Scored, by: Value | None, gate: Gate) -> str:
    """The label of the model that ranks, else of the last model of the gate that has a label."""
    for model in ((by.model,) if by else ()) + tuple(reversed(gate.models)):
        answer = scored.answers.get(model)
        if isinstance(answer, Prediction) and answer.label:
            return answer.label
    return ""


def usable(scored: Scored) -> list[Prediction]:
    """The predictions that a caption may be made of: those whose values are all numbers."""
    return [each for each in scored.answers.values() if isinstance(each, Prediction) and not unanswered(each)]


def summary(scores: Scores) -> str:
    """The counts in one line, as shown on the node."""
    if not scores.images:
        return "no images came in"
    fates = Counter(one.fate for one in scores.images)
    accepted = f"{fates.pop('accept', 0)} of {len(scores.images)} accepted"
    return ", ".join([accepted, *(f"{fates[fate]} {words}" for fate, words in WORDS.items() if fates[fate])])


def report(scores: Scores) -> str:
    """The counts, then a line for every image with its verdict, its reason and what is to be noted."""
    lines = ["; ".join([f"{index}: {one.reason}", *one.notes]) for index, one in enumerate(scores.images)]
    return "\n".join([summary(scores), *lines])


def report_json(scores: Scores) -> str:
    """The records of all images as a JSON list."""
    return json.dumps([json.loads(to_json(one.record())) for one in scores.images])
