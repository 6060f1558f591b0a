"""Writes captions from predictions, for all doors.

    recipe = CaptionRecipe(threshold=0.4, first=("my_trigger",), exclude=("*_background",))
    caption = write_caption(predictions, generation, recipe, taggers(registry))
    caption.text

`predictions` are those of one image; those of classifiers are ignored. `generation` is anything that has its prompt as
`positive`, or None. `taggers` says which models have tags; without it, every probability outside a group "rating" is a
tag. For many captions, keep one CaptionWriter; write_caption keeps the last few by itself.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import CaptionTooLong
from ..metadata.prompt_text import clean_prompt
from ..prediction import Prediction
from ..spec import ModelSpec
from .plan import RATING, Plans, RecipeTag, ScoredTag, Taggers, TagRules, implications, tags_of_model
from .prompt_tags import prompt_tags
from .recipe import CaptionRecipe
from .template import parse_template
from .text import matcher, normal


class Prompted(Protocol):
    """Anything that has an image's prompt."""

    @property
    def positive(self) -> str:
        """The positive prompt as it was written; empty if unknown."""
        ...


class Tag(NamedTuple):
    """A tag in a caption."""

    name: str
    """The tagger's spelling, or the recipe's new name."""
    score: float
    """Weighted probability in [0, 1]; 1 for a tag from the prompt."""
    category: str = ""


@dataclass(frozen=True)
class Caption:
    """A caption and what it was made from."""

    text: str
    """Empty if nothing was left to say, or if the image lacks a required tag."""
    tags: tuple[Tag, ...] = ()
    """In the order of the caption."""
    rating: str = ""
    """The model's word for it, even if the caption does not contain it."""
    missing: tuple[str, ...] = ()
    """The required patterns for which the image has no tag."""
    notes: tuple[str, ...] = ()
    """What a user should know about this caption."""


class CaptionWriter:
    """Writes captions by one recipe, fast for many images: what depends only on the labels is computed once."""

    def __init__(self, recipe: CaptionRecipe, taggers: Taggers | None = None) -> None:
        self.recipe = recipe
        self._taggers = taggers or {}
        self._rules = TagRules(recipe)
        self._plans = Plans(recipe, self._taggers, self._rules)
        self._implied = implications(recipe)
        self._required = tuple((pattern, matcher((pattern,))) for pattern in recipe.require)
        self._fixed = tuple(matcher((pattern,)) for pattern in recipe.fixed)
        self._ratings = {normal(old): new for old, new in recipe.rating_words}

    def __call__(self, predictions: Iterable[Prediction], generation: Prompted | None = None) -> Caption:
        """The caption of one image. Raises CaptionTooLong."""
        given = list(predictions)
        used = self._used(given)
        prompt = generation.positive if generation is not None else ""
        notes = [f"{p.model} has values that are not numbers" for p in used if np.isnan(p.values).any()]
        found = self._found(used, prompt)
        rating = next((word for word in map(rating_of, given) if word), "")
        missing = tuple(pattern for pattern, fits in self._required if not _any(fits, found))
        if missing:
            return Caption("", (), rating, missing, (*notes, f"lacks the required {', '.join(missing)}"))
        best = self._best(found)
        text, best = self._fit(best, rating, prompt)
        tags = tuple(Tag(each.tag.name, each.score, each.tag.category) for each in self._ordered(best))
        return Caption(text, tags, rating, (), tuple(notes))

    def near(self, prediction: Prediction) -> bool:
        """Whether a prediction is too imprecise to say which tags a caption has: it is then made again, exactly."""
        if not prediction.tolerance or not self._used([prediction]):
            return False
        (plan,) = self._plans.of([prediction])
        return plan.near(prediction, self.recipe.top) or (bool(rating_of(prediction)) and not prediction.sure_word)

    def _used(self, predictions: list[Prediction]) -> list[Prediction]:
        """The predictions of the taggers that the recipe uses."""
        if self.recipe.source == "prompt":
            return []
        if self.recipe.taggers:
            named = {tagger.model for tagger in self.recipe.taggers}
            return [p for p in predictions if p.model in named]
        return [p for p in predictions if not self._taggers or tags_of_model(self._taggers, p.model)]

    def _found(self, used: list[Prediction], prompt: str) -> list[ScoredTag]:
        """All tags of the image, most probable first; repeated tags count once, with their highest probability."""
        found: dict[str, ScoredTag] = {}
        if used:
            for prediction, plan in zip(used, self._plans.of(used), strict=True):
                for tag, score in plan.read(prediction.values):
                    _join(found, tag, score)
        elif self.recipe.source != "tags":
            for tag in (tag for name in prompt_tags(prompt) for tag in self._rules.make(name)):
                _join(found, tag, 1.0)
        ranked = sorted(found.values(), key=lambda each: -each.score)
        return ranked[: self.recipe.top] if self.recipe.top else ranked

    def _best(self, found: list[ScoredTag]) -> list[ScoredTag]:
        """The tags that may appear in the caption, most probable first."""
        kept = [each for each in found if each.tag.kept]
        if self.recipe.implied:
            rank = {each.tag.key: index for index, each in enumerate(kept)}
            dropped: set[str] = set()
            for key in rank:
                implied = (other for other in self._implied(key) if other in rank)
                # If tags imply each other, the most probable one stays.
                dropped.update(o for o in implied if rank[o] > rank[key] or key not in self._implied(o))
            kept = [each for each in kept if each.tag.key not in dropped]
        return kept[: self.recipe.limit] if self.recipe.limit else kept

    def _fit(self, best: list[ScoredTag], rating: str, prompt: str) -> tuple[str, list[ScoredTag]]:
        """The text, within the recipe's length, and the tags in it."""
        recipe = self.recipe
        cleaned = clean_prompt(prompt) if "prompt" in parse_template(recipe.template).fields else ""
        text = self._text(best, rating, cleaned)
        most = recipe.max_characters
        if not most or len(text) <= most or recipe.too_long == "keep":
            return text, best
        low, high = 0, len(best)
        while recipe.too_long == "cut" and low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if len(self._text(best[:middle], rating, cleaned)) <= most else (low, middle)
        fitting = best[: max(low - 1, 0)]
        shorter = self._text(fitting, rating, cleaned)
        if recipe.too_long == "fail" or len(shorter) > most:
            raise CaptionTooLong(len(text) if recipe.too_long == "fail" else len(shorter), most)
        return shorter, fitting

    def _text(self, best: list[ScoredTag], rating: str, prompt: str) -> str:
        recipe = self.recipe
        ordered = self._ordered(best)
        shown = self._ratings.get(normal(rating), rating) if recipe.says_rating else ""
        if recipe.style == "json":
            return _json(recipe, ordered, shown)
        fields = parse_template(recipe.template).fields
        species = [each.tag.text for each in ordered if each.tag.category == "species"] if "species" in fields else []
        tags = [e.tag.text for e in ordered if "species" not in fields or e.tag.category != "species"]
        first, last = recipe.joint.join(recipe.first), recipe.joint.join(recipe.last)
        if recipe.template:
            values = {"trigger": first, "rating": shown, "species": recipe.joint.join(species)}
            values |= {"tags": recipe.joint.join(tags), "last": last, "prompt": prompt}
            body = parse_template(recipe.template).fill(values)
            parts = ["" if "trigger" in fields else first, body, "" if "last" in fields else last]
        else:
            parts = [first, shown, *tags, last]
        text = recipe.joint.join(filter(None, parts))
        return _printable(text + recipe.joint.rstrip() if text and recipe.trailing else text)

    def _ordered(self, best: list[ScoredTag]) -> list[ScoredTag]:
        """The tags in the order of the caption; ties are broken by score."""
        match self.recipe.order:
            case "given":
                return sorted(best, key=lambda each: each.place)
            case "alphabet":
                return sorted(best, key=lambda each: each.tag.key)
            case "category":
                places = {category: index for index, category in enumerate(self.recipe.category_order)}
                return sorted(best, key=lambda e: (places.get(e.tag.category, len(places)), e.tag.category))
            case "fixed":
                return sorted(best, key=self._fixed_place)
            case _:
                return best

    def _fixed_place(self, scored: ScoredTag) -> int:
        return next((i for i, fits in enumerate(self._fixed) if fits(scored.tag.key)), len(self._fixed))


