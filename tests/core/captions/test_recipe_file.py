"""Recipes from options and files, and how impossible ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepers.core.captions.recipe import IMAGE_ENDINGS, CaptionRecipe, Tagger
from keepers.core.captions.recipe_file import load_recipe, recipe_names
from keepers.core.captions.recipe_values import recipe_of
from keepers.core.errors import RecipeError, UnknownName
from keepers.core.pictures.open import SUFFIXES

EXAMPLES = Path(__file__).parents[3] / "examples" / "captions.toml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"threshold": float("nan")}, "between 0 and 1"),
        ({"thresholds": {"species": -0.1}}, "species.*between 0 and 1"),
        ({"taggers": [{"model": "jtp", "threshold": 2}]}, "jtp.*between 0 and 1"),
        ({"taggers": [{"model": "jtp", "weight": -1}]}, "weight of jtp"),
        ({"taggers": [{"weight": 1.0}]}, "no model"),
        ({"taggers": ["jtp", "jtp"]}, "twice"),
        ({"taggers": 3}, "a list"),
        ({"top": -1}, "top is -1"),
        ({"limit": True}, "whole number"),
        ({"rating": "yes"}, "true or false"),
        ({"threshold": "0.3"}, "a number"),
        ({"first": [1]}, "a string"),
        ({"rename": ["a"]}, "a table"),
        ({"rename": {"a": 1}}, "a string"),
        ({"rename": {"a b": "c", "A_b": "d"}}, "twice"),
        ({"order": "fixed"}, "needs the option fixed"),
        ({"separator": ""}, "separator"),
        ({"separator": "\0"}, "separator"),
        ({"rating": True, "template": "{tags}"}, "no {rating}"),
        ({"style": "json", "template": "{tags}"}, "does not go with"),
        ({"style": "json", "existing": "merge"}, "json"),
        ({"extension": "txt"}, "must look like"),
        ({"extension": "./../x.txt"}, "must look like"),
        ({"extension": "."}, "must look like"),
        ({"extension": ".PNG"}, "that of an image"),
        ({"extension": ".caption.webp"}, "that of an image"),
    ],
)
def test_impossible_recipes_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_of(options)


@pytest.mark.parametrize(
    ("options", "close"),
    [({"treshold": 0.3}, "threshold"), ({"style": "boru"}, "booru"), ({"taggers": [{"modle": "a"}]}, "model")],
)
def test_unknown_names_offer_close_ones(options: dict[str, object], close: str) -> None:
    with pytest.raises(UnknownName) as caught:
        recipe_of(options)
    assert close in caught.value.close


def test_no_image_can_be_replaced_by_a_caption() -> None:
    assert SUFFIXES <= IMAGE_ENDINGS


FILE = """
[lora]
taggers = ["jtp", { model = "wd", weight = 0.8, threshold = 0.4 }]
threshold = 0.3
first = "my trigger, second"
tag_file = "tags.csv"
[lora.thresholds]
character = 0.85
[lora.rename]
"long hair" = "hair, long"
[plain]
style = "e621"
"""


def test_recipe_files(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("tag,category,implications\nwolf,5,canine mammal\nann,character,\n", "utf-8")
    file = tmp_path / "a#b.toml"
    file.write_text("\ufeff" + FILE, "utf-8")
    recipe = load_recipe(f"{file}#lora")
    assert recipe.taggers == (Tagger("jtp"), Tagger("wd", 0.8, 0.4))
    assert recipe.first == ("my trigger", "second")
    assert recipe.thresholds == (("character", 0.85),)
    assert dict(recipe.categories) == {"wolf": "species", "ann": "character"}
    assert recipe.implied == (("wolf", ("canine", "mammal")),)
    assert recipe.rename == (("long hair", "hair, long"),)
    assert recipe_names(file) == ("lora", "plain")
    with pytest.raises(RecipeError, match="2 recipes; add #NAME"):
        load_recipe(str(file))
    with pytest.raises(UnknownName, match="'lora'"):
        load_recipe(f"{file}#lara")


def test_a_file_may_be_one_recipe_or_json(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("limit = 3\n[thresholds]\nspecies = 0.5\n", "utf-8")
    assert load_recipe(str(tmp_path / "one.toml")) == CaptionRecipe(limit=3, thresholds=(("species", 0.5),))
    (tmp_path / "one.json").write_text(json.dumps({"only": {"limit": 4}, "b": {"limit": 5}}), "utf-8")
    assert load_recipe(str(tmp_path / "one.json") + "#b") == CaptionRecipe(limit=5)
    (tmp_path / "single.json").write_text(json.dumps({"x": {"limit": 6}}), "utf-8")
    assert load_recipe(str(tmp_path / "single.json")) == CaptionRecipe(limit=6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"limit = ", "a.toml cannot be read"),
        ("a.json", b"[1]", "must be a table"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.toml", b"first = '\xff'", "not UTF-8"),
        ("a.toml", b"[x]\nlimit = 'many'", "a.toml#x: limit is 'many'"),
        ("a.toml", b"[x]\nthreshold = 7", "a.toml#x: The threshold is 7"),
        ("a.toml", b"[x]\ntag_file = 'no.csv'", "no.csv cannot be read"),
        ("a.toml", b"[x]\ntag_file = 'a.toml'", "needs the columns"),
        ("a.toml", b"", "0 recipes"),
    ],
)
def test_bad_recipe_files_say_what_is_wrong(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(tmp_path / name))


def test_a_missing_recipe_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "no.toml#x"))


def test_toml_needs_no_newer_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "a.toml").write_text("limit = 3", "utf-8")
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", None)
    assert load_recipe(str(tmp_path / "a.toml")).limit == 3
    monkeypatch.setitem(sys.modules, "pip._vendor.tomli", None)
    with pytest.raises(RecipeError, match=r"tomli.*\.json"):
        load_recipe(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("name", recipe_names(EXAMPLES))
def test_the_example_recipes_are_sound(name: str) -> None:
    assert load_recipe(f"{EXAMPLES}#{name}") != CaptionRecipe()
