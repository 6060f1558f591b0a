"""The infotext of A1111's WebUI, which Forge, SD.Next, the Civitai generator and many others write as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ..generation import Generation, Lora
from ..infotext import Infotext, has_negative, parse_infotext, parse_prompts
from ..said import Said
from ..values import items, json_object, real, seed, size, table, text, whole

PLACES = (
    "parameters", "UserComment", "comment", "Comment", "XPComment", "ImageDescription", "Description", "xmp",
    "XPSubject", "XPTitle", "XPKeywords", "Title",
)  # fmt: skip
"""Where an infotext stands, the usual place first; the rest are what other tools make of it when they convert."""
_LORA = re.compile(r"<(?:lora|lyco|lycoris):([^:<>]{1,200})(?::([^:<>]{0,40}))?[^<>]{0,200}>")


def read_infotext(said: Said) -> Generation | None:
    """The first infotext that has settings."""
    places = (key for key in (*PLACES, "postprocessing", "extras") if key not in said.objects)
    return next((from_infotext(found) for one in said.first(*places) if (found := parse_infotext(one))), None)


def read_bare_prompt(said: Said) -> Generation | None:
    """A prompt that is written where an infotext belongs, but without settings.

    Under "parameters" nothing else is expected. Elsewhere a text counts only with a negative prompt, because cameras
    and people write there as well.
    """
    for key in PLACES:
        found = said.texts.get(key, "").strip()
        if found and found[0] not in "{[" and (key == "parameters" or has_negative(found)):
            positive, negative = parse_prompts(found)
            return Generation(positive, negative, source="a1111", loras=_loras(positive, {}))
    return None


def from_infotext(found: Infotext) -> Generation:
    """What an infotext says."""
    get = found.settings.get
    width, height = size(get("Size", ""))
    hashes = table(get("Hashes", ""))
    resources = [table(one) for one in items(json_object(f'{{"all":{get("Civitai resources", "[]")}}}').get("all"))]
    return Generation(
        _known(found.positive),
        _known(found.negative),
        seed(get("Seed")),
        get("Sampler", ""),
        get("Schedule type", "") or get("Scheduler", ""),
        whole(get("Steps")),
        real(get("CFG scale") or get("CFG Scale")),
        get("Model", "") or get("model", "") or _checkpoint(resources) or get("Model hash", ""),
        width,
        height,
        "a1111",
        found.settings,
        model_hash=get("Model hash", "") or text(hashes.get("model")),
        loras=(*_loras(found.positive, _hashes(get("Lora hashes", ""), hashes)), *_networks(resources)),
    )


def _known(prompt: str) -> str:
    """A prompt; empty where a saver for ComfyUI wrote that nothing was wired to it."""
    return "" if prompt == "unknown" else prompt


def with_resources(found: Generation, resources: object) -> Generation:
    """With the model and the LoRAs of a list of the Civitai generator, where the rest does not say them."""
    listed = [table(one) for one in items(resources)]
    return replace(found, model=found.model or _checkpoint(listed), loras=found.loras or _networks(listed))


def _checkpoint(resources: list[Mapping[str, object]]) -> str:
    return next((name for kind, name, _ in map(_resource, resources) if kind in ("checkpoint", "model") and name), "")


def _networks(resources: list[Mapping[str, object]]) -> tuple[Lora, ...]:
    kinds = ("lora", "locon", "dora", "lycoris")
    return tuple(Lora(name, weight) for kind, name, weight in map(_resource, resources) if kind in kinds and name)


def _resource(one: Mapping[str, object]) -> tuple[str, str, float | None]:
    """Kind, name and weight. Some are named by address alone: "urn:air:sdxl:lora:civitai:12@34"."""
    air = text(one.get("air"))
    kind = text(one.get("type")) or ":".join(air.split(":")[3:4])
    return kind.lower(), text(one.get("modelName")) or air, real(one.get("weight", one.get("strength")))


def _loras(prompt: str, hashes: Mapping[str, str]) -> tuple[Lora, ...]:
    """Those that the prompt calls; then those that only the hashes name."""
    called = {one[1].strip(): real(one[2] or "1") for one in _LORA.finditer(prompt)}
    names = dict.fromkeys((*called, *hashes))
    return tuple(Lora(name, called.get(name), hashes.get(name, "")) for name in names)


def _hashes(listed: str, hashes: Mapping[str, object]) -> dict[str, str]:
    """By name, from "one: 0a1b, two: 2c3d", and from {"lora:one": "0a1b"}."""
    pairs = (one.rpartition(":") for one in listed.split(","))
    found = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    return found | {key[5:]: text(value) for key, value in hashes.items() if key.startswith("lora:")}
