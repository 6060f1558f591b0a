"""The walk from a sampler to its prompts. It carries the side, positive or negative, through every node."""

from __future__ import annotations

import re
from typing import NamedTuple

from .carried import Side, at_input, at_output, by_type, side_of_name, side_of_output
from .graph import Graph, Link, Node
from .signatures import signature
from .switches import Undecided, passed
from .text_kinds import TEXT_KINDS
from .texts import Texts, is_text, plain

_STEPS = 1_000
"""Outputs that are looked at for both sides, at most."""
_LETTER = re.compile(r"[^\W\d_]")
_NO_TEXT = ("true", "false", "none", "null", "undefined")
_EMPTY = ("ImpactNegativeConditioningPlaceholder", "LotusConditioning", "SeedVR2Conditioning")
"""Kinds whose conditioning holds no text, and is meant to."""
_PROMPTS = (
    "pre_text", "text", "text_g", "text_l", "clip_g", "clip_l", "t5xxl", "llama", "bert", "mt5xl", "prompt",
    "user_prompt", "current_prompt", "prompt_g", "prompt_l", "wildcard_text", "string", "prompt_text",
    "base_prompt", "text_prompt", "tags", "caption", "app_text",
)  # fmt: skip
"""The inputs of encoders that hold a prompt."""


class _Text(NamedTuple):
    """The value of an input that takes a text; a plain Link is one that takes a conditioning or a pipe."""

    value: object


class Sides:
    """Finds the texts of both sides of a sampler."""

    def __init__(self, graph: Graph, texts: Texts) -> None:
        self._graph = graph
        self._texts = texts
        self._steps = _STEPS
        self._told: set[str] = set()
        """Encoders whose text is the positive prompt: what else comes out of them is not the negative one."""

    def positive(self, sampler: Node) -> str:
        """The texts of the positive side in the order in which they are combined, a line each."""
        return self._walk(sampler, "positive")

    def negative(self, sampler: Node) -> str:
        """The texts of the negative side. To be asked after the positive one."""
        return self._walk(sampler, "negative")

    def _walk(self, sampler: Node, side: Side) -> str:
        found: dict[str, None] = {}
        stack: list[tuple[Link | _Text, Side]] = [(v, side) for v in reversed(self._inputs(sampler, side, maker=True))]
        seen: set[tuple[Link, Side]] = set()
        while stack and self._steps > 0:
            value, side = stack.pop()
            if isinstance(value, Link):
                node = self._graph.get(value.node)
                if node is None or (value, side) in seen:
                    continue
                seen.add((value, side))
                self._steps -= 1 + len(node.inputs) // 16
                if not is_text(node, value.slot):
                    further, side = self._behind(node, value.slot, side)
                    stack.extend((value, side) for value in reversed(further))
                    continue
            text = self._texts.of(value.value if isinstance(value, _Text) else value, side)
            if text and _LETTER.search(text) and text.strip().lower() not in _NO_TEXT:
                found[text.strip()] = None
        return "\n".join(found)

    def _behind(self, node: Node, slot: int, side: Side) -> tuple[list[Link | _Text], Side]:
        """What a node's output is made of, as far as the side goes, and the side from here on."""
        if node.kind in _EMPTY or "zeroout" in node.kind.lower():
            return [], side
        if "translat" in node.kind.lower():
            self._texts.written_by(node)
            return [], side
        try:
            value = passed(self._graph, node, slot)
        except Undecided:
            self._texts.note(f"which prompt {plain(node.kind)} passed on was decided at run time")
            return [], side
        if value is not None:
            return [value if isinstance(value, Link) else _Text(value)], side
        side = side_of_output(node, slot) or side
        found = self._inputs(node, side, maker=at_output(self._graph, Link(node.id, slot)) == "pipe")
        if side == "positive" and not found and not self._has_prompt_inputs(node):
            self._unread(node)
        return found, side

    def _inputs(self, node: Node, side: Side, *, maker: bool) -> list[Link | _Text]:
        """The inputs of a node that make one of its sides. A `maker` takes its positive side at inputs of no side."""
        if sided := self._sided(node, side):
            return sided
        links = [(name, link) for name, link in node.links() if side_of_name(name) is None]
        pipes = [link for name, link in links if at_input(self._graph, name, link) == "pipe"]
        neutral = {name: link for name, link in links if at_input(self._graph, name, link) == "conditioning"}
        one_sided = any(side_of_name(name) for name in node.inputs)
        if side == "negative" and (maker or one_sided):
            return [*pipes, *(link for link in neutral.values() if self._holds_both(link))]
        if maker and "cond1" in neutral:
            neutral = {"cond1": neutral["cond1"]}
        texts = self._prompts(node)
        if texts and not neutral:
            if side == "negative" and node.id in self._told:
                return []
            self._told |= {node.id} if side == "positive" else set()
        return [*neutral.values(), *texts] or list(pipes)

    def _holds_both(self, link: Link) -> bool:
        """Whether one link carries both sides, as text_embeds of the WanVideo nodes does."""
        node = self._graph.get(link.node)
        if node is None:
            return False
        if 0 <= link.slot < len(node.outputs):
            return node.outputs[link.slot].type.upper() != "CONDITIONING"
        return any(side_of_name(name) == "negative" and isinstance(v, str) for name, v in node.inputs.items())

    def _sided(self, node: Node, side: Side) -> list[Link | _Text]:
        """The values of the inputs that are named after a side."""
        found: list[Link | _Text] = []
        for name, value in node.inputs.items():
            if side_of_name(name) != side:
                continue
            if isinstance(value, str) and value.strip():
                found.append(_Text(value))
            elif isinstance(value, Link) and (carried := at_input(self._graph, name, value)) in _SIDED:
                found.append(_Text(value) if carried == "text" or name in signature(node.kind).widgets else value)
        return found

    def _prompts(self, node: Node) -> list[_Text]:
        """The prompts among a node's own inputs."""
        if node.kind in TEXT_KINDS:
            return [_Text(self._texts.own(node))]
        last = {name.rpartition(".")[2]: name for name in reversed(list(node.inputs))}
        values = [node.inputs[last[name]] for name in _PROMPTS if name in last and side_of_name(name) is None]
        if (sdxl := node.inputs.get("with_SDXL")) in (True, False):  # smZ CLIPTextEncode has the texts of both
            values = [v for v in values if (v is not node.inputs.get("text")) is sdxl]
        if isinstance(populated := node.inputs.get("populated_text"), str) and populated.strip():
            values = [populated]
        return [_Text(v) for v in values if (isinstance(v, str) and v.strip()) or self._may_be_text(v)]

    def _has_prompt_inputs(self, node: Node) -> bool:
        return any(side_of_name(name) or name.rpartition(".")[2] in _PROMPTS for name in node.inputs)

    def _may_be_text(self, value: object) -> bool:
        return isinstance(value, Link) and at_output(self._graph, value) in ("text", "")

    def _unread(self, node: Node) -> None:
        types = {by_type(output.type) for output in node.outputs}
        what = "gives a conditioning without a text" if "conditioning" in types else "is not known"
        self._texts.note(f"the prompt goes through {plain(node.kind)}, which {what}")


_SIDED = ("conditioning", "text", "pipe", "")
"""What an input that is named after a side takes."""
