"""A stub of modules.scripts_postprocessing: the Extras tab."""

from __future__ import annotations

from typing import Any


class PostprocessedImage:
    """A picture on its way through the tab's operations."""

    def __init__(self, image: Any) -> None:
        self.image = image
        self.info: dict[str, Any] = {}
        self.caption: str | None = None


class ScriptPostprocessing:
    """The host's base class."""

    name = ""
    order = 1000

    def ui(self) -> dict[str, Any]:
        """Make the fields."""
        return {}

    def process(self, pp: PostprocessedImage, **args: Any) -> None:
        """Look at, or change, one picture."""
