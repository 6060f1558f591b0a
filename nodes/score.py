"""The node Score: asks the models of a gate about every image, and drops nothing."""

from __future__ import annotations

from typing import Any

from . import host
from .api import CATEGORY, ScoresSocket, io, named
from .asking import AsksModels, chosen_gate, gate_inputs, judge_frames, machine_inputs, one, options, refusal
from .images import frames
from .scores import rank, ranking, report, summary, word


class KeepersScore(AsksModels):
    """Scores for Gate, Save Keepers and Retry, and as plain lists."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="KeepersScore",
            display_name="Score (Keepers)",
            category=CATEGORY,
            description="Asks the models of a gate about every image. Nothing is dropped here: wire the scores to "
            "Gate, Save Keepers or Retry.",
            is_input_list=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("images", tooltip="The images to score: a batch, or a list of any sizes."),
                *gate_inputs(),
                io.Boolean.Input(
                    "every_model",
                    default=False,
                    label_on="ask all",
                    label_off="ask what is needed",
                    tooltip="Ask every model of the gate about every image, also where the verdict is clear already.",
                ),
                *machine_inputs(),
            ],
            outputs=named(
                ScoresSocket.Output("scores", tooltip="For Gate, Save Keepers and Retry."),
                io.Boolean.Output("accept", is_output_list=True, tooltip="Whether it is accepted, for every image."),
                io.String.Output("verdict", is_output_list=True, tooltip="accept, review or reject, for every image."),
                io.String.Output("label", is_output_list=True, tooltip="The deciding model's answer in one word."),
                io.Float.Output("score", is_output_list=True, tooltip="The number that the gate's accept clause asks."),
                io.String.Output("report", tooltip="The counts, then every verdict with its reason."),
            ),
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
        batch_size: list[int],
        precision: list[host.Precision],
        download: list[bool],
    ) -> io.NodeOutput:
        """Score all images of the list in one run."""
        chosen = chosen_gate(one(preset), one(gate))
        how = options(batch_size, precision, download)
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
