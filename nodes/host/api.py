"""The one place that imports ComfyUI's node interface: version 3, limited to what 0.3.64 already has."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import ComfyExtension, io
from comfy_execution.graph_utils import ExecutionBlocker

__all__ = ["BLOCKED", "CATEGORY", "ComfyExtension", "ExecutionBlocker", "ScoresSocket", "io", "named"]

CATEGORY = "keepers"
"""Where the nodes stand in the menu."""

BLOCKED = ExecutionBlocker(None)
"""The value of an empty output: nodes wired to it are silently skipped, and the prompt goes on."""

ScoresSocket = io.Custom("KEEPERS_SCORES")
"""The type of a wire that carries scores.Scores."""


def named(*outputs: Any) -> list[Any]:
    """The outputs, named after their ids; without this, ComfyUI 0.3.64 would name them after their types."""
    for each in outputs:
        each.display_name = each.display_name or each.id.replace("_", " ")
    return list(outputs)
