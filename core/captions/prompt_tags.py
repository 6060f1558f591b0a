"""A generation prompt as tags."""

from __future__ import annotations

from ..metadata.prompt_text import clean_prompt
from .text import unique


def prompt_tags(prompt: str) -> tuple[str, ...]:
    """The parts of the cleaned prompt between its commas, each once."""
    return unique(part.strip() for part in clean_prompt(prompt).split(","))
