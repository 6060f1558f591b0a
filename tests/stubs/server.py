"""What Keepers uses of server.py."""

from __future__ import annotations

from typing import ClassVar


class PromptServer:
    """The running server; there is none in tests unless they set one."""

    instance: ClassVar[PromptServer | None] = None

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        """Show a line of text on a node."""
        self.told.append((text, node_id))
