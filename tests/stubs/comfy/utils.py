"""What Keepers uses of comfy/utils.py."""

from __future__ import annotations


class ProgressBar:
    """The bar on the node that runs."""

    shown: list[tuple[int, int]] = []  # noqa: RUF012  for tests: all that was shown, of all bars

    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: object = None) -> None:
        """Show how much is done."""
        self.shown.append((value, total or self.total))
