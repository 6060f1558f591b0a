"""Captions for a job's images, written beside the saved files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...core.captions.recipe import CaptionRecipe
from ...core.captions.sidecar import plan_sidecar, write_sidecar
from ...core.captions.writer import taggers, writer_for
from ...core.errors import KeepersError
from ...core.gates.unjudged import unanswered
from ...core.prediction import Failure, Prediction
from ...models.registry import REGISTRY
from ..options.settings import caption_ending
from .job import GenerationJob, JobImage, one_line
from .judging import predict

if TYPE_CHECKING:
    from PIL.Image import Image


class Prompted(NamedTuple):
    """The prompt, in the form that captions read."""

    positive: str


def tagger_ids() -> list[str]:
    """The ids of the models that can write captions."""
    return [spec.id for spec in REGISTRY if spec.tags]


def caption(job: GenerationJob, item: JobImage, picture: Image) -> None:
    """Fill in an image's caption, if it is to have one. An error becomes a note, and the image stays as it is."""
    if not job.choices.captions or item.verdict is None or item.outcome == "reject":
        return
    try:
        item.caption = caption_of(picture, job.choices.tagger, recipe_of_job(job), item.prompt, item)
    except Exception as error:
        job.note(f"Captions: {one_line(error)}")


def caption_of(
    picture: Image, tagger: str, recipe: CaptionRecipe, prompt: str = "", item: JobImage | None = None
) -> str:
    """The caption of a picture. Raises NoTags, CaptionTooLong, Cancelled."""
    family = tagger.partition(":")[0]
    tags = taggers(spec for spec in REGISTRY if spec.id == family)
    tags |= {tagger: tags[family]} if family in tags else {}
    writer = writer_for(recipe, tags)
    known = item.answers.get(tagger) if item is not None else None
    answer = predict(picture, tagger, {tagger: known} if isinstance(known, Prediction) else None, writer.near)
    if isinstance(answer, Failure):
        raise NoTags(answer.reason)
    if why := unanswered(answer):
        raise NoTags(why.reason)
    return writer([answer], Prompted(prompt)).text


class NoTags(KeepersError):
    """The tagger could not process the image."""

    code = "no_tags"


def recipe_of_job(job: GenerationJob) -> CaptionRecipe:
    """The recipe set in the panel. Raises RecipeError, UnknownName, WrongChoice."""
    ending, moved = caption_ending(job.settings.ending)
    if moved:
        job.note(f"The WebUI writes its own text files (.txt), so captions are in {ending}.")
    return job.choices.caption_recipe(ending)


def write_beside(job: GenerationJob, item: JobImage, image: Path) -> None:
    """Write an image's caption beside its file; the recipe says what happens to an existing one."""
    if not item.caption or item.outcome == "reject":
        return
    try:
        change = plan_sidecar(image, item.caption, recipe_of_job(job))
        if change.generation:
            job.note(f"Captions: {change.path.name}: {change.kept}")
        write_sidecar(change)
    except Exception as error:
        job.note(f"Captions: {one_line(error)}")
