"""From the results of a scan to the rows of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...collection.scan import Scanned
from ...collection.store import SeenImage
from ...core.errors import KeepersError
from ...core.gates.gate import Verdict
from ...core.judging.judge import Judge
from ...core.metadata.generation import PROGRAMS
from ...core.prediction import Answer, Answers, Prediction, Range, twins_of
from .rows import Row, ShownModel, link
from .scores import shown_by_model, words


@dataclass
class Ranges:
    """What the numbers in a report mean, as learned from the images seen so far."""

    found: dict[str, dict[str, Range]] = field(default_factory=dict[str, dict[str, Range]])
    """By model, by label."""

    def take(self, shown: Row, answers: Answers) -> None:
        """Take in the predictions for one image, as far as its row shows them."""
        for model, values in shown.scores.items():
            known, answer = self.found.setdefault(model, {}), answers[model]
            for label in values:
                if label not in known and isinstance(answer, Prediction):
                    known[label] = answer.labels.range(answer.labels.index(label))

    def asked(self, judge: Judge, fingerprints: Mapping[str, str]) -> list[ShownModel]:
        """The models with these fingerprints, then all others that gave a prediction."""
        models = dict.fromkeys((*fingerprints, *self.found))
        return [
            ShownModel(model, _title(judge, model), fingerprints.get(model, ""), self.found.get(model, {}))
            for model in models
        ]


def _title(judge: Judge, model: str) -> str:
    """A model's title, or its id if this machine does not know it."""
    try:
        return judge.registry.spec(model, judge.store).title
    except KeepersError:
        return model


def row(result: Scanned, folder: Path) -> Row:
    """One result as the report shows it; `folder` is where the report is."""
    place = str(result.path), link(result.path, folder)
    shown = result.image, result.answers, result.error, result.thumbnail, result.mtime
    return shown_row(place, result.verdict, *shown)


def shown_row(
    place: tuple[str, str],
    verdict: Verdict,
    image: SeenImage,
    answers: Mapping[str, Answer],
    error: str = "",
    thumbnail: str = "",
    mtime: float = 0.0,
) -> Row:
    """One image as a report shows it; `place` is the text shown and the link."""
    told = list(_notes(answers))
    return Row(
        path=place[0],
        href=place[1],
        verdict="error" if error else verdict.outcome,
        reason=verdict.reason,
        unjudged="; ".join(dict.fromkeys(one.short for one in verdict.unjudged)),
        thumbnail=thumbnail,
        width=image.width,
        height=image.height,
        scores=shown_by_model(answers),
        labels=words(answers),
        prompt=image.positive,
        negative=image.negative,
        seed=image.seed,
        source=PROGRAMS.get(image.source, image.source),
        generator=image.model,
        notes="; ".join([*image.notes, *told]),
        duplicate_of=twins_of(answers).kept,
        time=mtime,
    )


def _notes(answers: Mapping[str, Answer]) -> Iterator[str]:
    for answer in answers.values():
        if isinstance(answer, Prediction):
            yield from answer.notes
