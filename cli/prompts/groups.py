"""The two groups of images whose prompts are compared, and what comparing them found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...collection.statistics.prompts import NumberComparison, PromptGroup, WordComparison
from ...core.captions.sidecar import read_sidecar
from ...core.errors import KeepersError
from ...core.gates.gate import Gate, Verdict
from ...core.gates.tree import Value
from ...core.metadata.beside import generation_beside
from ...core.prediction import Answers, Prediction


@dataclass(frozen=True)
class GroupRule:
    """What separates the images into two groups."""

    gate: Gate
    model: str = ""
    truth: str = ""
    """The true class of all images; the groups are then those that fooled the model and those it caught."""

    @property
    def names(self) -> tuple[str, str]:
        """The names of the groups."""
        return ("fooled", "caught") if self.model else ("accepted", "rejected")

    def group(self, verdict: Verdict, answers: Answers) -> str:
        """The group of an image that could be read; empty if it is in none, NOT_JUDGED if it could not be judged."""
        if not self.model:
            groups = {"accept": "accepted", "reject": "rejected"}
            return groups.get(verdict.outcome, "") if verdict.judged else NOT_JUDGED
        answer = answers.get(self.model)
        if not isinstance(answer, Prediction) or not answer.label:
            return NOT_JUDGED
        return "caught" if answer.label == self.truth else "fooled"


NOT_JUDGED = "not judged"
"""Stands for the group of an image that could not be read or judged."""
Grouped = Iterable[tuple[str, str]]
"""For each image, its group, NOT_JUDGED or "", and its prompt or ""."""


@dataclass(frozen=True)
class Findings:
    """Everything that is shown."""

    names: tuple[str, str]
    groups: tuple[PromptGroup, PromptGroup]
    without: int
    """Images without a prompt, which are left out."""
    neither: int
    """Images in neither group: for review."""
    not_judged: int
    """Images that could not be read or judged."""
    counts: Sequence[NumberComparison]
    found: Mapping[str, Sequence[WordComparison]]
    """By kind (words, nouns, LoRAs), the most distinctive first."""
    tagger: str


def fooled_gate(model: str, truth: str) -> Gate:
    """A gate that asks only the model."""
    value = str(Value(model, truth))
    return Gate.parse(f"accept: {value} == {value}")


def require_class(truth: str, labels: Sequence[str]) -> None:
    """Raises KeepersError for a truth that is not a class of the model."""
    if truth not in labels:
        raise KeepersError(f"--truth is the class that all the images truly are of: one of {', '.join(labels)}.")


def prompt_of(path: Path | None, known: str, table: Mapping[Path, str]) -> str:
    """The prompt of an image: only from the table if there is one, else its own, else from a file beside it.

    Of a file that says how the image was made, only the positive prompt is taken.
    """
    if table:
        return table.get(path.resolve(), "") if path else ""
    if known or path is None:
        return known
    try:
        beside = read_sidecar(path.with_suffix(".txt")) or ""
    except KeepersError:
        return ""
    made = generation_beside(beside)
    return made.positive if made else beside
