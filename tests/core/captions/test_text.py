"""Normal form, spelling, patterns and templates of captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import keepers
from keepers.core.captions.template import parse_template
from keepers.core.captions.text import STYLES, escape, is_kaomoji, matcher, normal, spell, split_list, unescape, unique
from keepers.core.errors import RecipeError, UnknownName

TAGS = Path(keepers.__file__).parent / "models" / "labels" / "jtp_tags.json"
anything = st.text(max_size=40)
tag_text = st.text(alphabet="abcXYZ_ ()\\^:*'-/é", max_size=20)


@given(anything | tag_text)
@example("\\\\\\(a\\)")
@example("___")
@example("İ_ß")
def test_normal_form_is_idempotent(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(anything | tag_text)
def test_escaping_is_undone(text: str) -> None:
    assert unescape(escape(text)) == text


@given(tag_text, st.sampled_from(STYLES), st.booleans())
def test_every_spelling_of_a_tag_is_the_same_tag(tag: str, style: str, escaped: bool) -> None:
    assert normal(spell(tag, style, escaped)) == normal(tag)  # pyright: ignore[reportArgumentType]  drawn from STYLES


@pytest.mark.parametrize(
    ("one", "other"),
    [("long hair", "long_hair"), (" Long_Hair ", "long_hair"), ("fox \\(cute\\)", "fox_(cute)"), ("^ ^", "^_^")],
)
def test_the_same_tag_in_other_words(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    "face",
    [
        "^_^",
        ">_<",
        "o_o",
        "0_0",
        "(o)_(o)",
        "+_-",
        "._.",
        "<o>_<o>",
        "<|>_<|>",
        "=_=",
        "6_9",
        "|_|",
        "||_||",
        "@_@",
        "O_o",
        ">_o",
    ],
)
def test_kaomoji_keep_their_underscore_in_every_style(face: str) -> None:
    assert is_kaomoji(face)
    assert [spell(face, style) for style in STYLES] == [face] * len(STYLES)


@pytest.mark.parametrize(
    "tag", ["long_hair", "a_(letter)", "male/female", ":3", "x", "", "_", "d_and_d", "no_1up", "x y", "a_b"]
)
def test_words_are_no_kaomoji(tag: str) -> None:
    assert not is_kaomoji(tag)


def test_of_the_published_tags_only_faces_are_kaomoji() -> None:
    tags = json.loads(TAGS.read_text("utf-8"))
    assert {tag for tag in tags if is_kaomoji(tag)} == {">_<", "^_^", "o_o"}
    assert len({normal(tag) for tag in tags}) == len(tags) == 9083


def test_styles() -> None:
    assert spell("fox_(cute)", "booru") == "fox (cute)"
    assert spell("fox_(cute)", "booru", escaped=True) == "fox \\(cute\\)"
    assert spell("fox (cute)", "e621") == "fox_(cute)"
    assert spell("long hair", "spaces") == "long_hair"


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("long hair", ["long_hair"], ["long_hair2", "very_long_hair"]),
        ("*_hair", ["long_hair", "_hair"], ["hair", "long_hairs"]),
        ("a*b*c", ["abc", "axxbyyc", "abbc"], ["ab", "acb"]),
        ("*", ["", "anything"], []),
        ("slime (substance)", ["slime_(substance)"], ["slime_substance"]),
        ("[abc]", ["[abc]"], ["a"]),
        ("a?", ["a?"], ["ab"]),
        ("*_*", ["*_*"], ["long_hair"]),
        ("5\\*", ["5*"], ["5x"]),
        ("aa*aa", ["aaaa", "aaxaa"], ["aaa"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], does_not: list[str]) -> None:
    test = matcher((pattern,))
    assert all(map(test, fits))
    assert not any(map(test, does_not))


def test_a_hostile_pattern_is_quick() -> None:
    assert not matcher(("a*" * 60 + "b",))("a" * 5000)


@given(st.lists(tag_text, max_size=8))
def test_unique_keeps_the_first_of_each(tags: list[str]) -> None:
    kept = unique(tags)
    assert len({normal(tag) for tag in kept}) == len(kept)
    assert {normal(tag) for tag in kept} == {normal(tag) for tag in tags} - {""}


def test_lists_are_parted_by_commas_and_lines() -> None:
    assert split_list(" a b, c,,\n d \r\n") == ("a b", "c", "d")


def fill(template: str, **values: str) -> str:
    every = {"trigger": "", "rating": "", "species": "", "tags": "", "last": "", "prompt": ""}
    return parse_template(template).fill({**every, **values})


def test_templates_put_values_in_as_they_are() -> None:
    text = fill("{trigger}, a {species}: {tags}", trigger="{tags}", species="fox  {0}", tags="%s, {prompt}")
    assert text == "{tags}, a fox  {0}: %s, {prompt}"


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{trigger}, {species}, {tags}", {"tags": "a"}, "a"),
        ("{trigger}, {species}, {tags}", {"trigger": "t", "tags": "a"}, "t, a"),
        ("{trigger}, {species}, {tags}", {"trigger": "t"}, "t"),
        ("{tags}, {last}", {}, ""),
        ("a drawing of {species}, {tags}", {"tags": "a"}, "a"),
        ("a drawing of {species}. {tags}", {"tags": "a", "species": "fox"}, "a drawing of fox. a"),
        ("a {species} in {tags}", {"tags": "a"}, "a in a"),
        ("photo, {tags}", {}, "photo"),
        ("{{x}}, {tags}", {"tags": "a"}, "{x}, a"),
        ("{ tags }\n{prompt}", {"tags": "a", "prompt": "b"}, "a\nb"),
    ],
)
def test_empty_fields_vanish_with_what_is_said_of_them(template: str, values: dict[str, str], text: str) -> None:
    assert fill(template, **values) == text


def test_unknown_fields_name_close_ones() -> None:
    with pytest.raises(UnknownName, match=r"'tagz'.*'tags'"):
        parse_template("{tagz}")


@pytest.mark.parametrize("template", ["{", "a } b", "{{tags}"])
def test_lone_braces_are_refused(template: str) -> None:
    with pytest.raises(RecipeError, match="brace"):
        parse_template(template)


@pytest.mark.parametrize("template", ["{tags!r}", "{tags.__class__}", "{0}", "{}", "{tags[0]}", "{tags:>5}"])
def test_templates_are_no_format_strings(template: str) -> None:
    with pytest.raises(UnknownName):
        parse_template(template)
