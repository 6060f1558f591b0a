"""One model's predictions for images known by their content: from the store, or scored now and stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KeepersError, UnreadableImage
from ..core.judging.case import Subject
from ..core.judging.classifier import model_fingerprint
from ..core.judging.judge import Judge
from ..core.pictures.open import open_image, read_image_file
from ..core.prediction import Prediction
from .mark_store import MarkStore

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 32
"""Images that are scored, and then stored, together."""


def _silent(done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class KnownScores:
    """The predictions, and why some images have none."""

    found: Mapping[str, Prediction] = field(default_factory=dict[str, Prediction])
    """By content."""
    vanished: Sequence[str] = ()
    """Contents that could not be scored, because their files are gone or hold something else now."""
    failed: Sequence[tuple[Path, str]] = ()
    """Files that exist but could not be scored, with the reason."""
    fresh: int = 0
    """How many were scored now."""
    outdated: int = 0
    """How many of the images that needed scoring had been scored before, with other weights."""


def known_scores(
    judge: Judge,
    marks: MarkStore,
    model: str,
    contents: Iterable[str],
    progress: Callable[[int, int], None] = _silent,
) -> KnownScores:
    """A model's exact predictions for images; those that it has not scored exactly are opened, scored and stored.

    Thresholds are made of these numbers, so the runtime's precision plays no part.

    Raises UnknownName, StoreError, what loading the model raises if it is needed, and what the runtime raises.
    """
    listed = list(dict.fromkeys(contents))
    if base := judge.base(model):
        return _derived(judge, model, base, known_scores(judge, marks, base, listed, progress))
    spec = judge.registry.spec(model, judge.store)
    fingerprint = model_fingerprint(spec, judge.store)
    found = _stored(marks, model, fingerprint, listed)
    missing = [content for content in listed if content not in found]
    if not missing:
        return KnownScores(found)
    outdated = marks.other_fingerprints(missing, model, fingerprint)
    places = _places(marks.paths(missing))
    wanted = [content for content in missing if content in places]
    if wanted:
        judge.classifier(model, "exact")  # says what is missing before anything is opened
    failed: list[tuple[Path, str]] = []
    gone = [content for content in missing if content not in places]
    for start in range(0, len(wanted), WINDOW):
        part = wanted[start : start + WINDOW]
        answers = judge.predict_exactly([Subject(_opener(content, places[content])) for content in part], model)
        fresh = [(content, one) for content, one in zip(part, answers, strict=True) if isinstance(one, Prediction)]
        marks.store.add(predictions=fresh)
        found.update(fresh)
        for content, answer in zip(part, answers, strict=True):
            if isinstance(answer, Prediction):
                continue
            if answer.code == "changed":
                gone.append(content)
            else:
                failed.append((places[content][0], answer.reason))
        progress(min(start + WINDOW, len(wanted)), len(wanted))
    return KnownScores(found, gone, failed, sum(content in found for content in wanted), len(outdated))


def _derived(judge: Judge, model: str, base: str, known: KnownScores) -> KnownScores:
    """The predictions of a model that reads another model's numbers. Raises what loading it raises."""
    made = {content: judge.derive(model, {base: prediction}) for content, prediction in known.found.items()}
    if any(prediction is None for prediction in made.values()):
        judge.classifier(model, "exact")  # says what is wrong with its file
    return replace(known, found={content: one for content, one in made.items() if one is not None})


def _stored(marks: MarkStore, model: str, fingerprint: str, contents: Sequence[str]) -> dict[str, Prediction]:
    if not fingerprint:
        return {}
    found = marks.predictions(contents, model, fingerprint)
    return {content: one for content, one in found.items() if not one.tolerance}


def _places(paths: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
    """Those of the files seen before that still exist."""
    there = {content: [path for path in listed if path.is_file()] for content, listed in paths.items()}
    return {content: listed for content, listed in there.items() if listed}


def _opener(content: str, paths: Sequence[Path]) -> Callable[[], Image]:
    def open_one() -> Image:
        for path in paths:
            try:
                data = read_image_file(path)
            except KeepersError:
                continue
            if hashlib.sha256(data).hexdigest() == content:
                return open_image(data, name=str(path))
        raise UnreadableImage(paths[0], "changed", "is another image now than the one that was labelled")

    return open_one
