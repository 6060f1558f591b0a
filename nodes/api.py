"""The one place where ComfyUI's node interface is imported: its third version, in the part that 0.3.64 has already."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import ComfyExtension, io
from comfy_execution.graph_utils import ExecutionBlocker

__all__ = ["BLOCKED", "CATEGORY", "ComfyExtension", "ExecutionBlocker", "ScoresSocket", "io", "named"]

CATEGORY = "keepers"
"""Where the nodes stand in the menu."""

BLOCKED = ExecutionBlocker(None)
"""Stands in an output that has nothing: what is wired to it is skipped in silence, and the prompt goes on."""

ScoresSocket = io.Custom("KEEPERS_SCORES")
"""The type of a wire that carries scores (see scores.Scores)."""


def named(*outputs: Any) -> list[Any]:
    """The outputs under their ids as names; without this, ComfyUI 0.3.64 would call them all by their types."""
    for each in outputs:
        each.display_name = each.display_name or each.id.replace("_", " ")
    return list(outputs)
