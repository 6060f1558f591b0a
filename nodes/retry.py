"""The nodes Retry Start and Retry End: everything between them runs until enough images are accepted.

ComfyUI has no loops, but a node may answer with more nodes. Retry End finds the nodes that depend on Retry Start and
lead to it. While images are missing, it answers with a copy of them all, with the next seed and the images kept so far.
This works through the plain API as well as in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from comfy_execution.graph_utils import GraphBuilder, is_link

from ..core.errors import KeepersError
from .host import host
from .host.api import BLOCKED, CATEGORY, ScoresSocket, io, named
from .host.images import frames
from .judging.inputs import one
from .judging.scores import Scored, Scores, joined, summary

if TYPE_CHECKING:
    from torch import Tensor

RetrySocket = io.Custom("KEEPERS_RETRY")
"""The wire that tells Retry End which Retry Start belongs to it; it carries no data."""
RoundSocket = io.Custom("KEEPERS_ROUND")
"""What one attempt passes to the next; never wired by hand."""

_SEEDS = 1 << 64
ENOUGH, FAIL = "pass on what there is", "stop with an error"


@dataclass(frozen=True)
class Round:
    """What was kept before the current attempt."""

    attempt: int = 0
    images: tuple[Tensor, ...] = ()
    """[H, W, C] each."""
    scores: tuple[Scored, ...] = ()
    told: tuple[str, ...] = ()
    unjudged: tuple[tuple[Tensor, Scored], ...] = ()
    """The images that could not be judged, [H, W, C] each."""


class KeepersRetryStart(io.ComfyNode):
    """Gives each attempt its seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="KeepersRetryStart",
            display_name="Retry Start (Keepers)",
            category=f"{CATEGORY}/retry",
            description="The start of the part that is retried: wire its seed to the sampler and its retry to "
            "Retry End.",
            inputs=[
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=_SEEDS - 1,
                    control_after_generate=True,
                    tooltip="The seed of the first attempt; each further one adds 1.",
                ),
                RoundSocket.Input("round", optional=True, tooltip="Leave it empty: Retry End fills it in."),
            ],
            outputs=named(
                io.Int.Output("attempt_seed", display_name="seed", tooltip="The seed of this attempt."),
                io.Int.Output("attempt", tooltip="Which attempt this is, from 0."),
                RetrySocket.Output("retry", tooltip="For Retry End."),
            ),
        )

    @classmethod
    def execute(cls, seed: int, round: int = 0) -> io.NodeOutput:  # noqa: A002  the input's public name
        """The first attempt, or the one that Retry End asks for."""
        return io.NodeOutput((seed + round) % _SEEDS, round, round)


class KeepersRetryEnd(io.ComfyNode):
    """Collects the accepted images of the attempts, and those that could not be judged."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="KeepersRetryEnd",
            display_name="Retry End (Keepers)",
            category=f"{CATEGORY}/retry",
            description="Runs everything from Retry Start to here again, with the next seed, until enough images are "
            "accepted or the attempts are used up.",
            is_input_list=True,
            enable_expand=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[
                RetrySocket.Input("retry", extra_dict={"rawLink": True}, tooltip="From Retry Start."),
                io.Image.Input("images", tooltip="The images of this attempt, as they went into Score."),
                ScoresSocket.Input("scores", tooltip="From Score: which of them are accepted."),
                io.String.Input(
                    "report_in",
                    optional=True,
                    force_input=True,
                    tooltip="Anything that must run in every attempt, such as the report of a Save Keepers that "
                    "saves the images of each attempt, the rejected ones too.",
                ),
                RoundSocket.Input("round", optional=True, tooltip="Leave it empty: the node fills it in."),
                io.Int.Input("wanted", default=1, min=1, max=4096, tooltip="How many accepted images are wanted."),
                io.Int.Input("attempts", default=8, min=1, max=1000, tooltip="Stop after this many attempts."),
                io.Combo.Input(
                    "if_too_few",
                    options=[ENOUGH, FAIL],
                    default=ENOUGH,
                    tooltip="What happens when the attempts are used up before there are enough.",
                ),
            ],
            outputs=named(
                io.Image.Output("accepted", tooltip="The accepted images of all attempts, as many as are wanted."),
                ScoresSocket.Output("accepted_scores", tooltip="Their scores, for Save Keepers."),
                io.Int.Output("count", tooltip="How many there are."),
                io.Int.Output("attempts_made", tooltip="How many attempts it took."),
                io.String.Output("report", tooltip="The result of each attempt."),
                # No output may be a list: ComfyUI mixes up the outputs of a node that answers with nodes if one is.
                io.Image.Output(
                    "unjudged",
                    tooltip="The images of all attempts that could not be judged. They are not among the accepted "
                    "ones.",
                ),
                ScoresSocket.Output("unjudged_scores", tooltip="Their scores, for Save Keepers."),
            ),
        )

    @classmethod
    def execute(
        cls,
        retry: list[Any],
        images: list[Any],
        scores: list[Scores],
        wanted: list[int],
        attempts: list[int],
        if_too_few: list[str],
        report_in: list[str] | None = None,
        round: list[Round] | None = None,  # noqa: A002  the input's public name
    ) -> io.NodeOutput:
        """Collect this attempt's images; then either end, or answer with another attempt."""
        graph, end = cls.hidden.dynprompt, cls.hidden.unique_id
        assert graph is not None and end is not None, "both are asked for in the schema"
        before = one(round) if round else Round()
        after = _collected(before, images, joined(scores), report_in)
        count, shown = len(after.images), graph.get_display_node_id(end)
        host.say(f"{min(count, one(wanted))} of {one(wanted)} accepted after {after.attempt} attempts", shown)
        if count >= one(wanted) or after.attempt >= one(attempts):
            return _result(after, one(wanted), one(if_too_few))
        start: Any = retry[0] if retry else None
        if not is_link(start):
            raise KeepersError("Wire 'retry' of Retry End to 'retry' of its Retry Start.")
        return _another(graph, start[0], end, after)


