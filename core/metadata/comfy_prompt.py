"""Finds prompts, seed, sampler and model in a ComfyUI prompt by walking back from what was saved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from .comfy_graph import Graph, Link, Node, as_link, number, string, upstream, word

Side = Literal["positive", "negative"]

_IMAGE = ("latent_image", "latent", "samples", "image", "images", "pixels", "optional_latent", "init_image")
_WEIGHTS = (
    "model",
    "guider",
    "unet",
    "pipe",
    "basic_pipe",
    "sdxl_pipe",
    "model1",
    "base_model",
    "noise_model",
    "detailer_pipe",
)
_OTHER = ("vae", "clip", "control_net", "mask", "upscale_model", "clip_vision", "clip_vision_output", "style_model")
_CONDITIONING = ("positive", "negative", "conditioning", "cond1", "cond2")
_MAX_PASSES = 32
_MAX_ENDS = 32
_TEXTS = (
    "text", "text_g", "text_l", "clip_g", "clip_l", "t5xxl", "llama", "bert", "mt5xl", "prompt", "user_prompt",
    "wildcard_text", "string",
)  # fmt: skip
_PASSES = ("conditioning", "conditioning_to", "conditioning_from", "cond", "cond1", "cond2")


class ComfyFound(NamedTuple):
    """What a ComfyUI prompt says about the picture; None or empty where it says nothing."""

    positive: str
    negative: str
    seed: int | None
    sampler: str
    scheduler: str
    steps: int | None
    cfg: float | None
    model: str
    width: int | None
    height: int | None
    notes: tuple[str, ...]


def find_in(graph: Graph) -> ComfyFound:
    """Searches a parsed prompt or workflow; nodes are recognised by the names of their inputs, known kind or not.

    Of several samplers in a row (high-resolution pass, detailer, refiner), the first counts: it made the picture.
    Of several pictures in one graph, the first that is saved and was sampled counts.
    """
    passes = _samplers(graph)
    if not passes:
        text, model = _only_text(graph), _model(graph, list(graph))
        note = "no sampler found in the ComfyUI prompt"
        return ComfyFound(text, "", None, "", "", None, None, model, None, None, (note,))
    sampler = passes[-1]
    around = list(upstream(graph, [sampler.id], (*_IMAGE, *_WEIGHTS, *_OTHER, *_CONDITIONING)))
    guided = [*around, *upstream(graph, _at(around, ("guider",)), (*_IMAGE, *_OTHER, *_CONDITIONING, "model"))]
    notes = (f"{len(passes)} samplers in a row: the values are the first one's",) if len(passes) > 1 else ()
    return ComfyFound(
        _side(graph, guided, "positive"),
        _side(graph, guided, "negative"),
        _integer(_first(graph, around, ("seed", "noise_seed"))),
        _word(graph, around, ("sampler_name", "sampler")),
        _word(graph, around, ("scheduler", "scheduler_name")),
        _integer(_first(graph, around, ("steps",))),
        _first(graph, guided, ("cfg", "cfg_conds", "guidance_scale")),
        _model(graph, [sampler.id]),
        *_size(graph, sampler),
        notes,
    )


def _samplers(graph: Graph) -> list[Node]:
    """The samplers behind the saved picture, the last pass first."""
    node = next((n for end in _ends(graph) for n in upstream(graph, [end]) if _is_sampler(n)), None)
    node = node or next(filter(_is_sampler, graph.values()), None)
    found: dict[str, Node] = {}
    while node and len(found) < _MAX_PASSES:
        found[node.id] = node
        before = upstream(graph, _at([node], _IMAGE))
        node = next((n for n in before if n.id not in found and _is_sampler(n)), None)
    return list(found.values())


def _ends(graph: Graph) -> list[str]:
    """Where pictures leave the graph: savers first, then all others whose output nobody uses, previews last."""
    taken = {link.node for node in graph.values() for link in node.links()}
    loose = [node.id for node in graph.values() if node.id not in taken]
    pictures = [i for i in loose if graph[i].link("images") or graph[i].link("image")] or loose
    kinds = {i: graph[i].kind.lower() for i in pictures}
    return sorted(pictures, key=lambda i: ("save" not in kinds[i], "preview" in kinds[i]))[:_MAX_ENDS]


def _is_sampler(node: Node) -> bool:
    names = node.inputs.keys()
    guided = bool(names & {"positive", "guider", "conditioning", "positive_prompt", "prompt"})
    noisy = bool(names & {"seed", "noise_seed", "noise", "sigmas"})
    return guided and noisy and bool(names & {"steps", "sampler_name", "sampler", "sigmas", "cfg", "denoise"})


def _at(nodes: Collection[Node], names: Collection[str]) -> list[Link]:
    return [link for node in nodes for name in names if (link := node.link(name))]


def _word(graph: Graph, nodes: Collection[Node], names: Collection[str]) -> str:
    return next((found for node in nodes if (found := word(graph, node, names))), "")


def _first(graph: Graph, nodes: Collection[Node], names: Collection[str]) -> int | float | None:
    return next((v for node in nodes if (v := number(graph, node, names)) is not None), None)


def _integer(value: float | None) -> int | None:
    try:
        return None if value is None else int(value)
    except OverflowError:  # infinite
        return None


def _model(graph: Graph, starts: Collection[str]) -> str:
    """The file of the checkpoint or diffusion model, along links of weights, else along all but pictures."""
    names = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "checkpoint", "model_path", "model")
    no_weights = {name for node in graph.values() for name in node.inputs} - set(_WEIGHTS)
    for skip in (no_weights, {*_IMAGE, *_OTHER, *_CONDITIONING}):
        if found := _word(graph, list(upstream(graph, starts, skip)), names):
            return found
    return ""


def _size(graph: Graph, sampler: Node) -> tuple[int | None, int | None]:
    for node in [sampler, *upstream(graph, _at([sampler], _IMAGE))]:
        width = number(graph, node, ("width", "empty_latent_width"))
        height = number(graph, node, ("height", "empty_latent_height"))
        if width is not None and height is not None:
            return _integer(width), _integer(height)
    return None, None


_SIDES: Mapping[Side, tuple[str, ...]] = {
    "positive": ("positive", "cond1", "conditioning", "positive_prompt", "prompt"),
    "negative": ("negative", "negative_prompt"),
}


def _side(graph: Graph, nodes: Collection[Node], side: Side) -> str:
    """The texts of one side, from the first node that has it. A guider with one conditioning has no negative."""
    values = [node.inputs[name] for node in nodes for name in _SIDES[side] if name in node.inputs]
    if not values or isinstance(values[0], str):
        return str(values[0]) if values else ""
    return "\n".join(dict.fromkeys(_texts(graph, values[0], side)))


def _texts(graph: Graph, value: object, side: Side) -> Iterator[str]:
    """The texts behind a conditioning, in the order in which they are combined."""
    stack, seen, known = [value], set[Link](), dict[str, str]()
    while stack:
        link = as_link(stack.pop())
        if link is None or link in seen or link.node not in graph:
            continue
        seen.add(link)
        node = graph[link.node]
        if "zeroout" in node.kind.lower():
            continue
        texts = [string(graph, node.inputs[name], known).strip() for name in _own_texts(node, side)]
        yield from filter(None, texts)
        if not any(texts):
            stack.extend(node.inputs[name] for name in reversed(_passes(node, link, side)))


def _own_texts(node: Node, side: Side) -> list[str]:
    """The inputs of an encoder that are texts. Loaders that encode both sides name them after the side."""
    if isinstance(node.inputs.get(side), str):
        return [side]
    sided = [name for name in node.inputs if name.startswith(side) and ("text" in name or "prompt" in name)]
    return sided or [name for name in _TEXTS if name in node.inputs]


def _passes(node: Node, link: Link, side: Side) -> list[str]:
    """The inputs whose conditioning a node passes on; of a node with both sides, the one that `link` comes from."""
    if node.link("positive") and node.link("negative"):
        return ["negative" if link.slot == 1 else "positive"]
    known = [name for name in node.inputs if name in _PASSES or name.startswith("cond") or name == side]
    return known or [name for name in node.inputs if name not in (*_IMAGE, *_WEIGHTS, *_OTHER)]


def _only_text(graph: Graph) -> str:
    """The text of the only text encoder of a graph without a sampler."""
    encoders = [node for node in graph.values() if "textencode" in node.kind.lower()]
    return string(graph, encoders[0].inputs.get("text")).strip() if len(encoders) == 1 else ""
