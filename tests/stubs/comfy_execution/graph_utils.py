"""What Keepers uses of comfy_execution/graph_utils.py: blockers, and building more nodes while a prompt runs."""

# ruff: noqa: A002  the interface's own names
from __future__ import annotations

from typing import Any


class ExecutionBlocker:
    """In an output, it keeps everything that is wired to it from running; with a message this is shown as an error."""

    def __init__(self, message: str | None) -> None:
        self.message = message


def is_link(value: object) -> bool:
    """Whether an input of the API form is a wire: [node id, output number]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


class Node:
    """A node to be added."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """A wire from one of its outputs."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set or, with None, remove an input."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show it as another node."""
        self.override_display_id = override_display_id


class GraphBuilder:
    """Collects nodes under a prefix that the engine makes unique for each call."""

    def __init__(self, prefix: str = "stub.0.0.") -> None:
        self.prefix = prefix
        self.nodes: dict[str, Node] = {}

    def node(self, class_type: str, id: str, **inputs: Any) -> Node:
        """Add a node."""
        name = self.prefix + id
        self.nodes[name] = Node(name, class_type, inputs)
        return self.nodes[name]

    def finalize(self) -> dict[str, Any]:
        """The nodes in API form."""
        return {
            name: {"class_type": one.class_type, "inputs": one.inputs, "override_display_id": one.override_display_id}
            for name, one in self.nodes.items()
        }
