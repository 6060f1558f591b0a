"""One image on its way to a verdict: what is known about it, what is asked, what could not be done and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import KeepersError, one_line
from ..gates.gate import Gate, Verdict, not_judged
from ..gates.unjudged import flawed
from ..prediction import Answer, Failure, Prediction
from .classifier import Classifier, Prepared
from .spot_checks import SpotChecks, chosen

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..spec import View
    from .netless import Netless


@dataclass(frozen=True)
class Subject:
    """One image to be judged."""

    open: Callable[[], Image]
    """Returns the picture; called at most once per judgement, and not at all if `known` is enough."""
    known: Mapping[str, Prediction] = field(default_factory=dict[str, Prediction])
    """Predictions made earlier, by model id."""
    flaw: str = ""
    """Why the image cannot be judged, whatever a model says (NaN in its pixels); the verdict is then review."""
    flaw_code: str = "non_finite"
    """The code of the flaw, as in `UnreadableImage.code`."""
    name: str = ""
    """The name that notes on its duplicates use."""
    content: str = ""
    """A hash of the file, where one is known: it decides which images are checked (see `spot_checks`)."""
    settled: Verdict | None = None
    """A verdict given earlier: no model is asked, but the search for near-duplicates still sees the image."""


@dataclass(frozen=True)
class Judged:
    """The result for one image."""

    verdict: Verdict
    answers: Mapping[str, Answer]
    """By model id; only models that were asked or known."""
    fresh: Mapping[str, Prediction] = field(default_factory=dict[str, Prediction])
    """The predictions made now, without what depends on the other images of this run, so they may be stored."""
    notes: tuple[str, ...] = ()
    """What is worth knowing about the file ("first of 3 frames")."""
    error: str = ""
    """The code of the error that made the image unreadable; empty if there was a picture to judge."""


class Case:
    """A subject on its way to a verdict. Its picture is opened when a model first needs it."""

    def __init__(self, subject: Subject, checks: SpotChecks | None = None) -> None:
        self.subject = subject
        self._checks = checks
        self.answers: dict[str, Answer] = dict(subject.known)
        self.fresh: dict[str, Prediction] = {}
        self.notes: tuple[str, ...] = ()
        self.flaw = subject.flaw
        self.error = subject.flaw_code if subject.flaw else ""
        self._image: Image | None = None
        self._views: dict[View, Tensor] = {}
        self.compared: set[str] = set()
        """The models that have seen the image among the others of its run."""
        self.widen()

    def widen(self) -> bool:
        """Give fast answers the tolerance that spot checks found; whether that changed any."""
        found = self._checks.widened if self._checks else None
        wider = {m: found(a) for m, a in self.answers.items() if found and isinstance(a, Prediction)}
        changed = {model: answer for model, answer in wider.items() if answer is not self.answers[model]}
        self.answers |= changed
        self.fresh |= {
            model: replace(self.fresh[model], tolerance=changed[model].tolerance)
            for model in changed.keys() & self.fresh
        }
        return bool(changed)

    @property
    def coarse(self) -> list[str]:
        """The models that gave fast answers now."""
        return [model for model, answer in self.fresh.items() if answer.tolerance]

    @property
    def checked(self) -> bool:
        """Whether this image is one of those that are computed exactly too; never one that no model had to see."""
        return self._image is not None and chosen(self.subject.content.encode() or self._image.tobytes())

    def wants(self, model: str, gate: Gate, everything: bool) -> bool:
        """Whether a model's answer is missing and could change the outcome; with `everything`, just missing."""
        if model in self.answers or self.subject.settled:
            return False
        return not self.flaw and (everything or model in gate.decide(self.answers).models)

    def blurred(self, model: str, gate: Gate) -> bool:
        """Whether a model's answer is too close to a threshold for its tolerance."""
        return not self.flaw and not self.subject.settled and model in gate.decide(self.answers).blurred

    def prepare(self, model: str, views: Sequence[View]) -> Prepared | None:
        """A model's views of the picture, each computed once; if that fails, the reason becomes the model's answer."""
        if not self._opened():
            self.answers[model] = Failure(model, self.error, self.flaw)
            return None
        assert self._image is not None
        try:
            for view in views:
                if view not in self._views:
                    self._views[view] = view(self._image)
        except Exception as error:  # whatever breaks a view, the image goes to review, and the others go on
            self.answers[model] = _failed(model, error)
            return None
        return tuple(self._views[view] for view in views)

    def measure(self, netless: Netless) -> None:
        """Ask a model without a net; where it fails, the reason becomes its answer."""
        model = netless.spec.id
        if not self._opened():
            self.answers[model] = Failure(model, self.error, self.flaw)
            return
        assert self._image is not None
        try:
            self.receive(netless(self._image))
        except Exception as error:  # as above
            self.answers[model] = _failed(model, error)

    def _opened(self) -> bool:
        if self._image is None and not self.flaw:
            try:
                self._image = self.subject.open()
                self.notes = tuple(self._image.info.get("keepers_notes", ()))
            except Exception as error:  # as above
                known = isinstance(error, KeepersError)
                self.flaw = str(error) if known else f"it cannot be opened ({_say(error)})"
                self.error = error.code if known else "io"
        return not self.flaw

    def receive(self, answer: Answer) -> None:
        """Take an answer that a model gave now. An exact one is compared with the fast one that it replaces."""
        before = self.answers.get(answer.model)
        self.answers[answer.model] = answer
        if isinstance(answer, Prediction):
            self.fresh[answer.model] = answer
            if self._checks and isinstance(before, Prediction) and before.tolerance and not answer.tolerance:
                self._checks.compare(self.subject.name, before, answer)

    def judged(self, gate: Gate) -> Judged:
        """The result, once every model that could change it has been asked."""
        return Judged(self._verdict(gate), self.answers, self.fresh, self.notes, self.error)

    def _verdict(self, gate: Gate) -> Verdict:
        if self.subject.settled:
            return self.subject.settled
        if self.flaw:
            return not_judged(flawed(self.flaw, self.error))
        verdict = gate.decide(self.answers).verdict
        assert verdict is not None, "every model was asked"
        return verdict


def predict_each(classifier: Classifier, prepared: Sequence[Prepared]) -> Sequence[Answer]:
    """An answer for each prepared picture. Never raises: a picture on which the net fails gets a Failure."""
    try:
        return classifier.predict(prepared)
    except Exception as error:  # out of memory, a lost device, an odd shape: try each image alone, then give up on it
        if len(prepared) == 1:
            return [_failed(classifier.spec.id, error)]
        return [answer for one in prepared for answer in predict_each(classifier, [one])]


def _failed(model: str, error: Exception) -> Failure:
    if isinstance(error, KeepersError):
        return Failure(model, error.code, str(error))
    return Failure(model, "model_failed", _say(error))


def _say(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:300]
