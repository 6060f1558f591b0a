"""The node Tag Categories: thresholds for individual categories of tags, and which categories are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .host.api import CATEGORY, io, named
from .judging.inputs import one

NAMES = (
    "general",
    "character",
    "copyright",
    "artist",
    "species",
    "identity",
    "body",
    "clothing",
    "action",
    "meta",
    "lore",
)
"""The categories of the taggers; JTP's tags have none."""

CategoriesSocket = io.Custom("KEEPERS_CATEGORIES")
"""The type of a wire that carries settings for categories: a tuple of Category."""

OWN, OUT = "own threshold", "leave out"


@dataclass(frozen=True)
class Category:
    """The settings of one category."""

    name: str
    threshold: float | None
    """None: the tagger's own threshold."""
    shown: bool
    """Whether its tags may appear in captions."""


class KeepersTagCategories(io.ComfyNode):
    """Settings of one category; several of these nodes in a row set several."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="KeepersTagCategories",
            display_name="Tag Categories (Keepers)",
            category=CATEGORY,
            description="Gives one category of tags its own threshold, or leaves it out. Wire several in a row.",
            is_input_list=True,
            inputs=[
                CategoriesSocket.Input("before", optional=True, tooltip="Settings of other categories."),
                io.Combo.Input("name", options=list(NAMES), default="character", tooltip="The category."),
                io.Combo.Input(
                    "what",
                    options=[OWN, OUT],
                    default=OWN,
                    tooltip="Whether its tags get their own threshold or are left out.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="The threshold for this category's tags.",
                ),
            ],
            outputs=named(CategoriesSocket.Output("categories", tooltip="For Tag, or for the next Tag Categories.")),
        )

    @classmethod
    def execute(
        cls, name: list[str], what: list[str], threshold: list[float], before: list[Any] | None = None
    ) -> io.NodeOutput:
        """The settings so far and this one, which replaces an earlier one for the same category."""
        earlier: tuple[Category, ...] = one(before or [()])
        chosen = Category(one(name), one(threshold) if one(what) == OWN else None, one(what) == OWN)
        return io.NodeOutput((*(each for each in earlier if each.name != chosen.name), chosen))
