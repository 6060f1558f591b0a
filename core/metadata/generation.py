"""What a file says about how its picture was made: one value for every program that writes such metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from . import values
from .record import Record

Source = Literal[
    "a1111",
    "civitai",
    "comfyui",
    "drawthings",
    "easydiffusion",
    "fooocus",
    "invokeai",
    "keepers",
    "midjourney",
    "novelai",
    "other",
    "ruinedfooocus",
    "swarmui",
    "",
]

PROGRAMS: Mapping[str, str] = {
    "a1111": "Stable Diffusion WebUI",
    "civitai": "Civitai",
    "comfyui": "ComfyUI",
    "drawthings": "Draw Things",
    "easydiffusion": "Easy Diffusion",
    "fooocus": "Fooocus",
    "invokeai": "InvokeAI",
    "keepers": "Keepers",
    "midjourney": "Midjourney",
    "novelai": "NovelAI",
    "other": "a program without a name",
    "ruinedfooocus": "RuinedFooocus",
    "swarmui": "SwarmUI",
}
"""The sources by the names that people know. "a1111" is a form that Forge, SD.Next and many others write as well."""

READER = 6
"""The version of the reader. What an older one found is read again: raise it when the same file gives other values."""


@dataclass(frozen=True)
class Lora:
    """A LoRA, or another small network of its kind, that took part."""

    name: str
    weight: float | None = None
    """How strongly; of two strengths, the one for the model. None where the file does not say."""
    hash: str = ""
    """As the program wrote it; programs hash differently."""


@dataclass(frozen=True)
class Generation:
    """How an image was made, as far as its file says; otherwise empty or None."""

    positive: str = ""
    negative: str = ""
    seed: int | None = None
    sampler: str = ""
    """The host's name for it: "Euler a", "euler_ancestral"."""
    scheduler: str = ""
    steps: int | None = None
    cfg: float | None = None
    model: str = ""
    """A1111's model name, or in ComfyUI the file name of the checkpoint or diffusion model."""
    width: int | None = None
    """Pixels, of the first pass according to the settings; the file's own size may differ."""
    height: int | None = None
    source: Source = ""
    """Which format the values come from; "keepers" if the file has only our own record."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """All settings of an infotext, by the host's names ("Lora hashes", "VAE", ...)."""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """The raw texts: "parameters", "prompt", "workflow", "keepers", ... Untrusted: escape before showing."""
    notes: tuple[str, ...] = ()
    """What could not be read, and why."""
    model_hash: str = ""
    loras: tuple[Lora, ...] = ()
    record: Record | None = None
    """Our own record in the file."""


def stated(
    source: Source,
    *,
    positive: object = "",
    negative: object = "",
    seed: object = None,
    sampler: object = "",
    scheduler: object = "",
    steps: object = None,
    cfg: object = None,
    model: object = "",
    width: object = None,
    height: object = None,
    settings: Mapping[str, str] | None = None,
    model_hash: object = "",
    loras: tuple[Lora, ...] = (),
    notes: tuple[str, ...] = (),
) -> Generation:
    """What a program has stated, from values as its JSON or texts hold them: one of a wrong type counts as absent."""
    return Generation(
        values.text(positive),
        values.text(negative),
        values.seed(seed),
        values.text(sampler),
        values.text(scheduler),
        values.whole(steps),
        values.real(cfg),
        values.text(model),
        values.whole(width),
        values.whole(height),
        source,
        settings or {},
        notes=notes,
        model_hash=values.text(model_hash),
        loras=loras,
    )
