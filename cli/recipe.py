"""The caption recipe that the options describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.captions.recipe import CaptionRecipe, Tagger
from ..core.captions.recipe_file import load_recipe, with_tag_file
from ..core.captions.recipe_values import changed
from ..core.errors import KeepersError
from ..core.weights.store import WeightStore
from ..models.registry import REGISTRY


def recipe_from(name: str, tag_file: Path | None, **options: object) -> CaptionRecipe:
    """A file's recipe, or the default one, with the given options applied. Raises RecipeError, UnknownName."""
    recipe = load_recipe(name) if name else CaptionRecipe()
    values = {key: _value(key, value) for key, value in options.items() if value is not None}
    if values.get("fixed") and "order" not in values:
        values["order"] = "fixed"
    recipe = changed(recipe, values)
    return recipe if tag_file is None else with_tag_file(recipe, tag_file)


def with_default_tagger(recipe: CaptionRecipe, store: WeightStore, *, fall_back: bool) -> CaptionRecipe:
    """The recipe with the first tagger whose weights are here, if it names none.

    Without such a tagger it falls back to prompts, if `fall_back` allows it. Raises KeepersError.
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
