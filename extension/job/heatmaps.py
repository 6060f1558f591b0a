"""Heatmaps, shown after the images in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import KeepersError, NotExplainable
from ...core.gates.unjudged import unanswered
from ...core.heatmaps.heatmap import heatmaps, overlay
from ...models.registry import EXPLAINED, REGISTRY
from ..host import host
from ..options.choices import NONE
from .job import GenerationJob, JobImage, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 64
"""The most heatmaps per job: each is a picture in memory, and an overnight batch has thousands."""


def models_with_heatmaps() -> list[str]:
    """The models that can be explained, as far as the registry has them."""
    return [model for model in EXPLAINED if model in REGISTRY.ids()]


def show(job: GenerationJob, p: Any, item: JobImage, picture: Image) -> None:
    """Append the picture's heatmap to the job's result. An error only becomes a note."""
    model = job.choices.heatmap
    shown = getattr(p, "extra_result_images", None)
    if model in ("", NONE) or item.verdict is None:
        return
    if shown is None:
        job.note("This WebUI has no place for heatmaps.")
        return
    if len(shown) >= MOST:
        job.note(f"Heatmaps were made for the first {MOST} images only.")
        return
    try:
        shown.append(heatmap_of(picture, model))
    except (KeepersError, RuntimeError) as error:
        job.note(f"Heatmap: {one_line(error)}")


def heatmap_of(picture: Image, model: str) -> Image:
    """The picture under its heatmap for the model's answer. Raises NotExplainable, MissingWeights and its siblings."""
    rgb = picture.convert("RGB")
    [found] = heatmaps(host.judge().classifier(model), [rgb])
    if why := unanswered(found.prediction):
        raise NotExplainable(why.reason)
    return overlay(rgb, found)
