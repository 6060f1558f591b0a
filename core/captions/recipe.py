"""Caption recipes: all the choices that turn predictions into a caption, in one value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Literal

from ..errors import RecipeError
from .template import parse_template
from .text import SEPARATORS, Style, normal

Order = Literal["score", "category", "alphabet", "fixed", "given"]
Source = Literal["auto", "tags", "prompt"]
Existing = Literal["skip", "overwrite", "append", "prepend", "merge"]
TooLong = Literal["cut", "keep", "fail"]
Empty = Literal["skip", "write"]
Pairs = tuple[tuple[str, str], ...]

CATEGORY_ORDER = (
    *("character", "copyright", "artist", "species", "identity", "body", "clothing", "action", "general", ""),
    *("meta", "lore"),
)
IMAGE_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("png", "apng", "jpg", "jpeg", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "jxl", "heic"),
        *("heif", "jp2", "j2k", "mpo", "ppm", "pgm", "pbm", "pnm", "tga", "qoi", "psd", "ico", "exr", "hdr"),
    )
)
"""Endings that a caption file may not have: it would replace an image."""


@dataclass(frozen=True)
class Tagger:
    """One tagger of a recipe."""

    model: str
    """Model id, as in Prediction.model."""
    weight: float = 1.0
    """Its probabilities are multiplied by this, up to 1, before anything else happens to them."""
    threshold: float | None = None
    """The probability from which its tags are taken; None leaves that to the recipe."""

    def __post_init__(self) -> None:
        if not self.model:
            raise RecipeError("A tagger of the recipe has no model.")
        if not (math.isfinite(self.weight) and 0 <= self.weight <= 10):
            raise RecipeError(f"The weight of {self.model} is {self.weight}; it must lie between 0 and 10.")
        _check_probability(self.threshold, f"The threshold of {self.model}")


@dataclass(frozen=True)
class CaptionRecipe:
    """How captions are made. Raises RecipeError or UnknownName for values out of range or in conflict."""

    # Which tags
    source: Source = "auto"
    """"tags": those of taggers; "prompt": parts of the generation prompt; "auto": the prompt only without taggers."""
    taggers: tuple[Tagger, ...] = ()
    """The taggers to use; empty means all that made predictions."""
    threshold: float | None = None
    """For taggers without one of their own; None means what each model's card recommends (0 if `top` is set)."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """By category; these override all other thresholds."""
    top: int = 0
    """How many tags to consider, the most probable ones; 0 means all above their threshold."""
    limit: int = 0
    """How many tags the caption may have, the most probable ones; 0 means all."""
    only: tuple[str, ...] = ()
    """Patterns with `*`; if there are any, all other tags are left out."""
    exclude: tuple[str, ...] = ()
    """Patterns with `*` of tags to leave out."""
    exclude_categories: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    """Patterns with `*`; unless each matches a tag, excluded ones included, the caption stays empty."""
    rename: Pairs = ()
    """Old and new names; an empty new name drops the tag, and commas separate several new ones."""
    implied: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Tags with the tags that they imply, which are then left out; chains are followed."""
    categories: Pairs = ()
    """Tags with their category; these override the taggers' own."""

    # In which order, around what
    order: Order = "score"
    """"given" keeps the order of the labels or of the prompt; "fixed" puts the tags of `fixed` first."""
    fixed: tuple[str, ...] = ()
    """Patterns with `*`, for the order "fixed": their tags come first and in this order, the others by score."""
    category_order: tuple[str, ...] = CATEGORY_ORDER
    """For the order "category"; categories not named here follow in alphabetical order."""
    first: tuple[str, ...] = ()
    """Words that always come first, such as a trigger; written unchanged, never counted or cut."""
    last: tuple[str, ...] = ()
    """Words that always come last, written unchanged."""
    rating: bool = False
    rating_words: Pairs = ()
    """The model's words for ratings, with what to write instead; an empty string writes nothing."""
    template: str = ""
    """Text with {trigger}, {rating}, {species}, {tags}, {last}, {prompt}; empty means everything chosen, in a row."""

    # How it is written
    style: Style = "booru"
    escape: bool = False
    """Whether ( ) and \\ in tags get a backslash, which prompts need and trainers do not."""
    separator: str | None = None
    """None means the style's own."""
    trailing: bool = False
    """Whether the separator also ends the caption."""
    max_characters: int = 0
    """0 means no limit."""
    too_long: TooLong = "cut"
    """"cut" leaves out the least probable tags until the caption fits."""

    # Where it goes
    empty: Empty = "skip"
    """What to do with a caption without text."""
    extension: str = ".txt"
    existing: Existing = "skip"
    embed: bool = False
    """Whether the caption is also written into the image's own metadata."""

    def __post_init__(self) -> None:
        _check_probability(self.threshold, "The threshold")
        for category, threshold in self.thresholds:
            _check_probability(threshold, f"The threshold of the category {category!r}")
        for name in ("top", "limit", "max_characters"):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be 0 (no limit) or more.")
        _check_unique("tagger", (tagger.model for tagger in self.taggers))
        _check_unique("renamed tag", (normal(old) for old, _ in self.rename))
        check_extension(self.extension)
        self._check_writing()

    def _check_writing(self) -> None:
        fields = parse_template(self.template).fields
        if self.rating and self.template and "rating" not in fields:
            raise RecipeError("The recipe has the rating on, but its template has no {rating}.")
        if self.style == "json":
            if self.template:
                raise RecipeError("A template writes text; it does not go with the style json.")
            if self.existing not in ("skip", "overwrite"):
                raise RecipeError(f"A json caption cannot be put into an existing file by {self.existing!r}.")
        if self.separator is not None and (not self.separator or not self.separator.replace("\n", " ").isprintable()):
            raise RecipeError(f"The separator {self.separator!r} must be printable text, a blank or a line break.")
        if self.order == "fixed" and not self.fixed:
            raise RecipeError("The order 'fixed' needs the option fixed, with the tags that come first.")

    @property
    def joint(self) -> str:
        """What separates two tags."""
        return SEPARATORS[self.style] if self.separator is None else self.separator

    @property
    def says_rating(self) -> bool:
        """Whether the caption contains the rating."""
        return self.rating or "rating" in parse_template(self.template).fields

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Implication and category tables may have tens of thousands of entries, and a recipe is often a cache key.
        return hash(tuple(value for name, value in self.__dict__.items() if name != "_hash"))


def _check_probability(value: float | None, what: str) -> None:
    if value is not None and not 0 <= value <= 1:
        raise RecipeError(f"{what} is {value}; tags have probabilities, so it must lie between 0 and 1.")


def _check_unique(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RecipeError(f"The recipe names the {kind} {name!r} twice.")
        seen.add(name)


def check_extension(extension: str) -> None:
    """Raises RecipeError unless files beside an image may end like this: ".txt", ".caption.txt"."""
    plain = extension.isprintable() and not set(extension) & set('<>:"|?*/\\') and extension == extension.strip(" ")
    if not plain or not extension.startswith(".") or not extension.strip(".") or extension.endswith("."):
        raise RecipeError(f"The sidecar ending {extension!r} must look like '.txt' or '.caption.txt'.")
    if PurePath("a" + extension).suffix.lower() in IMAGE_ENDINGS:
        raise RecipeError(f"The sidecar ending {extension!r} is that of an image; the caption would replace it.")


def pairs(table: Mapping[str, str]) -> Pairs:
    """A table in the form that recipes use."""
    return tuple(table.items())
