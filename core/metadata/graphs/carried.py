"""What runs along a link: conditioning, a text, a picture, a model, or a pipe that holds several of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from .graph import Graph, Link, Node

Carried = Literal["conditioning", "text", "picture", "model", "pipe", "setting", "other", ""]
"""A latent is a picture, a guider is a pipe. "setting" is noise, sigmas, a sampler or a number; "" is unknown."""
Side = Literal["positive", "negative"]

_TYPES: Mapping[str, Carried] = {
    "AUDIO": "other", "BOOLEAN": "setting", "BUS": "pipe", "CLIP": "other", "CLIPREGION": "conditioning",
    "CLIP_VISION": "other", "COMBO": "setting", "CONDITIONING": "conditioning", "CPIPEANY": "pipe",
    "DETAILER_HOOK": "other", "FLOAT": "setting", "GUIDER": "pipe", "HYVIDEMBEDS": "conditioning", "IMAGE": "picture",
    "INT": "setting", "LATENT": "picture", "MASK": "other", "MODEL": "model", "NOISE": "setting", "NUMBER": "setting",
    "OPTIONS": "other", "PIPE": "pipe", "RGTHREE_CONTEXT": "pipe", "SAMPLER": "setting", "SCHEDULER": "setting",
    "SDXL_TUPLE": "pipe", "SIGMAS": "setting", "STRING": "text", "SUPIR_COND_NEG": "conditioning",
    "SUPIR_COND_POS": "conditioning", "UPSCALER": "pipe", "VAE": "other", "VIDEO": "picture",
    "WANVIDEOTEXTEMBEDS": "conditioning",
}  # fmt: skip
_TYPE_PARTS: tuple[tuple[str, Carried], ...] = (
    (r"CONDITIONING|TEXT_?EMBEDS|_COND\b|COND_REGIONS|REGIONAL_PROMPTS", "conditioning"),
    (r"PIPE(?!R)|KSAMPLER|_TUPLE", "pipe"),
    (r"LATENT|IMAGE(?!.*(EMBED|MODEL|PROC|COND))|FRAMES$", "picture"),
    (r"^(\w+VIDEO|SUPIR|HYVIDEO|DIFFUSION|UNET|FLUX|BASE)_?MODEL$", "model"),
)
_NAMES: tuple[tuple[str, Carried], ...] = (
    (r".*mask.*|clip.*|vae.*|.*control_?net.*|.*upscale_model.*|.*vision.*|style_model|t5|.*lora.*", "other"),
    (r"((optional|base|init|start)_)?(image|latent|sample|pixel|frame|video)s?(_image|_opt(ional)?|_?\d+)?", "picture"),
    (r"(\w+_)?(model|unet)(_?\d|_opt)?", "model"),
    (r"(\w+_)?(pipe|guider|context|ctx|tuple|bus)(_?\w\w?)?|base_ctx|upscaler", "pipe"),
    (r"(pos|neg|positive|negative|\w*cond(itioning)?|text_embeds|\w*_embeds)(_\w+|\d+)?", "conditioning"),
    (r"(\w+_)?(text|prompt|string)s?(_?\w\w?)?", "text"),
    (r"noise|sigmas|sampler|scheduler|\w*seed|steps|cfg", "setting"),
)  # fmt: skip
_SIDES: dict[Side, re.Pattern[str]] = {
    "positive": re.compile(r"(.*[^a-z])?pos(itive)?([^a-z].*)?|positiveprompt", re.IGNORECASE),
    "negative": re.compile(r"(.*[^a-z])?neg(ative)?([^a-z].*)?|negativeprompt|uncond.*", re.IGNORECASE),
}
_NO_PROMPT = re.compile(r"ascore|normalization|interpretation|weight|strength|style|_to$|_cfg|scale|count|tokens")


@lru_cache(4096)
def by_type(name: str) -> Carried:
    """What a type of ComfyUI stands for."""
    upper = name.upper()
    if upper in _TYPES:
        return _TYPES[upper]
    if upper in ("", "*", "ANY", "?") or "," in upper:
        return ""
    for part, carried in _TYPE_PARTS:
        if re.search(part, upper):
            return carried
    return "other"


@lru_cache(4096)
def by_name(name: str) -> Carried:
    """What an input of that name usually takes; "" if it may be anything."""
    last = name.rpartition(".")[2].lower()
    for part, carried in _NAMES:
        if re.fullmatch(part, last):
            return carried
    return ""


def at_input(graph: Graph, name: str, link: Link) -> Carried:
    """What runs along a link: by the output that it comes from, else by the name of the input that takes it."""
    return at_output(graph, link) or by_name(name)


def at_output(graph: Graph, link: Link) -> Carried:
    """What an output gives; "" if that is unknown."""
    node = graph.get(link.node)
    if node is None or not 0 <= link.slot < len(node.outputs):
        return ""
    return by_type(node.outputs[link.slot].type)


def side_of_output(node: Node, slot: int) -> Side | None:
    """The side that an output is named after: "NEG", "CONDITIONING-", "negative"."""
    if not 0 <= slot < len(node.outputs):
        return None
    output = node.outputs[slot]
    if by_type(output.type) not in ("conditioning", "text"):
        return None
    if output.name.endswith(("+", "-")):
        return "positive" if output.name.endswith("+") else "negative"
    return side_of_name(output.name) or side_of_name(output.type)


@lru_cache(4096)
def side_of_name(name: str) -> Side | None:
    """The side that a name belongs to: "negative_prompt", "text_positive", "neg"; None for settings of a side."""
    last = name.rpartition(".")[2]
    if _NO_PROMPT.search(last.lower()):
        return None
    return next((side for side, pattern in _SIDES.items() if pattern.fullmatch(last)), None)
