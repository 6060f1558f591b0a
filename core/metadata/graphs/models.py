"""The model and the LoRAs behind a sampler."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..generation import Lora
from .carried import at_input
from .constants import constant, number, word
from .graph import Graph, Link, Node
from .switches import Undecided, passed

_STEPS = 2_000
_FILES = (
    "ckpt_name", "unet_name", "base_ckpt_name", "model_name", "checkpoint", "model_path", "diffusion_model",
    "gguf_name", "unet", "model", "supir_model", "sdxl_model", "model_file", "flux_model", "ckpt",
)  # fmt: skip
_NONE = ("", "none", "baked vae", "disabled")
_LORA_LIMIT = 64


def chain(graph: Graph, sampler: Node) -> Iterator[Node]:
    """The nodes that the model runs through on its way to a sampler, nearest first."""
    queue, seen = deque(_weights(graph, sampler)), {sampler.id}
    while queue and len(seen) < _STEPS:
        link = queue.popleft()
        node = graph.get(link.node)
        if node is None or link.node in seen:
            continue
        seen.add(link.node)
        try:
            value = passed(graph, node, link.slot)
        except Undecided:
            continue
        if isinstance(value, Link):
            queue.append(value)
            continue
        yield node
        queue.extend(_weights(graph, node))


def model_of(graph: Graph, sampler: Node) -> str:
    """The file of the checkpoint or diffusion model; for a node that asks a service, the model that it names."""
    for node in (sampler, *chain(graph, sampler)):
        if (found := word(graph, node, _FILES)) and found.lower() not in _NONE:
            return found
    return ""


def loras_of(graph: Graph, sampler: Node) -> tuple[Lora, ...]:
    """The LoRAs on the model's way, each once, in the order in which they were applied."""
    found: dict[str, Lora] = {}
    for node in (sampler, *chain(graph, sampler)):
        for lora in reversed([*_loras_in(graph, node), *_stacked(graph, node)]):
            if lora.name.lower() not in _NONE and len(found) < _LORA_LIMIT:
                found.setdefault(lora.name, lora)
    return tuple(reversed(found.values()))


def _weights(graph: Graph, node: Node) -> list[Link]:
    """The links that bring a model, those that bring it within a pipe last."""
    links = [(at_input(graph, name, link), link) for name, link in node.links()]
    return [link for kind in ("model", "pipe") for carried, link in links if carried == kind]


def _stacked(graph: Graph, node: Node) -> Iterator[Lora]:
    """The LoRAs of a stack that is wired into a node, and of the stacks before it."""
    for _ in range(_LORA_LIMIT):
        names = ("lora_stack", "optional_lora_stack", "lora", "prev_lora", "loras", "lora_0")
        link = next((link for name in names if (link := node.link(name))), None)
        if link is None or link.node not in graph:
            return
        node = graph[link.node]
        yield from _loras_in(graph, node)


def _loras_in(graph: Graph, node: Node) -> Iterator[Lora]:
    """The LoRAs that a node names: in `lora_name`, numbered, or as a table with a switch, a name and a strength."""
    for name, value in list(node.inputs.items())[:1000]:
        entry = cast(Mapping[str, Any], value) if isinstance(value, dict) else None
        if entry is not None and isinstance(entry.get("lora"), str):
            if entry.get("on") is not False:
                yield Lora(entry["lora"], _weight(entry.get("strength")))
        elif (
            "lora" in name
            and ("name" in name or name in ("lora", "lora_0", "lora_1"))
            and isinstance(value, (str, Link))
        ):
            found = constant(graph, value, name)
            if isinstance(found, str) and _is_on(node, name):
                yield Lora(found, number(graph, node, _strengths(name)))


def _is_on(node: Node, name: str) -> bool:
    digits = "".join(filter(str.isdigit, name))
    return not digits or node.inputs.get(f"switch_{digits}") not in ("Off", False)


def _strengths(name: str) -> tuple[str, ...]:
    digits = "".join(filter(str.isdigit, name))
    if not digits:
        return "strength_model", "strength", "lora_model_strength", "lora_strength", "model_strength", "weight"
    return (f"model_weight_{digits}", f"strength_{digits}", f"lora_wt_{digits}", f"model_str_{digits}",
            f"lora{digits}_model_strength", f"lora_{digits}_strength", f"lora_{digits}_model_strength")  # fmt: skip


def _weight(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value else None