def _collected(before: Round, images: list[Any], scores: Scores, report_in: Sequence[str] | None) -> Round:
    found = frames(images)
    if len(found) != len(scores.images):
        raise KeepersError(f"There are {len(found)} images, but scores of {len(scores.images)}: wire both from Score.")
    both = [(frame.pixels, scored) for frame, scored in zip(found, scores.images, strict=True)]
    passed = [(pixels, scored) for pixels, scored in both if scored.outcome == "accept"]
    told = f"attempt {before.attempt + 1}: {summary(scores)}"
    return Round(
        before.attempt + 1,
        (*before.images, *(pixels for pixels, _ in passed)),
        (*before.scores, *(scored for _, scored in passed)),
        (*before.told, told, *(report_in or ())),
        (*before.unjudged, *((pixels, scored) for pixels, scored in both if not scored.judged)),
    )


def _result(after: Round, wanted: int, if_too_few: str) -> io.NodeOutput:
    kept, told = after.images[:wanted], "\n".join(after.told)
    if len(kept) < wanted and if_too_few == FAIL:
        raise KeepersError(f"Only {len(kept)} of {wanted} images were accepted in {after.attempt} attempts.\n{told}")
    return io.NodeOutput(
        _batch(kept),
        Scores(after.scores[:wanted]) if kept else BLOCKED,
        len(kept),
        after.attempt,
        told,
        _batch([pixels for pixels, _ in after.unjudged]),
        Scores(tuple(scored for _, scored in after.unjudged)) if after.unjudged else BLOCKED,
    )


def _batch(images: Sequence[Tensor]) -> Any:
    if len({pixels.shape for pixels in images}) > 1:
        raise KeepersError("The attempts gave images of different sizes, which make no batch.")
    return torch.stack(tuple(images)) if images else BLOCKED


def _another(graph: Any, start: str, end: str, after: Round) -> io.NodeOutput:
    """Copies of all nodes from start to end, wired to each other and, like the originals, to the rest."""
    inner = _between(graph, start, end)
    builder = GraphBuilder()
    copies = {node: builder.node(graph.get_node(node)["class_type"], f"{place}") for place, node in enumerate(inner)}
    for node, copy in copies.items():
        copy.set_override_display_id(graph.get_display_node_id(node))
        for name, value in graph.get_node(node)["inputs"].items():
            inside = is_link(value) and value[0] in copies
            copy.set_input(name, copies[value[0]].out(value[1]) if inside else value)
    copies[start].set_input("round", after.attempt)
    copies[end].set_input("round", after)
    last = copies[end]
    slots = range(len(KeepersRetryEnd.define_schema().outputs))
    return io.NodeOutput(*map(last.out, slots), expand=builder.finalize())


def _between(graph: Any, start: str, end: str) -> list[str]:
    """The nodes that depend on `start` and lead to `end`, both included, in topological order."""
    hangs: dict[str, bool] = {start: True}
    order: list[str] = []
    stack = [(end, False)]
    while stack:
        node, seen = stack.pop()
        if node in hangs:
            continue
        sources = _sources(graph.get_node(node)["inputs"])
        if seen:
            hangs[node] = any(hangs.get(source, False) for source in sources)
            if hangs[node]:
                order.append(node)
        else:
            stack.append((node, True))
            stack += [(source, False) for source in sources if source not in hangs]
    if end not in order:
        raise KeepersError("Nothing leads from this Retry Start to Retry End: wire its seed to the sampler.")
    return [start, *order]


def _sources(inputs: Mapping[str, Any]) -> list[str]:
    return [value[0] for value in inputs.values() if is_link(value)]
