"""Easy Diffusion: a text for each setting in PNG files, one JSON object in others, by key or by label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from ..generation import Generation, Lora, stated
from ..said import Said
from ..values import file_name, items, plain_settings, real, text

_LABELS: Mapping[str, str] = {
    "prompt": "Prompt",
    "negative_prompt": "Negative Prompt",
    "seed": "Seed",
    "use_stable_diffusion_model": "Stable Diffusion model",
    "sampler_name": "Sampler",
    "scheduler_name": "Scheduler",
    "width": "Width",
    "height": "Height",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance Scale",
    "use_lora_model": "LoRA model",
    "lora_alpha": "LoRA Strength",
}
_OWN = ("use_stable_diffusion_model", "Stable Diffusion model")
"""Other names, such as num_inference_steps, are those of libraries that many programs use."""


def read_easydiffusion(said: Said) -> Generation | None:
    """What Easy Diffusion wrote; both ways of naming a setting are understood."""
    data = next((one for one in (said.texts, *said.objects.values()) if any(key in one for key in _OWN)), None)
    if data is None or not _get(data, "prompt") or text(_get(data, "prompt"))[:1] == "{":
        return None
    return stated(
        "easydiffusion",
        positive=_get(data, "prompt"),
        negative=_get(data, "negative_prompt"),
        seed=_get(data, "seed"),
        sampler=_get(data, "sampler_name"),
        scheduler=_get(data, "scheduler_name"),
        steps=_get(data, "num_inference_steps"),
        cfg=_get(data, "guidance_scale"),
        model=file_name(text(_get(data, "use_stable_diffusion_model"))),
        width=_get(data, "width"),
        height=_get(data, "height"),
        settings=plain_settings(data),
        loras=tuple(_loras(data)),
    )


def _get(data: Mapping[str, object], key: str) -> object:
    return data.get(key, data.get(_LABELS[key]))


def _loras(data: Mapping[str, object]) -> Iterator[Lora]:
    names, weights = (_listed(_get(data, key)) for key in ("use_lora_model", "lora_alpha"))
    for name, weight in zip_longest(names, weights):
        if text(name) and text(name) != "None":
            yield Lora(file_name(text(name)), real(weight))


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        return [one.strip(" []'\"") for one in value.split(",")]
    return list(items(value)) or [value]
