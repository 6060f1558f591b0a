"""Builds recipes from plain values, as TOML, JSON or a host's fields provide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, replace
from typing import Any, cast, get_args

from ..errors import RecipeError, UnknownName
from .recipe import CaptionRecipe, Empty, Existing, Order, Source, Tagger, TooLong
from .text import STYLES, split_list

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "source": get_args(Source),
    "order": get_args(Order),
    "style": STYLES,
    "too_long": get_args(TooLong),
    "empty": get_args(Empty),
    "existing": get_args(Existing),
}
_LISTS = ("only", "exclude", "exclude_categories", "require", "fixed", "category_order", "first", "last")
_TABLES = ("rename", "rating_words", "categories")
OPTIONS = tuple(option.name for option in fields(CaptionRecipe))
"""The names of all options."""


def recipe_of(values: Mapping[str, object], where: str = "") -> CaptionRecipe:
    """A recipe with the options in `values`; all others keep their defaults.

    A list may be a string separated by commas or lines; a table maps strings. `where` names the source in errors.
    Raises RecipeError for a value of the wrong kind or range, UnknownName for an option or choice that does not exist.
    """
    return changed(CaptionRecipe(), values, where)


def changed(recipe: CaptionRecipe, values: Mapping[str, object], where: str = "") -> CaptionRecipe:
    """The recipe with the options in `values` in place of its own; otherwise like `recipe_of`."""
    place = where or "the recipe"
    known = {option.name: option for option in fields(CaptionRecipe)}
    for name in values:
        if name not in known:
            raise UnknownName("recipe option", name, known, where=place)
    read: dict[str, Any] = {name: _value(known[name], value, place) for name, value in values.items()}
    try:
        return replace(recipe, **read)
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}" if where else str(error)) from None


def _value(option: Field[Any], value: object, place: str) -> object:
    name = option.name
    if name in _CHOICES:
        return _choice(name, value, place)
    if name in _LISTS:
        return _list(name, value, place)
    if name in _TABLES:
        return tuple((key, _text(name, each, place)) for key, each in _table(name, value, place).items())
    if name == "taggers":
        return tuple(_tagger(each, place) for each in (split_list(value) if isinstance(value, str) else _all(value)))
    if name == "thresholds":
        return tuple((key, _number(name, each, place)) for key, each in _table(name, value, place).items())
    if name == "implied":
        return tuple((key, _list(name, each, place)) for key, each in _table(name, value, place).items())
    if name == "threshold":
        return None if value is None else _number(name, value, place)
    if name == "separator" and value is None:
        return None
    return _plain(option, value, place)


def _plain(option: Field[Any], value: object, place: str) -> object:
    if isinstance(option.default, bool):
        right, wanted = isinstance(value, bool), "true or false"
    elif isinstance(option.default, int):
        right, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        right, wanted = isinstance(value, str), "a string"
    if not right:
        raise _wrong(option.name, value, wanted, place)
    return value


def _choice(name: str, value: object, place: str) -> str:
    if value not in _CHOICES[name]:
        raise UnknownName(f"{name} called", str(value), _CHOICES[name], where=f"{place} (known: {_known(name)})")
    return cast(str, value)


def _known(name: str) -> str:
    return ", ".join(_CHOICES[name])


def _list(name: str, value: object, place: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return split_list(value)
    return tuple(_text(name, each, place) for each in _all(value, name, place))


def _tagger(value: object, place: str) -> Tagger:
    if isinstance(value, str):
        return Tagger(value)
    table = _table("taggers", value, place)
    known = ("model", "weight", "threshold")
    for key in table:
        if key not in known:
            raise UnknownName("tagger option", key, known, where=place)
    threshold = table.get("threshold")
    return Tagger(
        _text("model", table.get("model", ""), place),
        _number("weight", table.get("weight", 1.0), place),
        None if threshold is None else _number("threshold", threshold, place),
    )


def _all(value: object, name: str = "taggers", place: str = "the recipe") -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(name, value, "a list", place)
    return cast("Sequence[object]", value)


def _table(name: str, value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a table", place)
    return cast("Mapping[str, object]", value)


def _text(name: str, value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "a string", place)
    return value


def _number(name: str, value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(name, value, "a number", place)
    return float(value)


def _wrong(name: str, value: object, wanted: str, place: str) -> RecipeError:
    return RecipeError(f"{place}: {name} is {value!r}; it must be {wanted}.")
