"""From image files to captions: read the file, ask a gate and taggers, write the caption."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.captions.writer import Caption, CaptionWriter
from ..core.errors import KeepersError, UnreadableImage
from ..core.gates.gate import Gate, Verdict
from ..core.gates.unjudged import unanswered
from ..core.judging.case import Subject
from ..core.judging.classifier import model_fingerprint
from ..core.judging.judge import Judge
from ..core.judging.near_duplicates import Stream
from ..core.metadata.generation import Generation
from ..core.metadata.read import read_generation
from ..core.pictures.open import PIXEL_LIMIT, open_image, read_image_file
from ..core.prediction import Answer, Failure, Prediction
from .recall import recall
from .store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 16
"""Images that are processed together."""
DECODERS = 4
"""Threads that read files."""


@dataclass(frozen=True)
class Captioned:
    """What became of one image."""

    path: Path
    caption: Caption | None = None
    """None when the image got none."""
    reason: str = ""
    """Why it got none."""
    verdict: Verdict | None = None
    """The gate's, where there is a gate."""
    error: str = ""
    """A code when something went wrong: UnreadableImage.code, Failure.code or "caption_too_long"."""


@dataclass
class CaptionRun:
    """Makes captions for files by one recipe.

    Without taggers and gate each picture is decoded all the same: a broken file gets no caption, whatever its prompt.
    """

    writer: CaptionWriter
    judge: Judge
    models: Sequence[str] = ()
    """The taggers to ask."""
    gate: Gate | None = None
    """With a gate, only accepted images get captions."""
    store: Store | None = None
    """Where predictions are looked up and stored."""
    pixel_limit: int = PIXEL_LIMIT
    _run: Stream = field(default_factory=Stream)

    def captions(self, paths: Iterable[Path]) -> Iterator[Captioned]:
        """One result for each file, in order. Raises StoreError, and what the runtime raises to cancel."""
        waiting = iter(paths)
        with ThreadPoolExecutor(DECODERS) as pool:
            while window := list(pool.map(self._load, islice(waiting, WINDOW))):
                yield from self._window(window)

    def _load(self, path: Path) -> _Image:
        try:
            data = read_image_file(path)
            if not self.models and self.gate is None:
                self._open(data, path)  # nobody else looks at the picture
                return _Image(path, generation=read_generation(data))
        except UnreadableImage as error:
            return _Image(path, failed=Captioned(path, None, str(error), None, error.code))
        content = hashlib.sha256(data).hexdigest()
        return _Image(path, content, lambda: self._open(data, path), read_generation(data))

    def _open(self, data: bytes, path: Path) -> Image:
        return open_image(data, name=str(path), pixel_limit=self.pixel_limit)

    def _window(self, window: Sequence[_Image]) -> Iterator[Captioned]:
        for image in window:
            image.answers.update(self._known(image))
        self._ask_gate([image for image in window if image.failed is None])
        self._ask_taggers([image for image in window if image.failed is None])
        yield from (image.failed or self._captioned(image) for image in window)

    def _known(self, image: _Image) -> Mapping[str, Prediction]:
        if self.store is None or not image.content:
            return {}
        wanted = {model: found for model in self._asked() if (found := self._fingerprint(model))}
        return recall(self.store, self.judge.runtime, [image.content], wanted).get(image.content, {})

    def _asked(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(self.gate.models if self.gate else ()), *self.models)))

    def _fingerprint(self, model: str) -> str:
        try:
            return model_fingerprint(self.judge.registry.spec(model, self.judge.store), self.judge.store)
        except KeepersError:
            return ""

    def _ask_gate(self, images: Sequence[_Image]) -> None:
        if self.gate is None:
            return
        subjects = [image.subject() for image in images]
        for image, judged in zip(images, self.judge.judge(subjects, self.gate, run=self._run), strict=True):
            image.verdict = judged.verdict
            image.answers.update(judged.answers)
            self._keep([(image.content, fresh) for fresh in judged.fresh.values()])
            if judged.verdict.outcome != "accept":
                image.failed = Captioned(image.path, None, judged.verdict.reason, judged.verdict, judged.error)

    def _ask_taggers(self, images: Sequence[_Image]) -> None:
        for model in self.models:
            asked = [image for image in images if image.failed is None]
            answers = self.judge.predict([image.subject() for image in asked], model, self.writer.near)
            fresh: list[tuple[str, Prediction]] = []
            for image, answer in zip(asked, answers, strict=True):
                if isinstance(answer, Prediction) and answer is not image.answers.get(model):
                    fresh.append((image.content, answer))
                image.answers[model] = answer
            self._keep(fresh)
            for image in asked:
                if failed := _failed(image, image.answers[model]):
                    image.failed = failed

    def _keep(self, predictions: Sequence[tuple[str, Prediction]]) -> None:
        if self.store is not None and predictions:
            self.store.add(predictions=predictions)

    def _captioned(self, image: _Image) -> Captioned:
        predictions = [answer for answer in image.answers.values() if isinstance(answer, Prediction)]
        heard = [prediction for prediction in predictions if prediction.model in self.models]
        try:
            caption = self.writer(heard, image.generation)
        except KeepersError as error:
            return Captioned(image.path, None, str(error), image.verdict, error.code)
        return Captioned(image.path, caption, "", image.verdict)


def _failed(image: _Image, answer: Answer) -> Captioned | None:
    """An image that a tagger could not judge; None if it could."""
    if isinstance(answer, Failure):
        return Captioned(image.path, None, answer.reason, image.verdict, answer.code)
    lost = unanswered(answer)
    return Captioned(image.path, None, lost.reason, image.verdict, "non_finite") if lost else None


@dataclass
class _Image:
    """One file on its way to a caption."""

    path: Path
    content: str = ""
    open: Callable[[], Image] | None = None
    generation: Generation = field(default_factory=Generation)
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    verdict: Verdict | None = None
    failed: Captioned | None = None

    def subject(self) -> Subject:
        assert self.open is not None
        known = {m: a for m, a in self.answers.items() if isinstance(a, Prediction)}
        return Subject(self.open, known, name=str(self.path), content=self.content)
