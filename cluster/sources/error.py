"""The error for sources that cannot be listed."""

from __future__ import annotations

from ...core.errors import KeepersError, one_line


class SourceError(KeepersError):
    """A source that cannot be listed at all: what is wrong, which source, and what to do."""

    code = "source"

    def __init__(self, source: str, detail: str) -> None:
        self.source = source
        self.detail = detail
        super().__init__(f"{one_line(source)}: {one_line(detail)}")
