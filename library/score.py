"""Scores pictures for programs that import Keepers: paths, bytes or Pillow images in, verdicts and numbers out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias, overload

from PIL import Image

from ..core.gates.gate import Gate, Outcome, Unjudged
from ..core.judging.case import Judged, Subject
from ..core.judging.judge import Judge
from ..core.judging.near_duplicates import Stream
from ..core.pictures.open import copy_picture, open_image
from ..core.prediction import Failure, Prediction, twins_of
from ..core.weights.store import WeightStore, default_folders
from ..models.presets import PRESETS, Preset, preset
from ..models.registry import REGISTRY

Picture: TypeAlias = str | os.PathLike[str] | bytes | Image.Image
"""A path, the bytes of an image file, or an image that Pillow opened or made."""

WINDOW = 16
"""The least number of pictures judged together; it is two batches if that is more. No others are in memory."""


@dataclass(frozen=True)
class ScoredImage:
    """The verdict on one picture, and the numbers behind it."""

    name: str
    """The path as it was given; "image 1", "image 2", … for a picture without one."""
    outcome: Outcome
    """"accept", "review" or "reject"."""
    reason: str
    """One line that begins with the outcome: "reject: coherence.coherent 0.31 < 0.50"."""
    predictions: Mapping[str, Prediction]
    """By model id; only models that were asked. `predictions["coherence"]["coherent"]` is a number."""
    failures: Mapping[str, Failure]
    """By model id: the models that could not judge this picture, and why."""
    notes: tuple[str, ...] = ()
    """What is worth knowing about the file ("first of 3 frames")."""
    error: str = ""
    """Why the picture could not be read, as in `UnreadableImage.code`; `outcome` is then "review"."""
    unjudged: tuple[Unjudged, ...] = ()
    """What could not be judged and left the outcome open; empty if the gate reached it."""

    @property
    def judged(self) -> bool:
        """Whether the gate reached the outcome; if not, it is "review"."""
        return not self.unjudged

    @property
    def duplicate_of(self) -> str:
        """The name of the picture that looks the same and is kept instead; empty if there is none."""
        return twins_of(self.predictions).kept

    @property
    def accepted(self) -> bool:
        """Whether the gate lets the picture through."""
        return self.outcome == "accept"


@overload
def score(
    pictures: Picture, gate: str | Gate | Preset = "signals", *, judge: Judge | None = None, everything: bool = False
) -> ScoredImage: ...


@overload
def score(
    pictures: Iterable[Picture],
    gate: str | Gate | Preset = "signals",
    *,
    judge: Judge | None = None,
    everything: bool = False,
) -> list[ScoredImage]: ...


def score(
    pictures: Picture | Iterable[Picture],
    gate: str | Gate | Preset = "signals",
    *,
    judge: Judge | None = None,
    everything: bool = False,
) -> ScoredImage | list[ScoredImage]:
    """Ask the models of a gate about one picture, or about several.

    Several pictures share batches, and near-duplicates are looked for among them. One that cannot be read goes to
    review, with its `error`; the others are still scored.

    Args:
        pictures: a path, the bytes of a file, a Pillow image, or an iterable of these. None is modified.
        gate: a gate text, the name of a preset, a Preset or a Gate. The default needs no model files.
        judge: the judge to ask, for another device, precision or model folder, or for downloads. By default one
            judge serves all calls: it keeps the nets it has loaded, and downloads nothing.
        everything: ask every model of the gate, even where the outcome is already clear.

    Returns:
        The result for one picture, a list in the given order for an iterable.

    Raises:
        UnreadableImage: for a single picture that cannot be read.
        MissingWeights: a model of the gate lacks a file; the message says where to put it, or which command gets it.
        GateError, UnknownName: for a gate, preset or model that does not exist.
        TypeError: for what is no picture, such as an array, and what is no gate.
    """
    chosen = _gate(gate)
    judge = judge or _usual_judge()
    judge.check(chosen)
    for error in judge.missing(chosen.models).values():
        raise error
    if isinstance(pictures, (str, os.PathLike, bytes, Image.Image)):
        given = _subject(pictures, 1)
        opened = given.open()
        subject = Subject(lambda: opened, name=given.name)
        return _scored(judge.judge([subject], chosen, everything=everything)[0], subject)
    subjects = (_subject(each, number) for number, each in enumerate(pictures, 1))
    return list(_score_each(subjects, chosen, judge, everything))


def _score_each(subjects: Iterator[Subject], gate: Gate, judge: Judge, everything: bool) -> Iterator[ScoredImage]:
    run = Stream()
    while window := list(itertools.islice(subjects, max(WINDOW, 2 * judge.batch))):
        judged = judge.judge(window, gate, everything=everything, run=run)
        yield from map(_scored, judged, window)


def _scored(judged: Judged, subject: Subject) -> ScoredImage:
    answers = judged.answers.items()
    return ScoredImage(
        subject.name,
        judged.verdict.outcome,
        judged.verdict.reason,
        {model: answer for model, answer in answers if isinstance(answer, Prediction)},
        {model: answer for model, answer in answers if isinstance(answer, Failure)},
        judged.notes,
        judged.error,
        judged.verdict.unjudged,
    )


def _gate(gate: str | Gate | Preset) -> Gate:
    """A single word that is not a condition is the name of a preset."""
    if isinstance(gate, Gate):
        return gate
    if not isinstance(gate, str | Preset):
        raise TypeError(f"A gate is a text, a Preset or a Gate, not {type(gate).__name__}.")
    if isinstance(gate, str):
        named = gate in PRESETS or gate.strip().replace("-", "_").isidentifier()
        gate = preset(gate.strip()) if named else Preset("", gate, "")
    return Gate.parse(gate.gate)


def _usual_judge() -> Judge:
    """The judge of all calls without one of their own. It finds files that were added since the last call."""
    judge = _judge_over(default_folders())
    judge.retry()
    return judge


@lru_cache(maxsize=1)
def _judge_over(folders: tuple[Path, ...]) -> Judge:
    return Judge(REGISTRY, WeightStore(folders))


def _subject(picture: Picture, number: int) -> Subject:
    """The picture, opened when it is first needed."""
    if not isinstance(picture, str | os.PathLike | bytes | Image.Image):
        raise TypeError(f"A picture is a path, the bytes of a file or a Pillow image, not {type(picture).__name__}.")
    name = os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else f"image {number}"
    if isinstance(picture, Image.Image):
        return Subject(partial(copy_picture, picture, name=name), name=name)
    return Subject(partial(open_image, picture if isinstance(picture, bytes) else Path(picture), name=name), name=name)
