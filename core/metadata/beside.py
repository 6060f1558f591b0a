"""Text files beside pictures that hold how they were made, as the WebUI and others write them, and no caption."""

from __future__ import annotations

from dataclasses import replace

from .generation import Generation
from .infotext import has_negative, parse_infotext, parse_prompts
from .programs.a1111 import from_infotext
from .programs.easydiffusion import read_easydiffusion
from .programs.fooocus import read_fooocus
from .programs.swarmui import read_swarmui
from .said import Said

_COMPANIONS = ("Sampler", "Seed", "CFG scale", "Size", "Model", "Model hash")
_EASY = ("Prompt:", "Seed:", "Steps:")


def generation_beside(text: str) -> Generation | None:
    """What a text file says of how its picture was made; None if it is no such file, but a caption.

    An infotext counts if its settings have steps and something else that generators set, or if it has a negative
    prompt: captions may have colons too.
    """
    found = parse_infotext(text)
    if found and "Steps" in found.settings and any(name in found.settings for name in _COMPANIONS):
        return from_infotext(found)
    said = Said.of({"parameters": text, **_lines(text)})
    if made := read_swarmui(said) or read_fooocus(said) or read_easydiffusion(said):
        return replace(made, texts={"parameters": text})
    return Generation(*parse_prompts(text), source="a1111") if has_negative(text) else None


def _lines(text: str) -> dict[str, str]:
    """The settings of Easy Diffusion's text files, a line each."""
    lines = text.strip().splitlines()[:200]
    if not all(any(line.startswith(name) for line in lines) for name in _EASY):
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
