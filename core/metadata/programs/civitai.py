"""The Civitai generator, where it keeps its settings as `extraMetadata` beside the graph that it ran."""

from __future__ import annotations

from ..generation import Generation, stated
from ..said import Said
from ..values import plain_settings, table, text
from .a1111 import with_resources


def read_civitai(said: Said) -> Generation | None:
    """The settings that the site shows; the graph beside them is of its own making."""
    outer = said.having("extraMetadata")
    data = table(outer.get("extraMetadata"))
    if not data:
        return None
    made = stated(
        "civitai",
        positive=data.get("prompt"),
        negative=data.get("negativePrompt"),
        seed=data.get("seed"),
        sampler=data.get("sampler"),
        steps=data.get("steps"),
        cfg=data.get("cfgScale"),
        model=text(data.get("model")) or text(data.get("baseModel")),
        width=data.get("width"),
        height=data.get("height"),
        settings=plain_settings(data),
    )
    return with_resources(made, data.get("resources"))
