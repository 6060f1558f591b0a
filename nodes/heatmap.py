"""The node Heatmap: where in a picture a model found evidence for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..core.errors import KeepersError
from ..core.gates.unjudged import unanswered
from ..core.heatmaps.heatmap import METHODS, Heatmap, Method, heatmaps, overlay
from ..models.registry import EXPLAINED, REGISTRY
from .host import host
from .host.api import BLOCKED, io
from .host.images import flaw, frames, picture
from .judging.inputs import images_input, list_schema, machine_inputs, menu_value, one, run_options
from .judging.judging import JudgingNode
from .judging.menus import label_names, variants
from .judging.refusals import refused_model

if TYPE_CHECKING:
    from PIL import Image

OWN = "the answer"


class KeepersHeatmap(JudgingNode):
    """The picture under a coloured map, and the map as a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        models = variants(EXPLAINED)
        return list_schema(
            "KeepersHeatmap",
            "Heatmap (Keepers)",
            "Shows where in an image a model found evidence for its answer.",
            inputs=[
                images_input("explain"),
                io.Combo.Input("model", options=models, default=models[0], tooltip="The model to explain."),
                io.Combo.Input(
                    "class_name",
                    options=[OWN, *label_names(models)],
                    default=OWN,
                    tooltip="What the map explains: each image's own answer, or one class.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=METHODS[0],
                    tooltip="grad-cam: one pass. smooth: several passes with noise, slower (SmoothGradCAM++).",
                ),
                io.Float.Input(
                    "strength", default=0.5, min=0.0, max=1.0, step=0.05, tooltip="How opaque the colours are."
                ),
                *machine_inputs(),
            ],
            outputs=[
                io.Image.Output("overlay", is_output_list=True, tooltip="The images under their coloured maps."),
                io.Mask.Output("mask", is_output_list=True, tooltip="The maps, from 0 to 1, at the images' size."),
                io.Float.Output("score", is_output_list=True, tooltip="The value of the explained class."),
                io.String.Output("label", is_output_list=True, tooltip="That class."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model: Any = (None,), download: Any = (False,)) -> bool | str:
        """Refuse an unknown model or a missing model file before anything is generated."""
        return refused_model(model, EXPLAINED, download)

    @classmethod
    def execute(
        cls,
        images: list[Any],
        model: list[str],
        class_name: list[str],
        method: list[Method],
        strength: list[float],
        **machine: list[Any],
    ) -> io.NodeOutput:
        """Explain all images of the list."""
        how = run_options(**machine)
        found = frames(images)
        for number, frame in enumerate(found):
            if why := flaw(frame.pixels):
                raise KeepersError(f"Image {number} cannot be explained: {why}.")
        pictures = [picture(frame.pixels) for frame in found]
        label = "" if one(class_name) == OWN else one(class_name)
        maps = _maps(pictures, one(model), label, menu_value(method, METHODS, "method"), how)
        shown = [_tensor(overlay(image, each, one(strength))) for image, each in zip(pictures, maps, strict=True)]
        masks = [torch.from_numpy(each.over()) for each in maps]
        sizes = [frame.batch for frame in found]
        host.say(f"{len(maps)} explained", cls.hidden.unique_id)
        return io.NodeOutput(
            _batches(shown, sizes) or [BLOCKED],
            _batches(masks, sizes) or [BLOCKED],
            [each.prediction[each.label] for each in maps],
            [each.label for each in maps],
        )


def _maps(
    pictures: Sequence[Image.Image], model: str, label: str, method: Method, how: host.RunOptions
) -> list[Heatmap]:
    judge = host.judge(how)
    REGISTRY.spec(model, judge.store)
    found: list[Heatmap] = []
    for start in range(0, len(pictures), how.batch):
        host.check()
        found += heatmaps(judge.classifier(model), pictures[start : start + how.batch], label, method)
        judge.runtime.progress(len(found), len(pictures), model)
    for number, each in enumerate(found):
        if why := unanswered(each.prediction):
            raise KeepersError(f"Image {number} cannot be explained: {why.reason}.")
    return found


def _tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255.0)


def _batches(rows: Sequence[torch.Tensor], batches: Sequence[int]) -> list[torch.Tensor]:
    """The rows, stacked in the batches in which their images came in."""
    grouped: dict[int, list[torch.Tensor]] = {}
    for row, batch in zip(rows, batches, strict=True):
        grouped.setdefault(batch, []).append(row)
    return [torch.stack(each) for each in grouped.values()]
