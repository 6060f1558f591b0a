"""Applies a recipe to a tagger's labels, once for each list of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..prediction import Floats, Labels, Prediction
from .recipe import CaptionRecipe
from .text import matcher, normal, spell, split_list

Taggers = Mapping[str, Mapping[str, float]]
"""ModelSpec.tags by model id: the groups of labels that are tags, with their recommended thresholds."""


def tags_of_model(taggers: Taggers, model: str) -> Mapping[str, float] | None:
    """What is known about a model's tags, or None; a variant such as "jtp:mine" falls back to "jtp"."""
    return taggers.get(model) or taggers.get(model.partition(":")[0])


RATING = "rating"
"""The group of labels that say how explicit an image is; they are never tags."""

USUAL_THRESHOLD = 0.35
"""For taggers whose card recommends none."""


class RecipeTag(NamedTuple):
    """A tag as the recipe sees it."""

    key: str
    """Normal form after renaming."""
    was: str
    """Normal form of the tagger's own spelling."""
    name: str
    category: str
    kept: bool
    """Whether it may appear in a caption."""
    text: str
    """As the caption spells it."""


class ScoredTag(NamedTuple):
    """A tag of one image."""

    tag: RecipeTag
    score: float
    """Weighted, in [0, 1]."""
    place: int
    """Its position in the order of the labels or of the prompt."""


class TagRules:
    """Applies the recipe to names of tags: renames them, finds their category, keeps or drops them, spells them."""

    def __init__(self, recipe: CaptionRecipe) -> None:
        self._recipe = recipe
        self._rename = {normal(old): new for old, new in recipe.rename}
        self._categories = {normal(tag): category for tag, category in recipe.categories}
        self._excluded, self._only = matcher(recipe.exclude), matcher(recipe.only)
        self._closed = frozenset(category.casefold() for category in recipe.exclude_categories)
        self._fixed = frozenset(map(normal, recipe.first + recipe.last))

    def category(self, key: str, group: str = "") -> str:
        """The category of a tag: the one in the recipe's table, else `group`."""
        return self._categories.get(key, group) if self._categories else group

    def make(self, name: str, group: str = "") -> tuple[RecipeTag, ...]:
        """What the recipe makes of a tag spelled `name`, of a tagger's group: one, unless it is renamed to several."""
        was = normal(name)
        new = self._rename.get(was)
        parts = (name,) if new is None else split_list(new) or ("",)
        return tuple(self._tag(part, was, group) for part in parts)

    def _tag(self, name: str, was: str, group: str) -> RecipeTag:
        key = normal(name)
        category = self.category(key, self.category(was, group))
        return RecipeTag(key or was, was, name, category, self._kept(key, was, category), self._text(name))

    def _kept(self, key: str, was: str, category: str) -> bool:
        if not key or key in self._fixed or category.casefold() in self._closed:
            return False
        if self._recipe.only and not (self._only(key) or self._only(was)):
            return False
        return not (self._excluded(key) or self._excluded(was))

    def _text(self, name: str) -> str:
        if self._recipe.style == "json":
            return name
        return spell(name, self._recipe.style, self._recipe.escape)


