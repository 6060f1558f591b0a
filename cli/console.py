"""The console for messages to people: it writes to the error stream, so that the output stream carries only data."""

from __future__ import annotations

from rich.console import Console

console = Console(stderr=True, highlight=False)
