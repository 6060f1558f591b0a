"""The one place where ComfyUI's node interface is imported: its third version, in the part that 0.3.64 has already."""

from __future__ import annotations

from comfy_api.v0_0_2 import ComfyExtension, io
from comfy_execution.graph_utils import ExecutionBlocker

__all__ = ["BLOCKED", "CATEGORY", "ComfyExtension", "ExecutionBlocker", "ScoresSocket", "io"]

CATEGORY = "keepers"
"""Where the nodes stand in the menu."""

BLOCKED = ExecutionBlocker(None)
"""Stands in an output that has nothing: what is wired to it is skipped in silence, and the prompt goes on."""

ScoresSocket = io.Custom("KEEPERS_SCORES")
"""The type of a wire that carries scores (see scores.Scores)."""
