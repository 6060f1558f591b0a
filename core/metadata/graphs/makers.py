"""Which sampler, or node that asks a service, made the picture: the walk from what was saved along pictures alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .carried import at_input, at_output, side_of_name
from .constants import number
from .graph import Graph, Link, Node
from .switches import Undecided, passed

_ENDS = 32
_PASSES = 32
_STEPS = 6_000
_NOISY = ("seed", "noise_seed", "noise", "sigmas", "steps", "rand_seed")
_PROMPT = ("prompt", "positive_prompt", "prompt_text", "text_prompt", "user_prompt", "text")
_SIZED = (
    "aspect_ratio", "resolution", "size", "quality", "n", "num_images", "number_results", "width", "image_size",
    "ratio", "duration", "model", "model_name", "output_format", "rendering_speed", "style_preset", "raw", "api_key",
)  # fmt: skip
_SERVICE = re.compile(r"(Node|Api|Control\d*|Omni)(V\d+)?$")
"""How the names of ComfyUI's own nodes that ask a service end."""
_FINDS = re.compile(r"segment|sam|dino|mask|detect|crop|clipseg|florence|ground", re.IGNORECASE)
"""Nodes that look for what a text names, or cut it out."""
_SAMPLER = re.compile(r"sampler|detailer|ultimate.?sd.?upscale|iterativeupscale|IterativeImageUpscale", re.IGNORECASE)
_MAPS = re.compile(
    r"preprocess|depth(?!.*control)|canny|pose|line_?art|hed|scribble|normal_?map|segment|_seg|mlsd|pidi|marigold|lotus|"
    r"mediapipe|densepose|oneformer|facemesh|shuffle|lightness|luminance",
    re.IGNORECASE,
)
_NO_PICTURE = re.compile(
    r"mask|control|reference|^ref|style|pose|depth|canny|face|clip|ipadapter|hint|background_removal", re.IGNORECASE
)
_INPUTS = (
    "images", "image", "samples", "latent_image", "latent", "latents", "pixels", "image1", "image_1", "destination",
    "video", "frames", "optional_latent", "original_image", "base_image", "images_a", "image_a",
)  # fmt: skip
_SAVES = re.compile(r"save|video_?combine|export|output", re.IGNORECASE)
_LOOKS = re.compile(r"preview|compare|show|display", re.IGNORECASE)
_KEPT = re.compile(r"mask|inpaint", re.IGNORECASE)


class Made(NamedTuple):
    """The nodes that made a saved picture one after the other, the first one first."""

    passes: tuple[Node, ...]
    others: int
    """How many other pictures the graph saves that something else made."""


def made(graph: Graph) -> Made | None:
    """What made the picture that is saved first; None if nothing did that is known as a maker."""
    walk = _Walk(graph)
    found: dict[str, Node] = {}
    for end in ends(graph):
        if maker := walk.maker(end):
            found.setdefault(maker.id, maker)
    if not found:
        maker = next((node for node in graph.values() if is_maker(graph, node)), None)
        return None if maker is None else Made(walk.passes(maker), 0)
    first, *others = found.values()
    passes = walk.passes(first)
    ours = {node.id for node in passes}
    return Made(passes, sum(ours.isdisjoint(node.id for node in walk.passes(other)) for other in others))