class LabelPlan:
    """The thresholds of one tagger's labels, and the tags that the recipe makes of them."""

    def __init__(
        self, recipe: CaptionRecipe, rules: TagRules, model: str, labels: Labels, groups: Mapping[str, str]
    ) -> None:
        """`groups` holds the categories that other taggers know, by the tag's normal form."""
        tagger = next((t for t in recipe.taggers if t.model == model), None)
        self.labels = labels
        self._rules, self._made = rules, dict[int, tuple[RecipeTag, ...]]()
        self._groups = _groups(labels, rules, groups, bool(recipe.categories))
        self._weight = np.float32(1.0 if tagger is None else tagger.weight)
        self._most = recipe.top + len(recipe.rename) if recipe.top else 0
        self._own = recipe.threshold if tagger is None or tagger.threshold is None else tagger.threshold
        if self._own is None and recipe.top:
            self._own = 0.0
        self._by_category = dict(recipe.thresholds)
        self._thresholds = np.full(len(labels), np.inf, dtype=np.float32)

    def recommend(self, recommended: Mapping[str, float] | None) -> LabelPlan:
        """Sets the thresholds; `recommended` is the model's entry in Taggers, or None."""
        for index in range(len(self.labels)):
            group = self.labels.group(index)
            usual = _usual(group, recommended)
            if usual is not None and self.labels.range(index).unit == "probability" and self._weight > 0:
                chosen = self._by_category.get(self._groups[index], self._own)
                self._thresholds[index] = np.float32(usual if chosen is None else chosen) / self._weight
        return self

    def read(self, values: Floats) -> Iterable[tuple[RecipeTag, float]]:
        """The tags that reach their thresholds, in label order, with their weighted probabilities."""
        hits = np.flatnonzero(values >= self._thresholds)
        scores = np.minimum(values[hits] * self._weight, np.float32(1.0))
        if self._most and len(hits) > self._most:
            best = np.sort(np.argsort(-scores, kind="stable")[: self._most])
            hits, scores = hits[best], scores[best]
        found = zip(hits.tolist(), scores.tolist(), strict=True)
        return [(tag, score) for index, score in found for tag in self._tags_of(index)]

    def near(self, prediction: Prediction, top: int) -> bool:
        """Whether exact values could have other tags above their thresholds, or among the `top` most probable ones."""
        drifts = prediction.tolerance * self._drifts
        # A threshold of 0 takes every tag, whatever its value.
        close = np.abs(prediction.values - self._thresholds) <= drifts
        if (close & (self._thresholds > 0)).any():
            return True
        reached = prediction.values >= self._thresholds
        ranked = np.sort(prediction.values[reached] * self._weight)[::-1]
        widest = float((drifts[reached] * self._weight).max(initial=0.0))
        return bool(top and len(ranked) > top and ranked[top - 1] - ranked[top] <= 2 * widest)

    @cached_property
    def _drifts(self) -> Floats:
        """[labels], in the unit of each."""
        return np.array([self.labels.drift(index) for index in range(len(self.labels))], dtype=np.float32)

    def _tags_of(self, index: int) -> tuple[RecipeTag, ...]:
        found = self._made.get(index)
        if found is None:
            found = self._made[index] = self._rules.make(self.labels.names[index], self._groups[index])
        return found


class Plans:
    """The plans of a recipe, made when first needed; the last few are kept."""

    def __init__(self, recipe: CaptionRecipe, taggers: Taggers, rules: TagRules) -> None:
        self._recipe, self._taggers, self._rules = recipe, taggers, rules
        self._known: list[tuple[tuple[str, ...], tuple[Labels, ...], list[LabelPlan]]] = []

    def of(self, predictions: list[Prediction]) -> list[LabelPlan]:
        """One plan for each prediction."""
        models = tuple(prediction.model for prediction in predictions)
        labels = tuple(prediction.labels for prediction in predictions)
        for known, those, plans in self._known:
            if known == models and all(a is b or a == b for a, b in zip(those, labels, strict=True)):
                return plans
        self._known = [(models, labels, self._make(predictions)), *self._known[:7]]
        return self._known[0][2]

    def _make(self, predictions: list[Prediction]) -> list[LabelPlan]:
        groups: dict[str, str] = {}
        if len(predictions) > 1:
            for prediction in predictions:
                for name, group in zip(prediction.labels.names, prediction.labels.groups, strict=False):
                    if group and group != RATING:
                        groups.setdefault(normal(name), group)
        return [
            LabelPlan(self._recipe, self._rules, p.model, p.labels, groups).recommend(
                tags_of_model(self._taggers, p.model)
            )
            for p in predictions
        ]


def _groups(labels: Labels, rules: TagRules, others: Mapping[str, str], table: bool) -> list[str]:
    own = list(labels.groups) or [""] * len(labels)
    if not others and not table:
        return own
    keys = map(normal, labels.names)
    return [rules.category(key, group or others.get(key, "")) for key, group in zip(keys, own, strict=True)]


def _usual(group: str, recommended: Mapping[str, float] | None) -> float | None:
    """The usual threshold of a group; None if its labels are not tags."""
    if recommended is None:
        return None if group == RATING else USUAL_THRESHOLD
    return recommended.get(group, None if group == RATING else recommended.get(""))


def implications(recipe: CaptionRecipe) -> Callable[[str], frozenset[str]]:
    """A function from a tag to all that it implies, through chains of any length and circles, in normal form."""
    table = {normal(tag): tuple(map(normal, implied)) for tag, implied in recipe.implied}
    found: dict[str, frozenset[str]] = {}

    def closure(tag: str) -> frozenset[str]:
        if tag not in table:
            return frozenset()
        if tag not in found:
            seen, waiting = set[str](), list(table[tag])
            while waiting:
                each = waiting.pop()
                if each not in seen:
                    seen.add(each)
                    waiting += table.get(each, ())
            found[tag] = frozenset(seen - {tag})
        return found[tag]

    return closure
