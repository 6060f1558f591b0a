"""Draw Things: JSON in XMP's UserComment, and a description whose second line, after a dash, is the negative prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..generation import Generation, Lora, stated
from ..infotext import Infotext, parse_infotext
from ..said import Said
from ..values import items, plain_settings, real, seed, size, table, text, whole

_OWN = {"Guidance Scale", "Strength", "Seed Mode"}
"""Settings that no other program calls so."""


def read_drawthings(said: Said) -> Generation | None:
    """The JSON, else the description."""
    if data := said.having("c", "uc"):
        return _from_json(data)
    named = any("Draw Things" in one for one in said.first("CreatorTool", "Software"))
    found = filter(None, map(parse_infotext, said.first("xmp", "Description", "ImageDescription", "UserComment")))
    return next((_from_description(one) for one in found if named or one.settings.keys() >= _OWN), None)


def _from_json(data: Mapping[str, object]) -> Generation:
    width, height = size(data.get("size"))
    return stated(
        "drawthings",
        positive=data.get("c"),
        negative=data.get("uc"),
        seed=data.get("seed"),
        sampler=data.get("sampler"),
        steps=data.get("steps"),
        cfg=data.get("scale"),
        model=data.get("model"),
        width=width,
        height=height,
        settings=plain_settings(data),
        loras=tuple(_loras(data)),
    )


def _loras(data: Mapping[str, object]) -> Iterator[Lora]:
    for one in map(table, items(data.get("lora"))):
        if name := text(one.get("model")) or text(one.get("file")):
            yield Lora(name, real(one.get("weight")))


def _from_description(found: Infotext) -> Generation:
    get = found.settings.get
    positive, _, negative = f"\n{found.positive}".partition("\n-")
    width, height = size(get("Size", ""))
    return Generation(
        positive.strip(),
        negative.strip(),
        seed(get("Seed")),
        get("Sampler", ""),
        "",
        whole(get("Steps")),
        real(get("Guidance Scale")),
        get("Model", ""),
        width,
        height,
        "drawthings",
        found.settings,
    )
