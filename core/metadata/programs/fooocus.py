"""Fooocus, in its own JSON and in its form of the infotext; RuinedFooocus, and Fooocus-MRE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..generation import Generation, Lora, stated
from ..infotext import parse_infotext
from ..said import Said
from ..values import items, plain_settings, real, size, text
from .a1111 import PLACES, from_infotext

_WEIGHTED = re.compile(r"\s*(-?[\d.]{1,20})\s+-\s+(.{1,300})", re.DOTALL)


def read_fooocus(said: Said) -> Generation | None:
    """What Fooocus or a fork of it wrote. The prompt is the user's, without the styles that the program adds."""
    if data := said.having("Prompt", "software"):
        return _ruined(data)
    if data := said.having("base_model", "prompt") or said.having("full_prompt"):
        return _own(data)
    if data := said.having("Prompt", "Base Model") or said.having("Prompt", "Sharpness"):
        return _labelled(data)
    return _infotext(said)


def _own(data: Mapping[str, object]) -> Generation:
    width, height = size(data.get("resolution"))
    return stated(
        "fooocus",
        positive=data.get("prompt"),
        negative=data.get("negative_prompt"),
        seed=data.get("seed"),
        sampler=data.get("sampler"),
        scheduler=data.get("scheduler"),
        steps=data.get("steps"),
        cfg=data.get("guidance_scale"),
        model=data.get("base_model"),
        width=width,
        height=height,
        settings=plain_settings(data),
        model_hash=data.get("base_model_hash"),
        loras=tuple(_loras(data)),
    )


def _loras(data: Mapping[str, object]) -> Iterator[Lora]:
    """Newer versions list name, weight and hash; older ones write `lora_combined_1: "name : 0.5"`, or `LoRA 1`."""
    listed = [items(one) for one in items(data.get("loras"))]
    for one in listed:
        if one and text(one[0]):
            yield Lora(text(one[0]), real(one[1]) if len(one) > 1 else None, text(one[2]) if len(one) > 2 else "")
    for key, value in data.items() if not listed else ():
        if key.startswith(("lora_combined_", "LoRA ")) and isinstance(value, str) and " : " in value:
            *_, name, weight = ("", *value.split(" : "))
            yield Lora(name.strip(), real(weight))


def _labelled(data: Mapping[str, object]) -> Generation:
    """Versions before 2.2, and Fooocus-MRE, name the settings as their page does."""
    width, height = size(data.get("Resolution"))
    return stated(
        "fooocus",
        positive=data.get("Prompt"),
        negative=data.get("Negative Prompt"),
        seed=data.get("Seed"),
        sampler=data.get("Sampler"),
        scheduler=data.get("Scheduler"),
        steps=data.get("Steps"),
        cfg=real(data.get("Guidance Scale")) or real(data.get("CFG")),
        model=data.get("Base Model"),
        width=width,
        height=height,
        settings=plain_settings(data),
        loras=tuple(_loras(data)),
    )


def _ruined(data: Mapping[str, object]) -> Generation:
    return stated(
        "ruinedfooocus",
        positive=data.get("Prompt"),
        negative=data.get("Negative"),
        seed=data.get("seed"),
        sampler=data.get("sampler_name"),
        scheduler=data.get("scheduler"),
        steps=data.get("steps"),
        cfg=data.get("cfg"),
        model=data.get("base_model_name"),
        width=data.get("width"),
        height=data.get("height"),
        settings=plain_settings(data),
        model_hash=data.get("base_model_hash"),
        loras=tuple(_hashed(data)),
    )


def _hashed(data: Mapping[str, object]) -> Iterator[Lora]:
    """Pairs of a hash and "0.5 - name"."""
    for pair in map(items, items(data.get("loras"))):
        if len(pair) == 2 and (found := _WEIGHTED.fullmatch(text(pair[1]))):
            yield Lora(found[2], real(found[1]), text(pair[0]))


def _infotext(said: Said) -> Generation | None:
    for one in said.first(*PLACES):
        found = parse_infotext(one)
        if found and found.settings.get("Version", "").startswith("Fooocus"):
            made, get = from_infotext(found), found.settings.get
            parts = (part.rpartition(": ") for part in get("Lora weights", "").split(", "))
            weights = {name: weight for name, _, weight in parts}
            return replace(
                made,
                positive=get("Raw prompt", made.positive),
                negative=get("Raw negative prompt", made.negative),
                loras=tuple(replace(each, weight=real(weights.get(each.name, each.weight))) for each in made.loras),
                source="fooocus",
            )
    return None