def write_caption(
    predictions: Iterable[Prediction],
    generation: Prompted | None,
    recipe: CaptionRecipe,
    taggers: Taggers | None = None,
) -> Caption:
    """The caption of one image by a recipe; see the top of this file. Raises CaptionTooLong."""
    return writer_for(recipe, taggers or {})(predictions, generation)


def taggers(specs: Iterable[ModelSpec]) -> dict[str, dict[str, float]]:
    """Those of the models and their variants that are taggers, with the thresholds they recommend."""
    return {one.id: dict(one.tags) for spec in specs for one in (spec, *spec.variants) if one.tags}


def rating_of(prediction: Prediction) -> str:
    """The model's word for how explicit the image is; empty if it does not say.

    If several labels are in the group "rating", they are probabilities and the largest wins. A single one is a scalar;
    the word is then the prediction's own `label`.
    """
    members = prediction.labels.members(RATING) if prediction.labels.groups else ()
    values = prediction.values[list(members)]
    if not members or np.isnan(values).any():
        return ""
    return prediction.label if len(members) == 1 else prediction.labels.names[members[int(values.argmax())]]


def writer_for(recipe: CaptionRecipe, taggers: Taggers) -> CaptionWriter:
    """The writer of a recipe; the last few are kept."""
    return _writer(recipe, tuple((model, tuple(groups.items())) for model, groups in taggers.items()))


@lru_cache(maxsize=8)
def _writer(recipe: CaptionRecipe, taggers: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]) -> CaptionWriter:
    return CaptionWriter(recipe, {model: dict(groups) for model, groups in taggers})


def _join(found: dict[str, ScoredTag], tag: RecipeTag, score: float) -> None:
    old = found.get(tag.key)
    if old is None:
        found[tag.key] = ScoredTag(tag, score, len(found))
    elif score > old.score:
        found[tag.key] = ScoredTag(tag, score, old.place)


def _any(fits: Callable[[str], bool], tags: Sequence[ScoredTag]) -> bool:
    return any(fits(each.tag.key) or fits(each.tag.was) for each in tags)


def _json(recipe: CaptionRecipe, ordered: list[ScoredTag], rating: str) -> str:
    content = {
        "first": list(recipe.first),
        "rating": rating,
        "tags": {each.tag.text: round(each.score, 4) for each in ordered},
        "last": list(recipe.last),
    }
    filled = {key: value for key, value in content.items() if value}
    return json.dumps(filled, ensure_ascii=False) if filled else ""


def _printable(text: str) -> str:
    """Text without control characters and lone surrogates, which no caption file can hold."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))
