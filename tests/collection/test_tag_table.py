"""Counting tags."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.collection.tag_table import TagPair, TagTable, tags_of_text
from keepers.core.captions.text import normal


def table(*captions: str) -> TagTable:
    found = TagTable()
    for caption in captions:
        found.add(tags_of_text(caption))
    return found


def test_tags_count_once_an_image_and_in_every_spelling() -> None:
    found = table("long hair, solo, Long_Hair", "Long hair", "long hair, long_hair", "")
    assert [(normal(count.tag), count.images, count.share) for count in found.counts()] == [
        ("long_hair", 3, 0.75),
        ("solo", 1, 0.25),
    ]
    assert (found.images, found.empty, len(found)) == (4, 1, 2)
    assert len(found.counts(1)) == 1


def test_a_tag_is_shown_as_it_is_spelled_most_often() -> None:
    assert table("Long Hair", "long_hair", "long_hair").counts()[0].tag == "long_hair"


def test_ties_are_in_the_order_of_the_alphabet() -> None:
    assert [count.tag for count in table("b, a", "c").counts()] == ["a", "b", "c"]


def test_pairs() -> None:
    found = table("a, b, c", "a, b", "a", "d").pairs()
    assert found[0] == TagPair("a", "b", 2, overlap=2 / 3, lift=8 / 6)
    assert {(pair.first, pair.second) for pair in found} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert table().pairs() == []
    assert table("a").pairs() == []


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=12))
def test_pairs_agree_with_counting_by_hand(captions: list[list[str]]) -> None:
    found = TagTable()
    expected: Counter[frozenset[str]] = Counter()
    for tags in captions:
        found.add(tags)
        expected.update(frozenset(pair) for pair in combinations(set(tags), 2))
    assert {frozenset((pair.first, pair.second)): pair.images for pair in found.pairs(most=100)} == dict(expected)


def test_many_captions_are_counted_in_parts() -> None:
    found = TagTable()
    for index in range(9000):
        found.add(["a", "b"] if index % 3 == 0 else ["a"])
    assert found.pairs()[0].images == 3000


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("a b, c_d", ["a b", "c_d"]),
        ("a, b\nc,", ["a", "b", "c"]),
        ("long_hair solo ^_^", ["long_hair", "solo", "^_^"]),
        ("a girl in the rain", ["a girl in the rain"]),
        ('{"tags": {"a b": 0.9, "c": 0.8}}', ["a b", "c"]),
        ('{"tags": ["a", "b"]}', ["a", "b"]),
        ("{a, b}", ["{a", "b}"]),
        ("\ufeffa, b", ["a", "b"]),
        ("", []),
    ],
)
def test_captions_of_any_style(text: str, tags: list[str]) -> None:
    assert tags_of_text(text) == tags
