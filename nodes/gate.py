"""The node Gate: separates accepted, review and rejected images, with everything that runs beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.gates.best import best as best_of
from ..core.gates.gate import Verdict, not_judged
from ..core.gates.tree import Value
from ..core.gates.truth import read
from ..core.gates.unjudged import Unjudged
from .host import host
from .host.api import BLOCKED, ScoresSocket, io
from .host.images import Frame, frames, subjects
from .host.parallel import pick_images, pick_latents, pick_masks, pick_texts
from .judging.inputs import (
    captions_input,
    chosen_gate,
    gate_inputs,
    images_input,
    list_schema,
    machine_inputs,
    one,
    report_output,
    run_options,
    scores_input,
)
from .judging.judging import JudgingNode, check_loaded, judge_frames
from .judging.refusals import refusal, refusal_of_wish
from .judging.scores import Scored, Scores, joined, rank, ranking, report, summary

ALL, BEST = "all that pass", "best of those that pass"
BLOCK, BEST_ONE, ERROR = "pass nothing on", "pass the best one", "stop with an error"


class KeepersGate(JudgingNode):
    """One verdict for every image; an output without images blocks only itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return list_schema(
            "KeepersGate",
            "Gate (Keepers)",
            "Lets the accepted images through, with their latents, masks and captions. An output without "
            "images skips what is wired to it; the prompt goes on.",
            inputs=[
                images_input("judge"),
                scores_input("From Score: what is known is not asked again."),
                io.Latent.Input("latents", optional=True, tooltip="Latents of the same images."),
                io.Mask.Input("masks", optional=True, tooltip="Masks of the same images."),
                captions_input("Captions of the same images."),
                *gate_inputs(),
                io.Combo.Input(
                    "keep",
                    options=[ALL, BEST],
                    default=ALL,
                    tooltip="Keep every image that is accepted, or only the best of them.",
                ),
                io.Int.Input("best", default=1, min=1, max=4096, tooltip="How many, when only the best are kept."),
                io.String.Input(
                    "rank_by",
                    default="",
                    tooltip="The number that says which is best, such as faramir.accept. Empty: the last number "
                    "that the gate's accept clause asks for.",
                ),
                io.Combo.Input(
                    "if_none_pass",
                    options=[BLOCK, BEST_ONE, ERROR],
                    default=BLOCK,
                    tooltip="What happens when no image is accepted.",
                ),
                *machine_inputs(),
            ],
            outputs=[
                io.Image.Output("accepted", is_output_list=True, tooltip="The accepted images."),
                io.Image.Output("review", is_output_list=True, tooltip="Images for a person to look at."),
                io.Image.Output("rejected", is_output_list=True, tooltip="The rejected images."),
                io.Latent.Output("accepted_latents", is_output_list=True, tooltip="Latents of the accepted images."),
                io.Mask.Output("accepted_masks", is_output_list=True, tooltip="Masks of the accepted images."),
                io.String.Output("accepted_captions", is_output_list=True, tooltip="Captions of the accepted images."),
                ScoresSocket.Output("accepted_scores", tooltip="Scores of the accepted images."),
                ScoresSocket.Output(
                    "all_scores", tooltip="Scores of all images: with the images as they came in, for Save Keepers."
                ),
                io.Int.Output("accepted_count", tooltip="How many images are accepted."),
                io.Int.Output("review_count", tooltip="How many images are for review, with those not judged."),
                io.Int.Output("rejected_count", tooltip="How many images are rejected."),
                io.String.Output("indexes", tooltip='The positions of the accepted images, from 0: "0,2,5".'),
                report_output(),
                io.Int.Output("unjudged_count", tooltip="How many of those for review could not be judged."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        preset: Any = (None,),
        gate: Any = ("",),
        download: Any = (False,),
        rank_by: Any = ("",),
        scores: Any = False,
    ) -> bool | str:
        """Refuse a wrong gate or a missing model file before anything is generated."""
        known = scores is not False
        return (
            refusal(one(preset), one(gate), download=one(download), known=known)
            or refusal_of_wish(one(rank_by), download=one(download))
            or True
        )

    @classmethod
    def execute(
        cls,
        images: list[Any],
        preset: list[str],
        gate: list[str],
        keep: list[str],
        best: list[int],
        rank_by: list[str],
        if_none_pass: list[str],
        scores: list[Scores] | None = None,
        latents: list[Any] | None = None,
        masks: list[Any] | None = None,
        captions: list[str] | None = None,
        **machine: list[Any],
    ) -> io.NodeOutput:
        """Judge all images of the list in one run."""
        chosen, found = chosen_gate(one(preset), one(gate)), frames(images)
        how = run_options(**machine)
        known = joined(scores) if scores else None
        judged = judge_frames(found, chosen, how, known)
        by = ranking(chosen, one(rank_by))
        judged = _settled(judged, found, by, one(best) if one(keep) == BEST else 0)
        judged = _if_none(judged, found, by, one(if_none_pass))
        host.say(summary(judged), cls.hidden.unique_id)
        passed = _places(judged, "accept")
        count = len(found)
        batches = [batch for batch in images if batch is not None]
        return io.NodeOutput(
            pick_images(batches, found, passed),
            pick_images(batches, found, _places(judged, "review")),
            pick_images(batches, found, _places(judged, "reject")),
            pick_latents(latents, count, passed),
            pick_masks(masks, count, passed),
            pick_texts(captions, count, passed),
            Scores(tuple(judged.images[number] for number in passed)) if passed else BLOCKED,
            judged,
            len(passed),
            judged.count("review"),
            judged.count("reject"),
            ",".join(map(str, passed)),
            report(judged),
            judged.unjudged,
        )


def _places(scores: Scores, outcome: str) -> list[int]:
    return [number for number, each in enumerate(scores.images) if each.outcome == outcome]


def _settled(scores: Scores, found: Sequence[Frame], by: Value | None, best: int) -> Scores:
    """With `best`, only the best accepted images stay accepted; ties keep their order.

    One that has no number to rank by is for review: it was accepted, so it is not given up.
    """
    passed = _places(scores, "accept")
    if not best or len(passed) <= best:
        return scores
    known = _ranked(scores, found, passed, by)
    beaten = set(passed) - set(_best(known, passed, by, best))
    reason = f"reject: accepted, but not among the best {best} of {len(passed)} by {by or 'their order'}"
    return _changed(known, {n: _unranked(known.images[n], by) or Verdict("reject", reason) for n in beaten})


def _if_none(scores: Scores, found: Sequence[Frame], by: Value | None, then: str) -> Scores:
    """Apply the user's choice when nothing is accepted. Raises ValueError if the choice is an error.

    The best one is one of those that were judged; if none was, nothing passes.
    """
    if then == BLOCK or not scores.images or _places(scores, "accept"):
        return scores
    if then == ERROR:
        raise ValueError(f"The gate lets nothing through: {report(scores)}")
    judged = [number for number, each in enumerate(scores.images) if each.judged]
    known = _ranked(scores, found, judged, by)
    why = f"accept: the best of {len(judged)} by {by or 'their order'}, though"
    best = _best(known, judged, by)
    return _changed(known, {n: Verdict("accept", f"{why} {known.images[n].reason}") for n in best})


def _ranked(scores: Scores, found: Sequence[Frame], places: Sequence[int], by: Value | None) -> Scores:
    """The scores with the number to rank by at these places; a model that the gate did not need is asked now."""
    unasked = [number for number in places if by is not None and by.model not in scores.images[number].answers]
    if by is None or not unasked:
        return scores
    answers = host.judge().predict(subjects([found[number] for number in unasked], checked=True), by.model)
    check_loaded(answers)
    images = list(scores.images)
    for number, answer in zip(unasked, answers, strict=True):
        images[number] = replace(images[number], answers={**images[number].answers, by.model: answer})
    return Scores(tuple(images))


def _best(scores: Scores, places: Sequence[int], by: Value | None, count: int = 1) -> list[int]:
    """The best of the images at these places; where there is no number to rank by, the first ones."""
    images = [scores.images[number] for number in places]
    ranks = [rank(each, by) if by else 0.0 for each in images]
    return [places[place] for place in best_of([each.verdict for each in images], ranks, count)]


def _unranked(scored: Scored, by: Value | None) -> Verdict | None:
    """The verdict on an image without a number to rank by; None for one that has it."""
    reading = read(by, scored.answers) if by else None
    return not_judged(reading) if isinstance(reading, Unjudged) else None


def _changed(scores: Scores, verdicts: Mapping[int, Verdict]) -> Scores:
    changed = {number: replace(scores.images[number], verdict=verdict) for number, verdict in verdicts.items()}
    return Scores(tuple(changed.get(number, each) for number, each in enumerate(scores.images)))
