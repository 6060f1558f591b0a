"""The node Caption: rewrites captions from captions, tags and the prompt."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.captions.recipe import CaptionRecipe
from ..core.captions.recipe_file import load_recipe
from ..core.captions.recipe_values import changed
from ..core.captions.sidecar import parts_of
from ..core.captions.text import unique
from ..core.captions.writer import CaptionWriter
from ..core.captions.writer import taggers as taggers_of
from ..core.errors import KeepersError
from ..core.gates.unjudged import unanswered
from ..core.prediction import Labels, Prediction
from .host.api import CATEGORY, io, named
from .host.parallel import matches
from .judging.inputs import captions_input, one, scores_input, style_input, text_area
from .judging.menus import NONE, recipe_path, recipes, taggers
from .judging.scores import Scored, Scores, joined, usable

_WORDS = "captions"
"""The name of a wired caption's tags, in the place of a model id."""


@dataclass(frozen=True)
class _Prompt:
    positive: str


class KeepersCaption(io.ComfyNode):
    """Captions by a recipe or a template."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="KeepersCaption",
            display_name="Caption (Keepers)",
            category=CATEGORY,
            description="Writes captions from tags, captions and the prompt, by a template or a recipe.",
            is_input_list=True,
            inputs=[
                captions_input("Captions to rewrite, one for every image."),
                scores_input("From Tag: the tags with their scores, used instead of captions."),
                text_area(
                    "prompt",
                    "the prompt, for {prompt}",
                    "The prompt of the images, for {prompt} in the template; weights and LoRAs are taken out. "
                    "Without captions and scores its parts are the tags.",
                ),
                io.String.Input(
                    "template",
                    default="{trigger}, {tags}",
                    tooltip="{trigger} {rating} {species} {tags} {last} {prompt}. Empty: all in a row.",
                ),
                io.String.Input("trigger", default="", tooltip="Words for {trigger}."),
                io.String.Input("last", default="", tooltip="Words for {last}."),
                style_input(),
                io.Combo.Input(
                    "recipe",
                    options=[NONE, *recipes()],
                    default=NONE,
                    tooltip="A recipe from a .toml file in models/keepers. It sets its own style; the template and "
                    "words above override it where they are filled in.",
                ),
            ],
            outputs=named(
                io.String.Output("written", display_name="captions", is_output_list=True, tooltip="The captions.")
            ),
        )

    @classmethod
    def validate_inputs(cls, template: Any = (None,), recipe: Any = (NONE,)) -> bool | str:
        """Refuse a wrong template or an unknown recipe before anything is generated."""
        try:
            _recipe(one(recipe) or NONE, {"template": one(template) or ""})
        except KeepersError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        prompt: list[str],
        template: list[str],
        trigger: list[str],
        last: list[str],
        style: list[str],
        recipe: list[str],
        captions: list[str] | None = None,
        scores: list[Scores] | None = None,
    ) -> io.NodeOutput:
        """One caption for every image that came in as a caption, a score or its own prompt."""
        given = {"template": one(template), "first": one(trigger), "last": one(last)}
        filled = {name: value for name, value in given.items() if value}
        if one(recipe) == NONE:
            filled["style"] = one(style)
        chosen = _recipe(one(recipe), filled)
        known = taggers_of(taggers())
        tags = _tags(scores, captions, known)
        count = len(tags) if tags else len(prompt)
        if tags:
            matches("prompts", len(prompt), count)
        writer = CaptionWriter(chosen, known | {_WORDS: {"": 0.0}})
        both = zip(tags or [[]] * count, prompt * count if len(prompt) == 1 else prompt, strict=True)
        return io.NodeOutput(["" if found is None else writer(found, _Prompt(words)).text for found, words in both])


def _recipe(name: str, given: dict[str, Any]) -> CaptionRecipe:
    base = CaptionRecipe(order="given")
    if name != NONE:
        path = recipe_path(name)
        if path is None:
            raise KeepersError(f"There is no recipe {name!r} in the model folder. There are: {', '.join(recipes())}")
        _, mark, part = name.partition("#")
        base = load_recipe(f"{path}{mark}{part}")
    return changed(base, given)


def _tags(
    scores: list[Scores] | None, captions: list[str] | None, known: Container[str]
) -> Sequence[Sequence[Prediction] | None]:
    """For every image, the taggers' answers, or the parts of its caption in order.

    None for an image that its tagger could not tag: it gets no caption, as in Tag.
    """
    if scores:
        return [_answers(each, known) for each in joined(scores).images]
    return [[_as_tags(caption)] for caption in captions or ()]


def _answers(scored: Scored, taggers: Container[str]) -> Sequence[Prediction] | None:
    given = usable(scored)
    failed = scored.flaw or any(unanswered(answer) for model, answer in scored.answers.items() if model in taggers)
    return None if failed and not any(answer.model in taggers for answer in given) else given


def _as_tags(caption: str) -> Prediction:
    names = unique(parts_of(caption, CaptionRecipe()))
    return Prediction(_WORDS, Labels(names), np.ones(len(names), dtype=np.float32))
