"""How nodes ask the judge about images, and keep it alive while they are in a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.judging.case import Subject
from ...core.prediction import Answer, Failure
from ..host import host
from ..host.api import io
from ..host.images import Frame, subjects
from .refusals import advice
from .scores import Scored, Scores

_LOADING = frozenset(["missing_weights", "download_failed", "corrupt_weights", "unsafe_weights", "wrong_weights"])
"""Failures of a model, not of an image: the user must act, so the node fails instead of judging."""


class JudgingNode(io.ComfyNode):
    """A node that keeps its nets in memory as long as it is in the workflow; see host.judge."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = host.judge()


def judge_frames(
    found: Sequence[Frame], gate: Gate, how: host.RunOptions, known: Scores | None = None, *, everything: bool = False
) -> Scores:
    """The frames' scores. Raises KeepersError when a model cannot be loaded, ValueError for scores of other images."""
    given = subjects(found, checked=known is not None)
    if known is not None:
        if len(known.images) != len(found):
            count = len(known.images)
            raise ValueError(f"There are {len(found)} images, but scores of {count}: wire both from the same images.")
        given = known.subjects(given)
    return judge_subjects(given, gate, how, everything=everything)


def judge_subjects(given: Sequence[Subject], gate: Gate, how: host.RunOptions, *, everything: bool = False) -> Scores:
    """The scores of images that are opened only when needed. Raises KeepersError when a model cannot be loaded."""
    judge = host.judge(how)
    judge.check(gate)
    judged = judge.judge(given, gate, everything=everything)
    check_loaded(answer for each in judged for answer in each.answers.values())
    text = str(gate)
    both = zip(judged, given, strict=True)
    return Scores(tuple(Scored(each.answers, subject.flaw, each.verdict, text, each.notes) for each, subject in both))


def check_loaded(answers: Iterable[Answer]) -> None:
    """Raises KeepersError with the reason if a model could not be loaded, so that a prompt never fails silently."""
    for answer in answers:
        if isinstance(answer, Failure) and answer.code in _LOADING:
            raise KeepersError(advice(answer))
