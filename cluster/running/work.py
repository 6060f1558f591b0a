"""One image on its way through the stages, and what the gate still needs to know about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...collection.store import SeenImage
from ...core.gates.gate import Decision, Verdict
from ...core.judging.case import Case, Subject
from ...core.judging.near_duplicates import Twin, comparable, with_known_twin
from ...core.judging.spot_checks import Off
from ...core.pictures.open import open_image
from ...core.prediction import Answer, Failure, Floats, Prediction, Twins
from ..sources.item import SourceItem
from .task import Task, compared_with

if TYPE_CHECKING:
    from PIL.Image import Image


_SOME_TWIN = Twin(0, Twins("another image", count=1))


@dataclass(frozen=True)
class BarePrediction:
    """A prediction without its labels: all images of a model share them, and those of a tagger are large."""

    values: Floats
    label: str
    margin: float
    tolerance: float


@dataclass(repr=False)
class Work:
    """What travels from stage to stage.

    Its repr is only its name: Ray formats every batch of objects before it pickles them, and with all bytes and views
    in that text, handing on an image of 1.6 MB takes 59 ms instead of a few.
    """

    item: SourceItem
    image: SeenImage = field(default_factory=lambda: SeenImage(""))
    answers: dict[str, BarePrediction | Failure] = field(default_factory=dict[str, BarePrediction | Failure])
    error: str = ""
    """Why the image is unreadable, as a code."""
    flaw: str = ""
    """Why it cannot be judged, whatever a model answers."""
    data: bytes = b""
    """The file, as long as a model may still need it."""
    strayed: tuple[Off, ...] = ()
    """Fast numbers that were further off than stated."""
    views: tuple[Floats, ...] = ()
    """The views for the net of the next stage; empty if it is not asked."""

    def __repr__(self) -> str:
        return f"Work({self.item.name})"

    def hear(self, answer: Answer) -> None:
        """Stores a model's answer."""
        if isinstance(answer, Failure):
            self.answers[answer.model] = answer
        else:
            self.answers[answer.model] = BarePrediction(answer.values, answer.label, answer.margin, answer.tolerance)

    def case(self, task: Task, data: bytes) -> Case:
        """The picture, opened when a view of it is first needed."""
        return Case(
            Subject(
                lambda: _open(self.item, data, task),
                flaw=self.flaw,
                flaw_code=self.error or "non_finite",
                name=self.item.name,
            )
        )

    def take(self, case: Case) -> None:
        """Takes over what was found on opening the picture."""
        self.flaw, self.error = case.flaw, case.error
        notes = tuple(dict.fromkeys((*self.image.notes, *case.notes)))
        self.image = replace(self.image, notes=notes)


class Mind:
    """Decides with the gate, as the judge does, but also allows for an image that later turns out to be a duplicate."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.gate = task.parsed
        self._compared = [model for model in self.gate.models if task.tried[model].compared]
        self._beside = compared_with(self.gate)

    def answers(self, work: Work) -> dict[str, Answer]:
        """The models' answers, with their labels."""
        return {model: self._answer(model, answer) for model, answer in work.answers.items()}

    def _answer(self, model: str, answer: BarePrediction | Failure) -> Answer:
        if isinstance(answer, Failure):
            return answer
        asked = self.task.tried[model]
        values = answer.values, answer.label, answer.margin, answer.tolerance
        return Prediction(model, asked.labels, *values, fingerprint=asked.fingerprint)

    def wants(self, work: Work, model: str) -> bool:
        """Whether a model has to be asked about an image."""
        if work.flaw or model in work.answers:
            return False
        if self.task.everything and model in self.gate.models:
            return True
        answers = self.answers(work)
        if model in self.task.taggers:
            return self._any(answers, lambda decision: decision.verdict is None or _accepts(decision))
        return self._any(answers, lambda decision: model in decision.models)

    def blurred(self, work: Work, model: str) -> bool:
        """Whether a model's answer is too near a threshold for its tolerance.

        Or may turn out to be, once a later model that it is compared with has answered: its net is then out of reach.
        """
        answers = self.answers(work)
        answer, beside = answers.get(model), self._beside.get(model, frozenset())
        if work.flaw or not isinstance(answer, Prediction) or not answer.tolerance:
            return False
        return self._any(answers, lambda decision: model in decision.blurred or not beside.isdisjoint(decision.models))

    def open(self, work: Work, later: tuple[str, ...]) -> bool:
        """Whether one of the later models may still need the picture."""
        if work.flaw or not later:
            return False
        if self.task.everything or self._any(self.answers(work), lambda decision: decision.verdict is None):
            return True
        return any(self.wants(work, model) for model in later)

    def _any(self, answers: Mapping[str, Answer], found: Callable[[Decision], bool]) -> bool:
        if found(self.gate.decide(answers)):
            return True
        twin = self.as_twin(answers, _SOME_TWIN)
        return bool(twin) and found(self.gate.decide(twin))

    def as_twin(self, answers: Mapping[str, Answer], twin: Twin) -> Mapping[str, Answer]:
        """The answers about the same image with this place among near-duplicates; empty if it is not compared."""
        found = ((model, answers.get(model)) for model in self._compared)
        twins = {model: with_known_twin(one, twin) for model, one in found if comparable(one)}
        return {**answers, **twins} if twins else {}

    def verdict(self, answers: Mapping[str, Answer]) -> Verdict:
        """The verdict and reason, from only those answers that a plain scan would have asked for."""
        verdict = self._decided(answers).verdict
        assert verdict is not None, "every model was asked"
        return verdict

    def sure(self, answers: Mapping[str, Answer]) -> bool:
        """Whether the answers' tolerances leave one verdict, alone and as a duplicate."""
        twin = self.as_twin(answers, _SOME_TWIN)
        return all(self._decided(one).verdict is not None for one in (answers, twin) if one)

    def _decided(self, answers: Mapping[str, Answer]) -> Decision:
        heard: dict[str, Answer] = {}
        for model in self.task.in_turn:
            if model in answers and (self.task.everything or model in self.gate.decide(heard).models):
                heard[model] = answers[model]
        return self.gate.decide(heard)


def _accepts(decision: Decision) -> bool:
    return decision.verdict is not None and decision.verdict.outcome == "accept"


def _open(item: SourceItem, data: bytes, task: Task) -> Image:
    return open_image(data, name=item.name, pixel_limit=task.pixel_limit)
