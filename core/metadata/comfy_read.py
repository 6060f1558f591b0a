"""What the graphs in a file say: the prompt that was run, else the editor's workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .generation import Generation
from .graphs.find import find_in
from .graphs.graph import BadPrompt, Graph
from .graphs.prompt import completed, parse_prompt
from .graphs.workflow import parse_workflow
from .record import KEY, from_json

_PARSERS = {"prompt": parse_prompt, "workflow": parse_workflow}


def read_comfy(texts: Mapping[str, str]) -> Generation | None:
    """What the texts "prompt" and "workflow" say of the picture. None if neither is a graph.

    A graph that cannot be read gives a Generation without a source, and a note that says why.
    """
    notes: list[str] = []
    graphs: dict[str, Graph] = {}
    for key, other in (("prompt", "workflow"), ("workflow", "prompt")):
        if (text := texts.get(key, "")).lstrip()[:1] != "{":
            continue
        try:
            graphs[key] = _PARSERS[key](text)
        except BadPrompt as error:
            try:
                graphs.setdefault(other, _PARSERS[other](text))  # some tools take one form for the other
            except BadPrompt:
                notes.append(str(error))
    if not graphs:
        return Generation(notes=tuple(notes)) if notes else None
    if "prompt" in graphs:
        graph, notes = completed(graphs["prompt"], graphs.get("workflow", {})), []
    else:
        graph = graphs["workflow"]
    record = from_json(texts.get(KEY, ""))
    found = find_in(graph, record.caption if record else "")
    return replace(found, notes=(*notes, *found.notes))
