"""What a taste is learned from: the user's marks beside a model's predictions for the same images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...collection.known_scores import KnownScores, known_scores
from ...collection.mark_store import MarkStore
from ...collection.marks import UserMark, count
from ...collection.store import SeenImage
from ...core.errors import KeepersError
from ...core.judging.classifier import model_fingerprint
from ...core.judging.judge import Judge
from ...core.prediction import Labels, Prediction
from ..console import console
from ..exit_codes import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLD = 5


@dataclass(frozen=True)
class Lesson:
    """Marked images that a model scored, in the order in which they were marked."""

    marks: Sequence[UserMark]
    predictions: Sequence[Prediction]
    groups: Sequence[str]
    """Images with the same prompt and seed share a group; empty where these are unknown."""
    not_judged: int = 0
    """Marked images whose files are there, but that the model could not judge."""

    @property
    def keep(self) -> NDArray[np.bool_]:
        """[n]"""
        return np.array([mark.mark == "keep" for mark in self.marks], dtype=bool)

    @property
    def values(self) -> NDArray[np.float32]:
        """[n, columns]"""
        return np.stack([prediction.values for prediction in self.predictions])

    @property
    def model_labels(self) -> Labels:
        """The labels of the model's columns."""
        return self.predictions[0].labels

    def digest(self) -> str:
        """sha256 over the marks, whatever their order."""
        lines = sorted(f"{mark.content} {mark.mark}" for mark in self.marks)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def gather(judge: Judge, known: MarkStore, model: str, paths: Sequence[Path]) -> Lesson:
    """The lesson for one model; images without a score are scored first, with a progress bar.

    Raises KeepersError if there are too few marks of a kind, or none of the images can be scored.
    """
    current = _below(known, known.current(), paths)
    _require_enough(current.values())
    scores = score(judge, known, model, current)
    usable = sorted(
        (mark for mark in current.values() if _sound(scores.found.get(mark.content))), key=lambda mark: mark.id
    )
    _tell(scores, len(current) - len(usable))
    _require_enough(usable)
    images = known.images(mark.content for mark in usable)
    groups = [_group(images.get(one.content)) for one in usable]
    enough = len(set(groups) - {""}) + groups.count("") >= len(usable) / 4  # else almost all images are of one prompt
    predictions = [scores.found[one.content] for one in usable]
    lost = len(current) - len(usable) - len(scores.vanished)
    return Lesson(usable, predictions, groups if enough else [""] * len(groups), lost)


def score(judge: Judge, known: MarkStore, model: str, contents: Iterable[str]) -> KnownScores:
    """The model's scores of images, with a progress bar for those that have to be scored."""
    base = judge.base(model) or model
    for line in known.unusable(base, model_fingerprint(judge.registry.spec(base, judge.store), judge.store)):
        console.print(f"[yellow]{escaped(line)}[/]", soft_wrap=True)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("scoring", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        return known_scores(judge, known, model, contents, show)


def _below(known: MarkStore, current: Mapping[str, UserMark], paths: Sequence[Path]) -> dict[str, UserMark]:
    """The marks of images below some paths; all marks if no path is named."""
    if not paths:
        return dict(current)
    roots = [path.resolve() for path in paths]
    places = known.paths(current)

    def inside(content: str) -> bool:
        return any(path.resolve().is_relative_to(root) for path in places.get(content, ()) for root in roots)

    return {content: mark for content, mark in current.items() if inside(content)}


def _require_enough(marks: Iterable[UserMark]) -> None:
    missing = count(marks).missing()
    if missing:
        raise KeepersError(missing)


def _sound(prediction: Prediction | None) -> bool:
    return prediction is not None and bool(np.isfinite(prediction.values).all())


def _tell(scores: KnownScores, left_out: int) -> None:
    if scores.fresh:
        again = f", {scores.outdated} of them because the model's files had changed" if scores.outdated else ""
        console.print(f"{scores.fresh} labelled images were scored first{again}")
    if scores.vanished:
        console.print(
            f"[yellow]{len(scores.vanished)} labelled images are left out: they have no score, and their files "
            "are gone or changed.[/] keepers labels --export lists all labels."
        )
    for path, reason in scores.failed[:TOLD]:
        console.print(f"[yellow]left out[/] {escaped(str(path))}: {escaped(reason)}", soft_wrap=True)
    hidden = left_out - len(scores.vanished) - min(len(scores.failed), TOLD)
    if hidden > 0:
        console.print(f"[yellow]{hidden} more labelled images could not be judged and are left out[/]")


def _group(image: SeenImage | None) -> str:
    return f"{image.seed}\n{image.positive}" if image and image.positive and image.seed else ""
