"""What the graphs in a file say: the prompt that was run, else the editor's workflow."""

from __future__ import annotations

from collections.abc import Mapping

from .comfy_graph import BadPrompt, parse_prompt
from .comfy_prompt import find_in
from .comfy_workflow import parse_workflow
from .generation import Generation


def read_comfy(texts: Mapping[str, str]) -> Generation | None:
    """What the texts "prompt" and "workflow" say of the picture. None if neither is a graph.

    A graph that cannot be read gives a Generation without a source, and a note that says why.
    """
    notes: list[str] = []
    for key, parse in (("prompt", parse_prompt), ("workflow", parse_workflow)):
        if (text := texts.get(key, "")).lstrip()[:1] == "{":
            try:
                found = find_in(parse(text))
            except BadPrompt as error:
                notes.append(str(error))
                continue
            return Generation(*found[:-1], source="comfyui", notes=(*notes, *found.notes))
    return Generation(notes=tuple(notes)) if notes else None
