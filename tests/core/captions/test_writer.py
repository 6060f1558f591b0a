"""Captions from predictions: what gets in, in which order, and how it is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.core.captions.recipe import CaptionRecipe, Tagger
from keepers.core.captions.recipe_values import recipe_of
from keepers.core.captions.text import STYLES, normal
from keepers.core.captions.writer import CaptionWriter, Prompted, rating_of, taggers, write_caption
from keepers.core.errors import CaptionTooLong
from keepers.core.prediction import LOGIT, PROBABILITY, Labels, Prediction
from keepers.core.spec import ModelSpec
from keepers.models import jtp, wd
from keepers.models.furry import furry

SCORES = {
    "long_hair": ("general", 0.9),
    "solo": ("general", 0.8),
    "^_^": ("general", 0.5),
    "fox_(cute)": ("general", 0.7),
    "wolf": ("species", 0.6),
    "canine": ("species", 0.95),
    "ann": ("character", 0.55),
    "red_background": ("general", 0.45),
    "rare": ("general", 0.1),
    "questionable": ("rating", 0.97),
    "safe": ("rating", 0.02),
}
TAGS = [name for name, (group, value) in SCORES.items() if group != "rating" and value >= 0.35]


@dataclass(frozen=True)
class Prompt:
    positive: str


def prediction(
    scores: dict[str, float], model: str = "tagger", groups: dict[str, str] | None = None, label: str = ""
) -> Prediction:
    found = tuple(groups.get(name, "") for name in scores) if groups else ()
    return Prediction(model, Labels(tuple(scores), found), np.array(list(scores.values()), np.float32), label)


FOX = prediction({n: v for n, (_, v) in SCORES.items()}, groups={n: g for n, (g, _) in SCORES.items()})


def text(recipe: CaptionRecipe, *predictions: Prediction, prompt: Prompted | None = None) -> str:
    return write_caption(predictions or [FOX], prompt, recipe).text


def names(**options: Any) -> list[str]:
    return [tag.name for tag in write_caption([FOX], None, recipe_of(options)).tags]


# --- which tags ------------------------------------------------------------------------------------------------------


def test_the_default_caption() -> None:
    assert text(CaptionRecipe()) == "canine, long hair, solo, fox (cute), wolf, ann, ^_^, red background"


def test_only_and_exclude_know_a_renamed_tag_by_both_names() -> None:
    renamed = {"rename": {"long_hair": "mane"}}
    assert names(only=["long*"], **renamed) == names(only=["mane"], **renamed) == ["mane"]
    assert "mane" not in names(exclude=["long*"], **renamed)
    assert "mane" not in names(exclude=["mane"], **renamed)


def test_fixed_words_are_not_said_twice() -> None:
    recipe = CaptionRecipe(first=("Solo",), last=("canine",), limit=2)
    assert text(recipe) == "Solo, long hair, fox (cute), canine"


def test_a_tag_in_a_circle_does_not_imply_itself_away() -> None:
    circle = {"solo": ["single"], "single": ["solo"]}
    assert "solo" in names(implied=circle)


def test_scores_in_json_have_four_decimals() -> None:
    found = json.loads(text(CaptionRecipe(style="json"), prediction({"solo": 0.123456, "fox": 0.999949}, "t")) or "{}")
    assert found == {"tags": {"fox": 0.9999}}


def test_line_breaks_stay_and_other_control_characters_go() -> None:
    recipe = CaptionRecipe(separator="\n", first=("a\tb\x07",), last=("\ud800c",), only=("solo",))
    assert text(recipe) == "ab\nsolo\nc"


def test_thresholds() -> None:
    assert names(threshold=0.8) == ["canine", "long_hair", "solo"]
    assert names(threshold=0.8, thresholds={"character": 0.5}) == ["canine", "long_hair", "solo", "ann"]
    assert names(threshold=0.8, taggers=[{"model": "tagger", "threshold": 0.94}]) == ["canine"]
    assert "rare" in names(threshold=0.0)
    assert names(threshold=1.0) == []


def test_a_value_at_its_threshold_is_taken() -> None:
    assert (
        text(CaptionRecipe(threshold=0.2), prediction({"a": 0.2, "b": np.nextafter(np.float32(0.2), np.float32(0))}))
        == "a"
    )


def test_models_recommend_thresholds_and_name_their_tags() -> None:
    wise = {"tagger": {"general": 0.75, "character": 0.5}}
    found = write_caption([FOX], None, CaptionRecipe(), wise)
    assert [tag.name for tag in found.tags] == ["long_hair", "solo", "ann"]
    rest = write_caption([FOX], None, CaptionRecipe(), {"tagger": {"": 0.9}})
    assert [tag.name for tag in rest.tags] == ["canine", "long_hair"]


def test_classifiers_have_no_tags() -> None:
    judge = prediction({"bad": 0.99}, model="coherence")
    known = {"tagger": {"": 0.9}}
    assert write_caption([judge, FOX], None, CaptionRecipe(), known).text == "canine, long hair"
    assert write_caption([judge], Prompt("a, b"), CaptionRecipe(), known).text == "a, b"


def test_variants_have_the_tags_of_their_family() -> None:
    mine = prediction({"a": 0.3, "b": 0.1}, model="jtp:mine")
    assert write_caption([mine], None, CaptionRecipe(), {"jtp": {"": 0.2}}).text == "a"
    assert write_caption([mine], None, CaptionRecipe(taggers=(Tagger("jtp:mine"),)), {"jtp": {"": 0.2}}).text == "a"


def test_only_probabilities_outside_the_rating_are_tags() -> None:
    labels = Labels(("a", "b", "c"), ("", "rating", ""), (PROBABILITY, PROBABILITY, LOGIT))
    assert text(CaptionRecipe(), Prediction("m", labels, np.array([0.5, 0.9, 9.0], np.float32))) == "a"


def test_top_takes_the_most_probable_whatever_their_value() -> None:
    assert names(top=2) == ["canine", "long_hair"]
    assert len(names(top=9)) == 9
    assert names(top=9, threshold=0.8) == ["canine", "long_hair", "solo"]


def test_the_limit_counts_what_is_left() -> None:
    assert names(limit=2, exclude="canine") == ["long_hair", "solo"]


def test_exclusion_knows_every_spelling() -> None:
    left = names(exclude="Long Hair, *background\nfox \\(cute\\), ^ ^", exclude_categories=["Species"])
    assert left == ["solo", "ann"]


def test_only_keeps_nothing_else() -> None:
    assert names(only=["*o*"], exclude=["solo"]) == ["long_hair", "fox_(cute)", "wolf", "red_background"]


def test_require_refuses_the_caption() -> None:
    found = write_caption([FOX], None, CaptionRecipe(require=("solo", "duo", "*cat*"), exclude=("solo",)))
    assert (found.text, found.missing) == ("", ("duo", "*cat*"))
    assert "duo, *cat*" in found.notes[0]


def test_rename_joins_and_drops() -> None:
    assert names(rename={"Long hair": "solo", "canine": "", "wolf": "timber wolf"})[:3] == [
        "solo",
        "fox_(cute)",
        "timber wolf",
    ]
    found = write_caption([FOX], None, recipe_of({"rename": {"long_hair": "solo"}}))
    assert {tag.name: tag.score for tag in found.tags}["solo"] == pytest.approx(0.9)


def test_a_tag_may_become_several() -> None:
    assert names(rename={"long_hair": "hair, solo , long_x"}, threshold=0.8) == ["canine", "hair", "solo", "long_x"]
    several = recipe_of({"rename": {"ab_cd": "x y, ef"}, "source": "prompt"})
    assert text(several, prompt=Prompt("ab cd, EF")) == "x y, ef"


def test_exclusion_sees_both_names() -> None:
    assert "boy" not in names(rename={"solo": "boy"}, exclude=["solo"])
    assert "boy" not in names(rename={"solo": "boy"}, exclude=["boy"])


def test_implied_tags_are_dropped_through_chains() -> None:
    table = {"wolf": ["canine", "mammal"], "ann": "wolf"}
    assert set(TAGS) - set(names(implied=table)) == {"wolf", "canine"}
    assert set(TAGS) - set(names(implied=table, exclude=["ann"])) == {"canine", "ann"}


def test_tags_that_imply_each_other_leave_the_most_probable() -> None:
    ring = {"wolf": ["canine"], "canine": ["ann"], "ann": ["wolf"]}
    assert set(TAGS) - set(names(implied=ring)) == {"wolf", "ann"}


def test_nothing_that_is_not_a_number_gets_in() -> None:
    found = write_caption([prediction({"a": np.nan, "b": 0.5})], None, CaptionRecipe(threshold=0.0))
    assert found.text == "b"
    assert found.notes == ("tagger has values that are not numbers",)


# --- several taggers -------------------------------------------------------------------------------------------------


def test_the_union_takes_the_larger_probability_and_any_category() -> None:
    one = prediction({"long hair": 0.5, "Wolf": 0.9, "ann": 0.2}, model="one")
    two = prediction({"wolf": 0.4, "long_hair": 0.8, "ann": 0.6}, "two", {"wolf": "species", "ann": "character"})
    found = write_caption([one, two], None, CaptionRecipe())
    assert [(tag.name, round(tag.score, 2), tag.category) for tag in found.tags] == [
        ("Wolf", 0.9, "species"),
        ("long_hair", 0.8, ""),
        ("ann", 0.6, "character"),
    ]


def test_categories_of_one_tagger_rule_the_thresholds_of_all() -> None:
    one = prediction({"wolf": 0.9}, model="one")
    two = prediction({"wolf": 0.4}, "two", {"wolf": "species"})
    assert text(CaptionRecipe(thresholds=(("species", 0.95),)), one, two) == ""
    assert text(CaptionRecipe(thresholds=(("species", 0.95),), categories=(("wolf", "pet"),)), one, two) == "wolf"


def test_weights_come_before_thresholds() -> None:
    one, two = prediction({"a": 0.9, "b": 0.6}, model="one"), prediction({"a": 0.5, "c": 0.9}, model="two")
    half = CaptionRecipe(taggers=(Tagger("one", weight=0.5), Tagger("two")), threshold=0.4)
    assert [(t.name, round(t.score, 2)) for t in write_caption([one, two], None, half).tags] == [("c", 0.9), ("a", 0.5)]
    more = CaptionRecipe(taggers=(Tagger("one", weight=2.0),))
    assert [tag.score for tag in write_caption([one, two], None, more).tags] == [1.0, 1.0]
    assert text(CaptionRecipe(taggers=(Tagger("one", weight=0.0),), threshold=0.0), one) == ""


# --- order and surroundings ------------------------------------------------------------------------------------------


def test_orders() -> None:
    assert names(order="given") == TAGS
    assert names(order="alphabet") == sorted(TAGS)
    assert names(order="category")[:3] == ["ann", "canine", "wolf"]
    assert names(order="category", category_order=["general"])[-3:] == ["ann", "canine", "wolf"]
    assert names(order="fixed", fixed=["wolf", "^ ^"])[:4] == ["wolf", "^_^", "canine", "long_hair"]
    assert names(order="fixed", fixed=["wolf", "*hair", "s*"])[:4] == ["wolf", "long_hair", "solo", "canine"]


def test_fixed_words_come_first_and_last_and_only_once() -> None:
    found = text(CaptionRecipe(first=("My_Trigger", "solo"), last=("4k", "Long Hair"), limit=1))
    assert found == "My_Trigger, solo, canine, 4k, Long Hair"


def test_ratings() -> None:
    assert text(CaptionRecipe(rating=True, threshold=0.9)) == "questionable, canine, long hair"
    words = recipe_of({"rating_words": {"questionable": "rating:q"}, "template": "{tags} | {rating}", "threshold": 0.9})
    assert text(words) == "canine, long hair | rating:q"
    assert rating_of(FOX) == "questionable"
    scalar = prediction({"fox": 0.9, "rating": 0.5}, groups={"fox": "species", "rating": "rating"}, label="safe")
    assert rating_of(scalar) == "safe"
    assert text(CaptionRecipe(), scalar) == "fox"
    assert rating_of(prediction({"a": np.nan, "b": 0.1}, groups={"a": "rating", "b": "rating"})) == ""


def test_templates() -> None:
    recipe = CaptionRecipe(template="{trigger}, a {species}, {tags}", first=("tok",), threshold=0.6)
    assert text(recipe) == "tok, a canine, wolf, long hair, solo, fox (cute)"
    assert (
        text(CaptionRecipe(template="{prompt}; {tags}", threshold=0.9), prompt=Prompt("(a:1.2), {b}"))
        == "a, b; canine, long hair"
    )
    assert (
        text(CaptionRecipe(template="{tags}", first=("tok",), last=("end",), threshold=0.9))
        == "tok, canine, long hair, end"
    )


def test_the_prompt_is_the_caption_without_a_tagger() -> None:
    prompt = Prompt("masterpiece, (Long Hair:1.2), ab_cd, <lora:x:1>")
    assert write_caption([], prompt, CaptionRecipe(first=("t",), exclude=("master*",))).text == "t, Long Hair, ab cd"
    assert (
        write_caption([FOX], prompt, CaptionRecipe(source="prompt", style="e621")).text
        == "masterpiece, Long_Hair, ab_cd"
    )
    assert write_caption([], prompt, CaptionRecipe(source="tags")).text == ""
    assert write_caption([], None, CaptionRecipe()).text == ""


# --- writing ---------------------------------------------------------------------------------------------------------


def test_styles() -> None:
    high = 0.65
    assert text(CaptionRecipe(threshold=high)) == "canine, long hair, solo, fox (cute)"
    assert text(CaptionRecipe(threshold=high, escape=True)) == "canine, long hair, solo, fox \\(cute\\)"
    assert text(CaptionRecipe(threshold=high, style="e621")) == "canine, long_hair, solo, fox_(cute)"
    assert text(CaptionRecipe(threshold=high, style="spaces")) == "canine long_hair solo fox_(cute)"
    assert (
        text(CaptionRecipe(threshold=high, separator=" | ", trailing=True))
        == "canine | long hair | solo | fox (cute) |"
    )
    assert text(CaptionRecipe(threshold=high, trailing=True)).endswith("fox (cute),")
    assert text(CaptionRecipe(threshold=1.0, trailing=True)) == ""
    assert json.loads(text(CaptionRecipe(threshold=high, style="json", rating=True, first=("t",)))) == {
        "first": ["t"],
        "rating": "questionable",
        "tags": {"canine": 0.95, "long_hair": 0.9, "solo": 0.8, "fox_(cute)": 0.7},
    }


def test_length() -> None:
    assert text(CaptionRecipe(max_characters=20)) == "canine, long hair"
    assert text(CaptionRecipe(max_characters=20, order="alphabet")) == "canine, long hair"
    assert text(CaptionRecipe(max_characters=24, trailing=True)) == "canine, long hair, solo,"
    assert len(text(CaptionRecipe(max_characters=20, too_long="keep"))) > 20
    with pytest.raises(CaptionTooLong, match="allows 20"):
        text(CaptionRecipe(max_characters=20, too_long="fail"))
    with pytest.raises(CaptionTooLong, match="allows 3"):
        text(CaptionRecipe(max_characters=3, first=("trigger",)))


def test_no_control_character_gets_into_a_caption() -> None:
    found = text(CaptionRecipe(first=("a\x1b[31m\ud800",)), prediction({"b\u202ec\n_d\x00": 0.9}))
    assert found == "a[31m, b\u202ec d"
    found.encode("utf-8")


@given(
    scores=st.dictionaries(st.text("abc_ ()^*", min_size=1, max_size=6), st.floats(0, 1, width=32), max_size=12),
    excluded=st.lists(st.text("abc_ ()^*", min_size=1, max_size=4), max_size=4),
    style=st.sampled_from(STYLES),
    limit=st.integers(0, 4),
    order=st.sampled_from(["score", "alphabet", "category", "given"]),
)
def test_whatever_the_tags(scores: dict[str, float], excluded: list[str], style: Any, limit: int, order: Any) -> None:
    recipe = CaptionRecipe(
        exclude=tuple(excluded), style=style, limit=limit, order=order, threshold=0.3, escape=style == "booru"
    )
    found = write_caption([prediction(scores)], None, recipe)
    keys = [normal(tag.name) for tag in found.tags]
    assert len(set(keys)) == len(keys), "no tag comes twice"
    assert not set(keys) & set(map(normal, excluded)) - {"*"}, "what is excluded stays out"
    assert not limit or len(keys) <= limit
    assert all(tag.score >= np.float32(0.3) for tag in found.tags)
    again = CaptionWriter(recipe)
    assert again([prediction(scores)]) == again([prediction(dict(scores))]) == found, "the order is stable"


@given(st.permutations(TAGS))
def test_the_order_of_labels_decides_only_ties(labels: list[str]) -> None:
    shuffled = prediction({name: SCORES[name][1] for name in labels})
    assert text(CaptionRecipe(), shuffled) == text(
        CaptionRecipe(), prediction({name: SCORES[name][1] for name in TAGS})
    )


def test_a_writer_keeps_apart_what_it_has_seen() -> None:
    writer = CaptionWriter(CaptionRecipe())
    for count in range(40):
        assert writer([prediction({f"tag{count}": 0.9})]).text == f"tag{count}"
    assert len(writer._plans._known) <= 8  # pyright: ignore[reportPrivateUsage]  memory stays bounded


@pytest.mark.parametrize("spec", [jtp.SPEC, furry.SPEC, wd.SPEC], ids=lambda spec: spec.id)
def test_taggers_tell_what_their_tags_are(spec: ModelSpec) -> None:
    known = taggers([spec])
    assert set(known) == {spec.id, *(variant.id for variant in spec.variants)}
    for model, groups in known.items():
        assert all(0 < threshold < 1 for threshold in groups.values()), model
        assert "rating" not in groups, model


def test_the_rating_of_furry_is_no_tag_of_it() -> None:
    assert furry.SPEC.labels is not None
    labels = furry.SPEC.labels()
    every = Prediction("furry", labels, np.ones(len(labels), np.float32), "explicit")
    caption = write_caption([every], None, CaptionRecipe(rating=True), taggers([furry.SPEC]))
    assert len(caption.tags) == len(labels) - 1 == 228
    assert caption.text.startswith("explicit, ")
