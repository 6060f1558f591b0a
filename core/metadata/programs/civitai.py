"""The Civitai generator, where it keeps its settings as `extraMetadata` beside the graph that it ran."""

from __future__ import annotations

from ..generation import Generation
from ..said import Said
from ..values import plain_settings, real, seed, table, text, whole
from .a1111 import with_resources


def read_civitai(said: Said) -> Generation | None:
    """The settings that the site shows; the graph beside them is of its own making."""
    outer = said.having("extraMetadata")
    data = table(outer.get("extraMetadata"))
    if not data:
        return None
    made = Generation(
        text(data.get("prompt")),
        text(data.get("negativePrompt")),
        seed(data.get("seed")),
        text(data.get("sampler")),
        "",
        whole(data.get("steps")),
        real(data.get("cfgScale")),
        text(data.get("model")) or text(data.get("baseModel")),
        whole(data.get("width")),
        whole(data.get("height")),
        "civitai",
        plain_settings(data),
    )
    return with_resources(made, data.get("resources"))
