"""A ComfyUI graph: its nodes, and the links from outputs to inputs. Prompts and workflows both become one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

SIZE_LIMIT = 16 << 20
"""Characters of JSON."""
NODE_LIMIT = 2_000
"""Nodes of a graph that is read; the largest public workflows have some hundred, and few more than a thousand."""
VALUE_LIMIT = 80_000
"""Commas in the JSON of a graph that is read; in the largest public workflows they are some 50,000."""


class BadPrompt(ValueError):
    """The text is not a ComfyUI prompt or workflow that is read; the message says why."""


class Link(NamedTuple):
    """An output of a node, as an input refers to it."""

    node: str
    slot: int


class Output(NamedTuple):
    """What a node gives at one slot, in ComfyUI's words."""

    type: str
    """"CONDITIONING", "STRING", "IMAGE", "BASIC_PIPE"; "*" stands for any."""
    name: str


class Node(NamedTuple):
    """One node."""

    id: str
    """Nodes of a subgraph have the ids of the nodes around them before theirs: "57:6"."""
    kind: str
    """ComfyUI's class_type."""
    inputs: Mapping[str, object]
    """Links are `Link`; all else is a value, whose type nothing warrants."""
    outputs: tuple[Output, ...] = ()
    """As far as they are known."""
    shown: str = ""
    """The text that the node showed when it ran, if the workflow recorded it."""

    def link(self, name: str) -> Link | None:
        """The link at an input, or None."""
        value = self.inputs.get(name)
        return value if isinstance(value, Link) else None

    def links(self) -> Iterator[tuple[str, Link]]:
        """All links in the order of the inputs, with the names of the inputs."""
        for name, value in self.inputs.items():
            if isinstance(value, Link):
                yield name, value


Graph = Mapping[str, Node]


def decode(text: str, what: str) -> object:
    """JSON within the limit. Raises BadPrompt, which names the text as `what`."""
    if len(text) > SIZE_LIMIT:
        raise BadPrompt(f"the ComfyUI {what} is larger than {SIZE_LIMIT >> 20} MiB")
    if text.count(",") > VALUE_LIMIT:
        raise BadPrompt(f"the ComfyUI {what} has more than {VALUE_LIMIT} values")
    try:
        return json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadPrompt(f"the ComfyUI {what} is not JSON we can read ({type(error).__name__})") from error


def check_size(nodes: int, what: str) -> None:
    """Raises BadPrompt if a graph has more nodes than are read."""
    if nodes > NODE_LIMIT:
        raise BadPrompt(f"the ComfyUI {what} has {nodes} nodes, and at most {NODE_LIMIT} are read")


def as_link(value: object) -> Link | None:
    """The link that a value stands for, or None; a prompt writes one as [node id, output]."""
    pair = cast(list[object], value) if isinstance(value, list) else []
    if len(pair) == 2 and isinstance(pair[0], (str, int)) and type(pair[1]) is int:
        return Link(str(pair[0]), pair[1])
    return None


def table(data: object) -> dict[str, Any]:
    """A JSON object; empty if it is something else."""
    return cast(dict[str, Any], data) if isinstance(data, dict) else {}


def rows(data: object) -> list[Any]:
    """A JSON array; empty if it is something else."""
    return cast(list[Any], data) if isinstance(data, list) else []
