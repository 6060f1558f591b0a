"""Names for the values of a node's widgets, which a workflow keeps by position or by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .graph import rows, table
from .signatures import signature, signatures

CONTROL = ("fixed", "increment", "decrement", "randomize")
"""What happens to a seed after a run: a value of the editor that stands behind the seed's."""
_FILE = re.compile(r"\.\w{2,11}$")
_MODEL = re.compile(r"[A-Za-z](?=[^,]*[-\d])[\w .:/()-]{2,60}")
_NUMBERS = ("steps", "cfg", "denoise", "width", "height", "batch_size", "guidance", "strength_model", "strength_clip")
_WORDS = ("sampler_name", "scheduler", "ckpt_name", "unet_name", "lora_name", "text", "prompt", "positive", "negative")
_SEEDS = ("seed", "noise_seed", "value", "int")


def widget_values(entry: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The values of a node's widgets by name, as far as the names are known. `inputs`: its sockets."""
    if named := table(entry.get("widgets_values")):
        return {str(name): value for name, value in named.items()}
    kept = rows(entry.get("widgets_values"))
    if not kept:
        return {}
    names = _names(entry, kept, inputs)
    found = dict(_paired(names, kept)) if names else {}
    known = names or entry.get("type") in signatures()
    return {**found, **_tables(kept)} if known else {**_by_looks(entry, kept, inputs), **_tables(kept)}


def sockets(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A node's inputs."""
    return [socket for socket in map(table, rows(entry.get("inputs"))) if isinstance(socket.get("name"), str)]


def widget_of(socket: Mapping[str, Any]) -> str:
    """The name of the widget that an input stands for, or an empty text."""
    name = table(socket.get("widget")).get("name")
    return name if isinstance(name, str) else ""


def _names(entry: Mapping[str, Any], kept: list[Any], inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the widgets in order: those in the file if they are all there, else those of the definition."""
    named = [name for socket in inputs if (name := widget_of(socket))]
    controls = sum(isinstance(value, str) and value in CONTROL for value in kept)
    if named and len(kept) - controls <= len(named) <= len(kept):
        return named
    return list(signature(str(entry.get("type"))).widgets) or (named if len(kept) == 1 else [])


def _paired(names: list[str], kept: list[Any]) -> list[tuple[str, object]]:
    """The values with their names, from the place on where they fit: other versions of a node had other widgets first.

    A value of another type than its name wants is left out.
    """
    first: list[tuple[str, object]] = []
    for at in range(min(3, len(kept))):
        pairs = list(_paired_at(names, kept, at))
        if all(_fits(*pair) for pair in pairs) and (at == 0 or len(pairs) > 1):
            return pairs
        first = first or pairs
    return [pair for pair in first if _fits(*pair)]


def _paired_at(names: list[str], kept: list[Any], at: int) -> Iterator[tuple[str, object]]:
    for name in names:
        if at >= len(kept):
            return
        if name:
            yield name, kept[at]
        at += 1
        if (
            (name.rpartition(".")[2] in _SEEDS or name.endswith("seed"))
            and at < len(kept)
            and _is_control(name, kept[at])
        ):
            at += 1


def _is_control(name: str, value: object) -> bool:
    """Whether a value behind a seed's is what happens to the seed; old editors wrote true or false."""
    if isinstance(value, str):
        return value in CONTROL
    return value is None or (isinstance(value, bool) and name.endswith("seed"))


def _fits(name: str, value: object) -> bool:
    """Whether a value can be that of a widget, as far as the name tells."""
    if name in _NUMBERS or name.endswith("seed"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, str) if name in _WORDS else True


def _tables(kept: list[Any]) -> dict[str, object]:
    """The values that are tables, as rgthree's Power Lora Loader keeps its LoRAs."""
    return {f"table_{at}": value for at, value in enumerate(kept[:200]) if isinstance(value, dict)}


def _by_looks(entry: Mapping[str, Any], kept: list[Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The values of an unknown node, without any names: only what can hardly be anything else."""
    gives = {str(table(output).get("type")) for output in rows(entry.get("outputs"))}
    takes = {str(socket.get("type")) for socket in inputs}
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
    if len(prose.split()) > 3 and not _MODEL.fullmatch(prose) and not _FILE.search(prose):
        yield "prompt", prose
    for value, after in pairwise(kept):
        if type(value) is int and after in CONTROL:
            yield "seed", value
