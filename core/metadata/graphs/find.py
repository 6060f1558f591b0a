"""What a ComfyUI graph says of the picture: prompts, seed, sampler, model and size."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from ..generation import Generation
from .carried import at_input
from .constants import number, word
from .graph import Graph, Node
from .makers import Made, asks_service, made
from .models import loras_of, model_of
from .sides import Sides
from .texts import Texts, plain

_STEPS = 500
_MOST_STEPS = 10_000
"""Of a sampler, as ComfyUI takes them."""
_SMALLEST = 16
"""Pixels; what is smaller is a factor or a ratio."""
_TRIED = 3
"""Passes that are asked for a prompt, from the first one on."""
_WIDTHS = ("width", "empty_latent_width", "latent_width", "image_width")
_HEIGHTS = ("height", "empty_latent_height", "latent_height", "image_height")


def find_in(graph: Graph, caption: str = "") -> Generation:
    """Searches a graph. `caption` is that of our own record in the file.

    Of several samplers in a row (refiner, high-resolution pass, detailer), the first one that has a prompt counts: it
    made the picture. Of several pictures in one graph, the first that is saved counts.
    """
    found = made(graph)
    if found is None:
        return Generation(source="comfyui", notes=("no node that makes pictures was found in the ComfyUI graph",))
    sampler, positive, negative, notes = _first_with_prompt(graph, found, caption)
    settings = list(_settings(graph, sampler))
    return Generation(
        positive,
        negative,
        _seed(graph, settings),
        _word(graph, settings, ("sampler_name", "sampler")),
        _word(graph, settings, ("scheduler", "scheduler_name")),
        _steps(graph, settings),
        _number(graph, settings, ("cfg", "cfg_conds", "guidance_scale", "cfg_scale", "true_gs")),
        model_of(graph, sampler),
        *_size(graph, sampler),
        "comfyui",
        loras=loras_of(graph, sampler),
        notes=tuple(notes),
    )


def _first_with_prompt(graph: Graph, found: Made, caption: str) -> tuple[Node, str, str, list[str]]:
    """The first pass that has a prompt, or whose prompt was made at run time, its texts, and all notes."""
    chosen: tuple[Node, str, str, list[str]] | None = None
    for sampler in found.passes[:_TRIED]:
        texts = Texts(graph, caption)
        sides = Sides(graph, texts)
        positive = sides.positive(sampler)
        about = list(texts.notes)
        negative = sides.negative(sampler)
        negative = "" if negative == positive else negative  # guidance that is nought, not a prompt
        if chosen is None or positive:
            chosen = sampler, positive, negative, list(texts.notes)
        if positive or about:
            break
    assert chosen is not None  # a maker is one of its passes
    sampler, positive, negative, notes = chosen
    if not positive and not notes:
        notes = [_why_empty(sampler)]
    return sampler, positive, negative, [*_about_passes(found), *notes]


def _about_passes(found: Made) -> list[str]:
    notes = [f"{len(found.passes)} samplers in a row: the values are the first one's"] if len(found.passes) > 1 else []
    more = f"the graph makes {found.others + 1} pictures: the values are those of the one that is saved first"
    return [*notes, more] if found.others else notes


def _why_empty(sampler: Node) -> str:
    return f"{plain(sampler.kind)} made the picture, and its prompt is empty"


def _settings(graph: Graph, sampler: Node) -> Iterator[Node]:
    """The sampler and the nodes that bring its settings: noise, sigmas, guiders and pipes, nearest first."""
    queue, seen = deque([sampler]), {sampler.id}
    while queue and len(seen) < _STEPS:
        node = queue.popleft()
        yield node
        for name, link in node.links():
            if at_input(graph, name, link) in ("setting", "pipe") and link.node in graph and link.node not in seen:
                seen.add(link.node)
                queue.append(graph[link.node])


def _seed(graph: Graph, settings: Collection[Node]) -> int | None:
    """The seed; a negative one stands for a random one, which the file does not hold."""
    found = _integer(_number(graph, settings, ("seed", "noise_seed", "rand_seed")))
    return found if found is not None and found >= 0 else None


def _steps(graph: Graph, settings: Collection[Node]) -> int | None:
    found = _integer(_number(graph, settings, ("steps",)))
    return found if found is not None and 0 <= found <= _MOST_STEPS else None


def _word(graph: Graph, nodes: Collection[Node], names: Collection[str]) -> str:
    return next((found for node in nodes if (found := word(graph, node, names))), "")


def _number(graph: Graph, nodes: Collection[Node], names: Collection[str]) -> int | float | None:
    """The number at the nearest node that has such an input; None if that one is not in the file."""
    for node in nodes:
        if found := [name for name in _with_ends(node, names) if name in node.inputs]:
            return number(graph, node, found)
    return None


def _with_ends(node: Node, names: Collection[str]) -> list[str]:
    """The names, and those inputs that end in one after a dot: "model.seed"."""
    return [*names, *(name for name in node.inputs if "." in name and name.rpartition(".")[2] in names)]


def _integer(value: float | None) -> int | None:
    try:
        return None if value is None else int(value)
    except OverflowError:  # infinite
        return None


def _size(graph: Graph, sampler: Node) -> tuple[int | None, int | None]:
    """The size that the first latent was given, from the sampler on along pictures, conditionings and pipes."""
    wanted = ("pipe",) if asks_service(graph, sampler) else ("picture", "conditioning", "pipe", "other")
    queue, seen = deque([sampler]), {sampler.id}
    while queue and len(seen) < _STEPS:
        node = queue.popleft()
        width, height = number(graph, node, _WIDTHS), number(graph, node, _HEIGHTS)
        if width and height and min(width, height) >= _SMALLEST and node.link("clip") is None:
            return _integer(width), _integer(height)
        links = [(at_input(graph, name, link), link) for name, link in node.links()]
        for carried in wanted:
            for what, link in links:
                if what == carried and link.node in graph and link.node not in seen:
                    seen.add(link.node)
                    queue.append(graph[link.node])
    return None, None
