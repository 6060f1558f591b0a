"""The node Gate: separates accepted, review and rejected images, with everything that runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..core.gates.gate import Verdict
from ..core.gates.tree import Value
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
from .judging.scores import Scores, joined, rank, ranking, report, summary

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
                io.Int.Output("review_count", tooltip="How many images are for review."),
                io.Int.Output("rejected_count", tooltip="How many images are rejected."),
                io.String.Output("indexes", tooltip='The positions of the accepted images, from 0: "0,2,5".'),
                report_output(),
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
        )


def _places(scores: Scores, outcome: str) -> list[int]:
    return [number for number, each in enumerate(scores.images) if each.outcome == outcome]


def _settled(scores: Scores, found: Sequence[Frame], by: Value | None, best: int) -> Scores:
    """With `best`, only the best accepted images stay accepted; ties keep their order."""
    passed = _places(scores, "accept")
    if not best or len(passed) <= best:
        return scores
    ranks = _ranks(scores, found, passed, by)
    ordered = sorted(passed, key=lambda number: -ranks[number])
    reason = f"reject: accepted, but not among the best {best} of {len(passed)} by {by or 'their order'}"
    return _changed(scores, ordered[best:], Verdict("reject", reason))


def _if_none(scores: Scores, found: Sequence[Frame], by: Value | None, then: str) -> Scores:
    """Apply the user's choice when nothing is accepted. Raises ValueError if the choice is an error."""
    if then == BLOCK or not scores.images or _places(scores, "accept"):
        return scores
    if then == ERROR:
        raise ValueError(f"The gate lets nothing through: {report(scores)}")
    sound = [number for number, each in enumerate(scores.images) if not each.flaw]
    if not sound:
        return scores
    ranks = _ranks(scores, found, sound, by)
    first = max(sound, key=lambda number: ranks[number])
    reason = f"accept: the best of {len(scores.images)} by {by or 'their order'}, though {scores.images[first].reason}"
    return _changed(scores, [first], Verdict("accept", reason))


def _ranks(scores: Scores, found: Sequence[Frame], places: Sequence[int], by: Value | None) -> dict[int, float]:
    """The images' ranks by place; a model that the gate did not need is asked now."""
    known = {number: scores.images[number] for number in places}
    unasked = [number for number, each in known.items() if by is not None and by.model not in each.answers]
    if by is not None and unasked:
        answers = host.judge().predict(subjects([found[number] for number in unasked], checked=True), by.model)
        check_loaded(answers)
        for number, answer in zip(unasked, answers, strict=True):
            known[number] = replace(known[number], answers={**known[number].answers, by.model: answer})
    return {number: rank(each, by) for number, each in known.items()}


def _changed(scores: Scores, places: Sequence[int], verdict: Verdict) -> Scores:
    changed = {number: replace(scores.images[number], verdict=verdict) for number in places}
    return Scores(tuple(changed.get(number, each) for number, each in enumerate(scores.images)))
