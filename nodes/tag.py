"""The node Tag: writes captions from the tags that a tagger finds in images."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..core.captions.recipe import CaptionRecipe, Order
from ..core.captions.recipe_values import changed
from ..core.captions.writer import Caption, CaptionWriter
from ..core.captions.writer import taggers as taggers_of
from ..core.errors import KeepersError
from ..core.gates.gate import Gate, Verdict, not_judged
from ..core.gates.unjudged import flawed, unanswered
from ..core.judging.case import Subject
from ..core.prediction import Answer, Answers, Prediction
from .host import host
from .host.api import ScoresSocket, io
from .host.images import frames, subjects
from .judging.inputs import images_input, list_schema, machine_inputs, one, run_options, style_input, switch, text_area
from .judging.judging import JudgingNode, check_loaded
from .judging.menus import NONE, taggers
from .judging.refusals import missing
from .judging.scores import UNJUDGED, WORDS, Scored, Scores, usable
from .tag_categories import CategoriesSocket, Category

_ORDERS: tuple[Order, ...] = ("score", "category", "alphabet", "given")


class KeepersTag(JudgingNode):
    """One caption for every image; a model that cannot be used is an error, never an empty caption."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        names = [spec.id for spec in taggers()]
        return list_schema(
            "KeepersTag",
            "Tag (Keepers)",
            "Writes a caption for every image from the tags that a tagger finds in it.",
            inputs=[
                images_input("tag"),
                CategoriesSocket.Input(
                    "categories", optional=True, tooltip="Settings for individual categories, from Tag Categories."
                ),
                io.Combo.Input("model", options=names, default=names[0] if names else None, tooltip=_models_told()),
                io.Combo.Input(
                    "second_model",
                    options=[NONE, *names],
                    default=NONE,
                    tooltip="A second tagger; where both find a tag, the higher probability counts.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="The lowest probability of a tag that is used. 0 means what the model's card recommends.",
                ),
                io.Int.Input(
                    "top", default=0, min=0, max=1000, tooltip="Use only this many of the most probable tags; 0: all."
                ),
                io.Int.Input("max_tags", default=0, min=0, max=1000, tooltip="The most tags in a caption; 0: all."),
                io.String.Input("first", default="", tooltip="Words that come first, such as your trigger word."),
                io.String.Input("last", default="", tooltip="Words that come last."),
                text_area(
                    "exclude",
                    "tags to leave out: *_background, signature",
                    "Tags to leave out, separated by commas; * matches anything. Spaces and _ are the same.",
                ),
                io.String.Input("only", default="", tooltip="If filled in, only these tags are used."),
                io.String.Input("exclude_categories", default="", tooltip="Categories to leave out: meta, lore."),
                io.String.Input(
                    "require", default="", tooltip="An image without these tags gets an empty caption, and a note."
                ),
                io.Combo.Input("order", options=list(_ORDERS), default="score", tooltip="How tags are ordered."),
                style_input(),
                switch("escape_brackets", "Write \\( and \\), which prompts need and trainers do not."),
                switch("add_rating", "Write the rating into the caption."),
                switch("trailing_comma", "End the caption with its separator."),
                *machine_inputs(),
            ],
            outputs=[
                io.String.Output("captions", is_output_list=True, tooltip="One for every image."),
                io.String.Output("tags", is_output_list=True, tooltip="The caption's tags with scores, as JSON."),
                io.String.Output("rating", is_output_list=True, tooltip="How explicit the model calls each image."),
                ScoresSocket.Output("scores", tooltip="All answers, for Gate, Caption and Save Keepers."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model: Any = (None,), second_model: Any = (NONE,), download: Any = (False,)) -> bool | str:
        """Refuse an unknown tagger or a missing model file before anything is generated."""
        asked = [name for name in (one(model), one(second_model)) if name and name != NONE]
        known = [spec.id for spec in taggers()]
        for name in asked:
            if name not in known:
                return f"There is no tagger {name!r}. There are: {', '.join(known) or 'none'}"
        return missing(asked, download=one(download)) or True

    @classmethod
    def execute(
        cls,
        images: list[Any],
        model: list[str],
        second_model: list[str],
        batch_size: list[int],
        precision: list[host.Precision],
        download: list[bool],
        categories: list[tuple[Category, ...]] | None = None,
        **choices: list[Any],
    ) -> io.NodeOutput:
        """Tag all images of the list in one run."""
        recipe = recipe_from({name: one(value) for name, value in choices.items()}, one(categories or [()]))
        models = list(dict.fromkeys(name for name in (one(model), one(second_model)) if name != NONE))
        writer = CaptionWriter(recipe, taggers_of(taggers()))
        scores = _asked(images, models, run_options(batch_size, precision, download), writer.near)
        captions = [_caption(writer, each) for each in scores.images]
        written = sum(bool(caption.text) for caption in captions)
        unjudged = f", {scores.unjudged} {WORDS[UNJUDGED]}" if scores.unjudged else ""
        host.say(f"{written} of {len(captions)} captions written{unjudged}", cls.hidden.unique_id)
        return io.NodeOutput(
            [caption.text for caption in captions],
            [tags_json(caption) for caption in captions],
            [caption.rating for caption in captions],
            scores,
        )


def recipe_from(choices: Mapping[str, Any], categories: tuple[Category, ...]) -> CaptionRecipe:
    """The node's inputs as a caption recipe. Raises RecipeError, which names what is wrong."""
    thresholds = {each.name: each.threshold for each in categories if each.threshold is not None}
    hidden = [each.name for each in categories if not each.shown]
    threshold = choices["threshold"] or None
    given: dict[str, Any] = {
        "threshold": threshold,
        "thresholds": thresholds,
        "top": choices["top"],
        "limit": choices["max_tags"],
        "escape": choices["escape_brackets"],
        "trailing": choices["trailing_comma"],
        "rating": choices["add_rating"],
    }
    given |= {name: choices[name] for name in ("first", "last", "exclude", "only", "require", "order", "style")}
    excluded = ", ".join(filter(None, [choices["exclude_categories"], *hidden]))
    return changed(CaptionRecipe(source="tags"), given | {"exclude_categories": excluded})


def tags_json(caption: Caption) -> str:
    """The tags of a caption with their scores and categories."""
    return json.dumps([{"tag": t.name, "score": round(t.score, 4), "category": t.category} for t in caption.tags])


def _asked(images: list[Any], models: list[str], how: host.RunOptions, near: Callable[[Prediction], bool]) -> Scores:
    judge = host.judge(how)
    given = subjects(frames(images))
    sound = [subject for subject in given if not subject.flaw]
    found = {model: iter(judge.predict(sound, model, near)) for model in models} if sound else {}
    scored: list[Scored] = []
    for subject in given:
        answers: dict[str, Answer] = {} if subject.flaw else {model: next(rows) for model, rows in found.items()}
        check_loaded(answers.values())
        scored.append(Scored(answers, subject.flaw, _verdict(subject, answers), str(Gate.parse(""))))
    if models and scored and all(each.verdict for each in scored):
        raise KeepersError(f"No image could be tagged: {scored[0].reason}")
    return Scores(tuple(scored))


def _verdict(subject: Subject, answers: Answers) -> Verdict | None:
    if subject.flaw:
        return not_judged(flawed(subject.flaw, subject.flaw_code))
    lacking = [why for answer in answers.values() if (why := unanswered(answer))]
    return not_judged(*lacking) if lacking else None


def _caption(writer: CaptionWriter, scored: Scored) -> Caption:
    given = usable(scored)
    return writer(given) if given else Caption("", notes=(scored.reason,))


def _models_told() -> str:
    return "\n".join(["The tagger.", *(f"{spec.id}: {spec.summary}" for spec in taggers())])
