"""What the graphs in a file say: the prompt that was run, else the editor's workflow."""

from __future__ import annotations

from collections.abc import Mapping

from .generation import Generation
from .graphs.find import find_in
from .graphs.graph import BadPrompt, Graph, Node, parse_prompt
from .graphs.signatures import signature
from .graphs.workflow import parse_workflow
from .record import KEY, from_json


def read_comfy(texts: Mapping[str, str]) -> Generation | None:
    """What the texts "prompt" and "workflow" say of the picture. None if neither is a graph.

    A graph that cannot be read gives a Generation without a source, and a note that says why.
    """
    notes: list[str] = []
    graphs: dict[str, Graph] = {}
    for key, parse in (("prompt", parse_prompt), ("workflow", parse_workflow)):
        if (text := texts.get(key, "")).lstrip()[:1] == "{":
            try:
                graphs[key] = parse(text)
            except BadPrompt as error:
                notes.append(str(error))
    if not graphs:
        return Generation(notes=tuple(notes)) if notes else None
    if "prompt" in graphs:
        graph, notes = _completed(graphs["prompt"], graphs.get("workflow", {})), []
    else:
        graph = graphs["workflow"]
    record = from_json(texts.get(KEY, ""))
    found = find_in(graph, record.caption if record else "")
    return Generation(
        found.positive,
        found.negative,
        found.seed,
        found.sampler,
        found.scheduler,
        found.steps,
        found.cfg,
        found.model,
        found.width,
        found.height,
        "comfyui",
        loras=found.loras,
        notes=(*notes, *found.notes),
    )


def _completed(prompt: Graph, workflow: Graph) -> dict[str, Node]:
    """The prompt's nodes with the types of their outputs, and with what they showed, as far as the workflow has it."""
    found: dict[str, Node] = {}
    for i, node in prompt.items():
        same = workflow.get(i)
        if same is not None and same.kind == node.kind:
            node = node._replace(outputs=same.outputs, shown=same.shown)
        found[i] = node if node.outputs else node._replace(outputs=signature(node.kind).outputs)
    return found