class _Walk:
    """Walks back along pictures, no more than a number of steps altogether."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._steps = _STEPS
        self._makes: dict[str, bool] = {}

    def maker(self, end: Node) -> Node | None:
        """The last maker behind a node, or the node itself."""
        if is_maker(self._graph, end):
            return end
        return next(self._makers(_pictures(self._graph, end)), None)

    def passes(self, last: Node) -> tuple[Node, ...]:
        """The makers of one picture in the order in which they ran; one that begins anew is the first."""
        found = {last.id: last}
        node: Node | None = last
        graph = self._graph
        while node and len(found) < _PASSES and not asks_service(graph, node) and not _begins_anew(graph, node):
            node = next((n for n in self._makers(_pictures(graph, node)) if n.id not in found), None)
            if node:
                found[node.id] = node
        return tuple(reversed(found.values()))

    def _is_maker(self, node: Node) -> bool:
        if node.id not in self._makes:
            self._makes[node.id] = is_maker(self._graph, node)
        return self._makes[node.id]

    def _makers(self, starts: list[Link]) -> Iterator[Node]:
        """The makers behind links of pictures, nearest first; what makes control maps is not looked into."""
        stack, seen = list(reversed(starts)), set[Link]()
        while stack and self._steps > 0:
            link = stack.pop()
            node = self._graph.get(link.node)
            if node is None or link in seen:
                continue
            seen.add(link)
            self._steps -= 1 + len(node.inputs) // 16
            if self._is_maker(node):
                yield node
                continue
            stack.extend(reversed(_behind(self._graph, node, link.slot)))


def ends(graph: Graph) -> list[Node]:
    """Where pictures leave the graph: savers first, then all others whose output nobody uses, previews last."""
    taken = {link.node for node in graph.values() for _, link in node.links()}
    savers = [node for node in graph.values() if _SAVES.search(node.kind) and _pictures(graph, node)]
    loose = [
        node for node in graph.values() if node.id not in taken and (_pictures(graph, node) or is_maker(graph, node))
    ]
    order = {node.id: node for node in (*savers, *loose)}
    rank = {
        i: (not _SAVES.search(n.kind), bool(_LOOKS.search(n.kind)), not is_maker(graph, n)) for i, n in order.items()
    }
    return [order[i] for i in sorted(order, key=lambda i: rank[i])][:_ENDS]


def is_maker(graph: Graph, node: Node) -> bool:
    """Whether a node makes pictures from prompts: a sampler, a detailer, or a node that asks a service."""
    if _SAVES.search(node.kind) and not _SAMPLER.search(node.kind):
        return False
    return is_sampler(graph, node) or asks_service(graph, node)


def is_sampler(graph: Graph, node: Node) -> bool:
    """Whether a node samples: it takes a prompt in some form, and noise."""
    named = bool(_SAMPLER.search(node.kind))
    if not (named or any(name in node.inputs for name in _NOISY)) or not _gives_picture(node):
        return False
    carried = {at_input(graph, name, link) for name, link in node.links()}
    guided = bool(carried & {"conditioning", "pipe"}) or any(side_of_name(name) == "positive" for name in node.inputs)
    if not guided and not ("model" in carried and any(name in node.inputs for name in _PROMPT)):
        return False
    return named or not _is_preparing(node)


def asks_service(graph: Graph, node: Node) -> bool:
    """Whether a node makes pictures from a prompt alone, as the partner nodes do that ask a service."""
    if not any(name.rpartition(".")[2] in _PROMPT for name in node.inputs) or not _gives_picture(node):
        return False
    carried = {at_input(graph, name, link) for name, link in node.links()}
    if carried & {"conditioning", "model", "pipe"} or node.link("clip"):
        return False
    names = {name.rpartition(".")[2] for name in node.inputs}
    if not names & {"prompt", "positive_prompt", "prompt_text", "text_prompt"} and "seed" not in names:
        return False  # a text to draw or to look for
    asked = bool(names & {*_NOISY, *_SIZED}) or bool(_SERVICE.search(node.kind))
    return asked and "threshold" not in names and not _FINDS.search(node.kind)


def _is_preparing(node: Node) -> bool:
    """Whether a node only prepares sampling: a pipe with settings, or latents together with conditionings."""
    types = {output.type.upper() for output in node.outputs}
    if any("PIPE" in kind for kind in types):
        return not types & {"IMAGE", "LATENT"} or "latent" in {output.name.lower() for output in node.outputs[:5]}
    return "CONDITIONING" in types and "steps" not in node.inputs


def _gives_picture(node: Node) -> bool:
    if not node.outputs:
        return True
    return any(at_output({node.id: node}, Link(node.id, slot)) in ("picture", "") for slot in range(len(node.outputs)))


def _behind(graph: Graph, node: Node, slot: int) -> list[Link]:
    """The links whose pictures an output is made of."""
    try:
        value = passed(graph, node, slot)
    except Undecided:
        return [link for name, link in node.links() if at_input(graph, name, link) in ("picture", "")]
    if value is not None:
        return [value] if isinstance(value, Link) else []
    if _MAPS.search(node.kind) and at_output(graph, Link(node.id, slot)) != "pipe":
        return []
    wanted = node.outputs[slot].name.lower().rstrip("s") if 0 <= slot < len(node.outputs) else ""
    pictures = _pictures(graph, node)
    same = [link for name, link in node.links() if link in pictures and name.lower().rstrip("s") == wanted]
    pipes = [link for name, link in node.links() if at_input(graph, name, link) == "pipe"]
    if pipes and at_output(graph, Link(node.id, slot)) == "picture":
        return same or [*pipes, *pictures]
    return pictures or pipes


def _pictures(graph: Graph, node: Node) -> list[Link]:
    """The links of a node that bring the picture it works on, the likeliest first."""
    found = {
        name: link
        for name, link in node.links()
        if at_input(graph, name, link) == "picture" and not _NO_PICTURE.search(name.rpartition(".")[2])
    }
    order = {name: at for at, name in enumerate(_INPUTS)}
    return [found[name] for name in sorted(found, key=lambda name: order.get(name.lower(), len(order)))]


def _begins_anew(graph: Graph, node: Node) -> bool:
    """Whether a sampler leaves nothing of the picture it is given: full denoising over one that was encoded."""
    denoise = number(graph, node, ("denoise",))
    latent = node.link("latent_image") or node.link("latent") or node.link("samples")
    before = graph.get(latent.node) if latent else None
    if denoise is None or denoise < 1 or before is None or any(_KEPT.search(name) for name in node.inputs):
        return False
    return bool(before.link("pixels")) and not _KEPT.search(before.kind)
