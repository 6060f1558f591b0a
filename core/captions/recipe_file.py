"""Reads files of caption recipes: TOML, or JSON of the same shape, with one table per recipe.

[lora]
taggers = ["jtp", { model = "wd", weight = 0.8 }]
first = ["my_trigger"]
exclude = ["*_background", "signature"]
tag_file = "tags.csv"            # optional: columns tag, category, implications

[lora.thresholds]
character = 0.85
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..errors import RecipeError, UnknownName, one_line
from ..toml import HOW, NoToml, parse_toml
from .recipe import CaptionRecipe
from .recipe_values import OPTIONS, recipe_of

_LARGEST = 64 * 1024 * 1024
_TAG_FILE = "tag_file"
CATEGORY_NUMBERS = {
    "0": "general",
    "1": "artist",
    "3": "copyright",
    "4": "character",
    "5": "species",
    "6": "invalid",
    "7": "meta",
    "8": "lore",
    "9": "rating",
}
"""e621's numbers for categories; the boorus' 0 to 4 mean the same."""


def load_recipe(name: str) -> CaptionRecipe:
    """The recipe "file.toml#name", or without a name the only one in the file. Raises RecipeError, UnknownName."""
    path, wanted = _split(name)
    content = _read(path)
    tables = _tables(content)
    if not wanted and len(tables) != len(content):
        return _recipe(content, path, one_line(str(path)))
    if not wanted and len(tables) != 1:
        raise RecipeError(f"{one_line(str(path))} holds {len(tables)} recipes; add #NAME of one: {', '.join(tables)}")
    if wanted and wanted not in tables:
        raise UnknownName("recipe", wanted, tables, where=one_line(str(path)))
    wanted = wanted or next(iter(tables))
    return _recipe(tables[wanted], path, f"{one_line(str(path))}#{wanted}")


def recipe_names(path: Path) -> tuple[str, ...]:
    """The names of the recipes in a file, for the hosts' menus. Raises RecipeError."""
    return tuple(_tables(_read(path)))


def _tables(content: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    return {
        key: cast("Mapping[str, object]", value)
        for key, value in content.items()
        if isinstance(value, Mapping) and key not in OPTIONS
    }


def _split(name: str) -> tuple[Path, str]:
    path = Path(name).expanduser()
    if "#" not in name or path.is_file():
        return path, ""
    file, _, wanted = name.rpartition("#")
    return Path(file).expanduser(), wanted


def _recipe(values: Mapping[str, object], path: Path, where: str) -> CaptionRecipe:
    recipe = recipe_of({key: value for key, value in values.items() if key != _TAG_FILE}, where)
    if _TAG_FILE not in values:
        return recipe
    listed = values[_TAG_FILE]
    if not isinstance(listed, str):
        raise RecipeError(f"{where}: {_TAG_FILE} is {listed!r}; it must be the path of a CSV file.")
    return with_tag_file(recipe, path.parent / Path(listed).expanduser())


def with_tag_file(recipe: CaptionRecipe, path: Path) -> CaptionRecipe:
    """The recipe with the categories and implications of a CSV file; the recipe's own entries override them.

    Columns: "tag" (or "name"), and at least one of "category" and "implications", separated by blanks or commas.
    Raises RecipeError.
    """
    rows = list(csv.DictReader(_text(path).splitlines()))
    columns = set(rows[0]) if rows else set[str]()
    tag = next((name for name in ("tag", "name") if name in columns), "")
    if not tag or not columns & {"category", "implications"}:
        raise RecipeError(
            f"{one_line(str(path))} needs the columns tag and category or implications in its first line."
        )
    categories, implied = dict[str, str](), dict[str, tuple[str, ...]]()
    for row in rows:
        if category := (row.get("category") or "").strip():
            categories[row[tag]] = CATEGORY_NUMBERS.get(category, category)
        if others := tuple((row.get("implications") or "").replace(",", " ").split()):
            implied[row[tag]] = others
    return replace(
        recipe,
        categories=tuple((categories | dict(recipe.categories)).items()),
        implied=tuple((implied | dict(recipe.implied)).items()),
    )


def _read(path: Path) -> Mapping[str, object]:
    text = _text(path)
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else parse_toml(text)
    except NoToml as error:
        raise RecipeError(f"{one_line(str(path))} {HOW}, or write the same recipe as a .json file.") from error
    except (ValueError, RecursionError) as error:  # the errors of both formats are ValueErrors
        raise RecipeError(f"{one_line(str(path))} cannot be read: {one_line(str(error))}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{one_line(str(path))} must be a table of recipes.")
    return cast("dict[str, object]", content)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise RecipeError(f"{one_line(str(path))} is larger than {_LARGEST >> 20} MiB; that is no recipe.")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{one_line(str(path))} is not UTF-8 text.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecipeError(f"{one_line(str(path))} cannot be read: {reason}") from error
