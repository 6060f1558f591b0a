"""Reads from an image file how the image was generated, whichever program wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from ..files import open_regular
from .comfy_read import read_comfy
from .exif import take_exif
from .generation import PROGRAMS, Generation
from .programs.a1111 import read_bare_prompt, read_infotext
from .programs.civitai import read_civitai
from .programs.drawthings import read_drawthings
from .programs.easydiffusion import read_easydiffusion
from .programs.fooocus import read_fooocus
from .programs.invokeai import read_invokeai
from .programs.midjourney import read_midjourney
from .programs.novelai import read_novelai
from .programs.plain import read_plain
from .programs.swarmui import read_swarmui
from .raw import RawMetadata, read_raw
from .record import KEY, from_json
from .said import Said
from .stealth import BadStealth, hidden_in, hidden_text
from .unknown import unknown_notes
from .xmp_texts import take_xmp

Reader = Callable[[Said], Generation | None]

_READERS: tuple[Reader, ...] = (
    read_novelai,
    read_invokeai,
    read_swarmui,
    read_fooocus,
    read_drawthings,
    read_midjourney,
    lambda said: _completed(read_civitai(said), said),
    lambda said: _with_prompts(read_infotext(said), said),
    read_easydiffusion,
    lambda said: _read_graphs(said),
    read_bare_prompt,
    read_plain,
)
"""In this order: those that know a form by a keyword of its own first. The first that finds a program counts."""

_GRAPHS = ("prompt", "workflow")
_WRAPPED = ("parameters", "invokeai_metadata", "sd-metadata", "Dream", "generation_data", "UserComment", "Description")


def read_generation(source: Path | bytes | Image.Image) -> Generation:
    """The generation metadata of a file, or of an image that Pillow opened, read from headers alone.

    Only where these say nothing are the first rows of a PNG file decoded, to see whether a text is hidden in its
    pixels. Damaged, hostile or unknown metadata leaves the result emptier and adds notes, but never raises.
    Raises UnreadableImage only if the file itself cannot be opened.
    """
    raw = read_raw(source)
    take_exif(raw)
    take_xmp(raw)
    found = _interpret(raw)
    if not found.source and _take_hidden(raw, source):
        found = _interpret(raw)
    taken = raw.texts if found.source in ("easydiffusion", "other") else ()
    for note in (*found.notes, *_why_empty(found), *unknown_notes(raw.texts, bool(found.source), taken)):
        raw.note(note)
    record = from_json(raw.texts.get(KEY, ""))
    named = found if found.source or KEY not in raw.texts else replace(found, source=KEY)
    return replace(named, texts=raw.texts, notes=tuple(raw.notes), record=record)


def _interpret(raw: RawMetadata) -> Generation:
    """What the first program says that is found. Notes of others, about what they could not read, are kept."""
    said, notes = Said.of(raw.texts), list[str]()
    for one in (said, _wrapped(said)):
        for read in _READERS if one.texts else ():
            if found := read(one):
                if found.source:
                    return replace(found, notes=(*notes, *found.notes))
                notes += found.notes
    return Generation(notes=tuple(notes))


def _wrapped(said: Said) -> Said:
    """The texts that a converter has put into one JSON object, as they stood in the file before."""
    named = {key: text for data in said.objects.values() for key, text in data.items() if isinstance(text, str)}
    return Said.of({key: named[key] for key in _WRAPPED if key in named})


def _read_graphs(said: Said) -> Generation | None:
    return read_comfy({**said.texts, **dict(_graphs_within(said))})


def _completed(found: Generation | None, said: Said) -> Generation | None:
    """With what only the graph in the file says: settings, and prompts if there are none so far."""
    graph = _read_graphs(said) if found else None
    if found is None or graph is None:
        return found
    sided = found.positive or found.negative
    return replace(
        found,
        positive=found.positive if sided else graph.positive,
        negative=found.negative if sided else graph.negative,
        notes=found.notes if sided else (*found.notes, *graph.notes),
        scheduler=found.scheduler or graph.scheduler,
        model=found.model or graph.model,
        width=found.width or graph.width,
        height=found.height or graph.height,
        loras=found.loras or graph.loras,
    )


def _with_prompts(found: Generation | None, said: Said) -> Generation | None:
    """An infotext with the prompts of the graph beside it, where it has none of its own."""
    return found if found and (found.positive or found.negative) else _completed(found, said)


def _why_empty(found: Generation) -> Iterator[str]:
    """A note for a program that says everything but the prompt."""
    if found.source and not found.positive and not found.notes:
        only = ", only a negative one" if found.negative else ""
        yield f"{PROGRAMS[found.source]} wrote no prompt into this file{only}"


def _graphs_within(said: Said) -> Iterator[tuple[str, str]]:
    """The graphs that stand inside other texts: wrapped into JSON, or where an infotext is expected."""
    for key, data in said.objects.items():
        for name, graph in _graphs(key, data).items():
            if name not in said.texts or name == key:
                yield name, graph if isinstance(graph, str) else json.dumps(graph)


def _graphs(key: str, data: Mapping[str, object]) -> dict[str, object]:
    if any(isinstance(one, dict) and "class_type" in one for one in data.values()):
        return {"prompt": data} if key not in _GRAPHS else {}
    if "nodes" in data:
        return {"workflow": data} if key not in _GRAPHS and "links" in data else {}
    inside = ((name, data.get(name)) for name in _GRAPHS)
    return {name: one for name, one in inside if isinstance(one, dict) or (isinstance(one, str) and one[:1] == "{")}


def _take_hidden(raw: RawMetadata, source: Path | bytes | Image.Image) -> bool:
    """Adds the text that is hidden in the pixels; says whether there is one."""
    try:
        hidden = _hidden(source)
    except BadStealth as error:
        raw.note(str(error))
        return False
    except Exception as error:  # Pillow may raise anything for a damaged picture
        raw.note(f"hidden metadata ignored: {error}")
        return False
    inside = Said.of({"stealth": hidden}).objects.get("stealth", {})
    for key, text in inside.items():
        raw.add(key, text if isinstance(text, str) else json.dumps(text))
    if hidden and not inside:
        raw.add("parameters", hidden)
    return bool(hidden)


def _hidden(source: Path | bytes | Image.Image) -> str:
    if isinstance(source, Image.Image):
        return hidden_in(source) if source.format in ("PNG", None) else ""
    if isinstance(source, bytes):
        return hidden_text(BytesIO(source))
    with open_regular(source) as file:
        return hidden_text(file)
