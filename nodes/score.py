"""The node Score: asks the models of a gate about every image, and drops nothing."""

from __future__ import annotations

from typing import Any

from .host import host
from .host.api import ScoresSocket, io
from .host.images import frames
from .judging.inputs import (
    chosen_gate,
    gate_inputs,
    images_input,
    list_schema,
    machine_inputs,
    one,
    report_output,
    run_options,
    switch,
)
from .judging.judging import JudgingNode, judge_frames
from .judging.refusals import refusal
from .judging.scores import rank, ranking, report, summary, word


class KeepersScore(JudgingNode):
    """Scores for Gate, Save Keepers and Retry, and as plain lists."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return list_schema(
            "KeepersScore",
            "Score (Keepers)",
            "Asks the models of a gate about every image. Nothing is dropped here: wire the scores to "
            "Gate, Save Keepers or Retry.",
            inputs=[
                images_input("score"),
                *gate_inputs(),
                switch(
                    "every_model",
                    "Ask every model of the gate about every image, even when the verdict is already clear.",
                    on="ask all",
                    off="ask what is needed",
                ),
                *machine_inputs(),
            ],
            outputs=[
                ScoresSocket.Output("scores", tooltip="For Gate, Save Keepers and Retry."),
                io.Boolean.Output("accept", is_output_list=True, tooltip="Whether it is accepted, for every image."),
                io.String.Output("verdict", is_output_list=True, tooltip="accept, review or reject, for every image."),
                io.String.Output("label", is_output_list=True, tooltip="The deciding model's answer in one word."),
                io.Float.Output(
                    "score", is_output_list=True, tooltip="The number that the gate's accept clause asks for."
                ),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(cls, preset: Any = (None,), gate: Any = ("",), download: Any = (False,)) -> bool | str:
        """Refuse a wrong gate or a missing model file before anything is generated."""
        return refusal(one(preset), one(gate), download=one(download)) or True

    @classmethod
    def execute(
        cls,
        images: list[Any],
        preset: list[str],
        gate: list[str],
        every_model: list[bool],
        **machine: list[Any],
    ) -> io.NodeOutput:
        """Score all images of the list in one run."""
        chosen = chosen_gate(one(preset), one(gate))
        how = run_options(**machine)
        scores = judge_frames(frames(images), chosen, how, everything=one(every_model))
        by = ranking(chosen)
        host.say(summary(scores), cls.hidden.unique_id)
        every = scores.images
        return io.NodeOutput(
            scores,
            [each.outcome == "accept" for each in every],
            [each.outcome for each in every],
            [word(each, by, chosen) for each in every],
            [rank(each, by) for each in every],
            report(scores),
        )
