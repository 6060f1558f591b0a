"""SwarmUI: JSON with `sui_image_params`, in PNG texts, and in the Exif of other formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..generation import Generation, Lora, stated
from ..said import Said
from ..values import items, plain_settings, real, table, text


def read_swarmui(said: Said) -> Generation | None:
    """What SwarmUI wrote, wherever it stands."""
    outer = said.having("sui_image_params")
    data = table(outer.get("sui_image_params"))
    if not data:
        return None
    used = [table(one) for one in items(outer.get("sui_models"))]
    hashes = {text(one.get("name")).removesuffix(".safetensors"): text(one.get("hash")) for one in used}
    model = text(data.get("model"))
    return stated(
        "swarmui",
        positive=data.get("prompt"),
        negative=data.get("negativeprompt"),
        seed=data.get("seed"),
        sampler=text(data.get("sampler")) or text(data.get("comfyuisampler")) or text(data.get("autowebuisampler")),
        scheduler=text(data.get("scheduler")) or text(data.get("comfyuischeduler")),
        steps=data.get("steps"),
        cfg=data.get("cfgscale"),
        model=model,
        width=data.get("width"),
        height=data.get("height"),
        settings=plain_settings(data),
        model_hash=hashes.get(model.removesuffix(".safetensors"), ""),
        loras=tuple(_loras(data, hashes)),
    )


def _loras(data: Mapping[str, object], hashes: Mapping[str, str]) -> Iterator[Lora]:
    weights = list(_listed(data.get("loraweights")))
    for place, name in enumerate(map(text, _listed(data.get("loras")))):
        weight = real(weights[place]) if place < len(weights) else None
        yield Lora(name, weight, hashes.get(name.removesuffix(".safetensors"), ""))


def _listed(value: object) -> Iterator[object]:
    """An array, or a text with commas."""
    yield from (one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else items(value)
