"""Names for the values of a node's widgets, which a workflow keeps by position or by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from .graph import rows, table
from .signatures import signature, signatures

CONTROL = ("fixed", "increment", "decrement", "randomize")
"""What happens to a seed after a run: a value of the editor that stands behind the seed's."""
_MODEL = re.compile(r"[A-Za-z](?=[^,]*[-\d])[\w .:/()-]{2,60}")
_SEEDS = ("seed", "noise_seed", "value", "int")


def widget_values(entry: Mapping[str, Any]) -> dict[str, object]:
    """The values of a node's widgets by name, as far as the names are known."""
    if named := table(entry.get("widgets_values")):
        return {str(name): value for name, value in named.items()}
    kept = rows(entry.get("widgets_values"))
    names = _names(entry, kept)
    found = dict(_paired(names, kept)) if names else {}
    known = names or (entry.get("type") in signatures() and signature(str(entry["type"])).widgets)
    return {**found, **_tables(kept)} if known else {**_by_looks(entry, kept), **_tables(kept)}


def sockets(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A node's inputs."""
    for socket in map(table, rows(entry.get("inputs"))):
        if isinstance(socket.get("name"), str):
            yield socket


def widget_of(socket: Mapping[str, Any]) -> str:
    """The name of the widget that an input stands for, or an empty text."""
    name = table(socket.get("widget")).get("name")
    return name if isinstance(name, str) else ""


def _names(entry: Mapping[str, Any], kept: list[Any]) -> list[str]:
    """The names of the widgets in order: those in the file if they are all there, else those of the definition."""
    named = [name for socket in sockets(entry) if (name := widget_of(socket))]
    controls = sum(isinstance(value, str) and value in CONTROL for value in kept)
    if named and len(kept) - controls <= len(named) <= len(kept):
        return named
    return list(signature(str(entry.get("type"))).widgets) or (named if len(kept) == 1 else [])


def _paired(names: list[str], kept: list[Any]) -> Iterator[tuple[str, object]]:
    at = 0
    for name in names:
        if at >= len(kept):
            return
        if name:
            yield name, kept[at]
        at += 1
        seed = name.rpartition(".")[2] in _SEEDS or name.endswith("seed")
        if seed and at < len(kept) and (kept[at] is None or (isinstance(kept[at], str) and kept[at] in CONTROL)):
            at += 1


def _tables(kept: list[Any]) -> dict[str, object]:
    """The values that are tables, as rgthree's Power Lora Loader keeps its LoRAs."""
    return {f"table_{at}": value for at, value in enumerate(kept[:200]) if isinstance(value, dict)}


def _by_looks(entry: Mapping[str, Any], kept: list[Any]) -> dict[str, object]:
    """The values of an unknown node, without any names: only what can hardly be anything else."""
    gives = {str(table(output).get("type")) for output in rows(entry.get("outputs"))}
    takes = {str(socket.get("type")) for socket in sockets(entry)}
    texts = [value for value in kept if isinstance(value, str)]
    if gives and gives <= {"CONDITIONING", "STRING"}:
        return {"text": texts[0]} if len(texts) == 1 and takes <= {"CLIP", "STRING"} else {}
    if not gives & {"IMAGE", "VIDEO"} or takes & {"CONDITIONING", "MODEL", "CLIP", "VAE"}:
        return {}
    return dict(_of_a_service(kept))


def _of_a_service(kept: list[Any]) -> Iterator[tuple[str, object]]:
    """The prompt, model and seed of a node that asks a service: prompt and model come first, in either order."""
    for value in kept[:2]:
        if isinstance(value, str) and _MODEL.fullmatch(value):
            yield "model", value
    prose = max((value for value in kept[:3] if isinstance(value, str)), key=len, default="")
    if len(prose.split()) > 3 and not _MODEL.fullmatch(prose):
        yield "prompt", prose
    for value, after in pairwise(kept):
        if type(value) is int and after in CONTROL:
            yield "seed", value
