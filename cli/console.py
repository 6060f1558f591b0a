"""Where messages for people go: the error stream, so that the output stream carries data alone."""

from __future__ import annotations

from rich.console import Console

console = Console(stderr=True, highlight=False)
