"""The options that make a caption recipe on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ...core.captions.recipe import CaptionRecipe, Tagger
from ...core.captions.recipe_file import load_recipe, with_tag_file
from ...core.captions.recipe_values import changed
from ...core.errors import KeepersError
from ...core.weights.store import WeightStore
from ...models.registry import REGISTRY

_WHICH, _ORDER, _FORM, _FILES = "Which tags", "Order and fixed words", "How it is written", "Where it goes"

RecipeName = Annotated[
    str, typer.Option("--recipe", help="FILE.toml#NAME: take the recipe from a file; options here go before it.")
]
Taggers = Annotated[
    list[str] | None,
    typer.Option("--tagger", "-t", help="Tagger by id, or ID=WEIGHT; repeatable.", rich_help_panel=_WHICH),
]
Source = Annotated[
    str | None,
    typer.Option("--from", help="tags, prompt, or auto (the prompt without a tagger).", rich_help_panel=_WHICH),
]
Threshold = Annotated[
    float | None, typer.Option(help="0 to 1. Default: what each tagger's card recommends.", rich_help_panel=_WHICH)
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--category-threshold", help="CATEGORY=THRESHOLD; repeatable.", rich_help_panel=_WHICH),
]
Top = Annotated[int | None, typer.Option(help="Only so many most probable tags.", rich_help_panel=_WHICH)]
Limit = Annotated[int | None, typer.Option(help="At most so many tags in a caption.", rich_help_panel=_WHICH)]
Only = Annotated[list[str] | None, typer.Option(help="Only these tags; * stands for any text.", rich_help_panel=_WHICH)]
Exclude = Annotated[
    list[str] | None,
    typer.Option(help="Never these tags; * stands for any text, blanks equal underscores.", rich_help_panel=_WHICH),
]
ExcludeCategories = Annotated[
    list[str] | None, typer.Option("--exclude-category", help="Never tags of these.", rich_help_panel=_WHICH)
]
Require = Annotated[
    list[str] | None, typer.Option(help="No caption for images without these tags.", rich_help_panel=_WHICH)
]
Rename = Annotated[
    list[str] | None, typer.Option(help="OLD=NEW; an empty NEW drops it; repeatable.", rich_help_panel=_WHICH)
]
TagFile = Annotated[
    Path | None, typer.Option(help="CSV with tag, category, implications; drops implied.", rich_help_panel=_WHICH)
]
Order = Annotated[str | None, typer.Option(help="score, category, alphabet, fixed or given.", rich_help_panel=_ORDER)]
Fixed = Annotated[
    list[str] | None, typer.Option(help="For --order fixed: tags that come first.", rich_help_panel=_ORDER)
]
First = Annotated[
    list[str] | None, typer.Option("--first", "--trigger", help="Words always at the start.", rich_help_panel=_ORDER)
]
Last = Annotated[list[str] | None, typer.Option(help="Words always at the end.", rich_help_panel=_ORDER)]
Rating = Annotated[bool | None, typer.Option(help="Whether to write the rating.", rich_help_panel=_ORDER)]
Template = Annotated[
    str | None,
    typer.Option(help="Text with {trigger} {rating} {species} {tags} {last} {prompt}.", rich_help_panel=_ORDER),
]
Style = Annotated[str | None, typer.Option(help="booru, e621, spaces or json.", rich_help_panel=_FORM)]
Escape = Annotated[bool | None, typer.Option(help="Backslashes before ( and ).", rich_help_panel=_FORM)]
Separator = Annotated[str | None, typer.Option(help="Between tags. Default: the style's.", rich_help_panel=_FORM)]
Trailing = Annotated[bool | None, typer.Option(help="End with the separator.", rich_help_panel=_FORM)]
MaxCharacters = Annotated[int | None, typer.Option(help="Longest caption; 0: any.", rich_help_panel=_FORM)]
TooLong = Annotated[str | None, typer.Option(help="Longer ones: cut, keep or fail.", rich_help_panel=_FORM)]
Empty = Annotated[str | None, typer.Option(help="Captions without text: skip or write.", rich_help_panel=_FILES)]
Extension = Annotated[str | None, typer.Option(help="Of caption files. Default: .txt", rich_help_panel=_FILES)]
Existing = Annotated[
    str | None, typer.Option(help="skip, overwrite, append, prepend or merge.", rich_help_panel=_FILES)
]
Embed = Annotated[bool | None, typer.Option(help="Also into the image's own metadata.", rich_help_panel=_FILES)]


def recipe_from(name: str, tag_file: Path | None, **options: object) -> CaptionRecipe:
    """The recipe of a file, or the default one, with the options that were given. Raises RecipeError, UnknownName."""
    recipe = load_recipe(name) if name else CaptionRecipe()
    values = {key: _value(key, value) for key, value in options.items() if value is not None}
    if values.get("fixed") and "order" not in values:
        values["order"] = "fixed"
    recipe = changed(recipe, values)
    return recipe if tag_file is None else with_tag_file(recipe, tag_file)


def with_default_tagger(recipe: CaptionRecipe, store: WeightStore, *, fall_back: bool) -> CaptionRecipe:
    """The recipe with the first tagger whose weights are here, where it names none.

    Without such a tagger prompts take its place, if the user said so by `fall_back`. Raises KeepersError.
    """
    if recipe.source == "prompt" or recipe.taggers:
        return recipe
    known = [spec for spec in REGISTRY if spec.tags]
    for spec in known:
        if all(file.optional or store.find(file) is not None for file in spec.weights):
            return replace(recipe, taggers=(Tagger(spec.id),))
    if fall_back:
        return replace(recipe, source="prompt")
    names = " or ".join(f"`keepers fetch {spec.id}`" for spec in known) or "`keepers fetch`"
    raise KeepersError(f"No tagger's weights are here. Get one with {names}, or caption with --from prompt.")


def _value(name: str, value: object) -> object:
    texts = [str(each) for each in value] if isinstance(value, list) else []
    if name == "taggers":
        return [_tagger(text) for text in texts]
    if name == "thresholds":
        return {key: _number(name, number) for key, number in _pairs("--category-threshold", texts)}
    if name == "rename":
        return dict(_pairs("--rename", texts))
    return "\n".join(texts) if isinstance(value, list) else value


def _tagger(text: str) -> object:
    model, equals, weight = text.partition("=")
    return {"model": model, "weight": _number("--tagger", weight)} if equals else model


def _pairs(option: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise KeepersError(f"{option} takes NAME=VALUE, not {text!r}.")
        found.append((key.strip(), value.strip()))
    return found


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise KeepersError(f"{option}: {text!r} is no number.") from None
