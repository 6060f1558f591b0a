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
_SERVICE = re.compile(r"(Node|Api|Control\d*|Omni)(V\d+)?$")
_OPTION = re.compile(r"[()\d]")
_ROLE = re.compile(r"\W*(you are|you're|system prompt|act as|your task)", re.IGNORECASE)
_FILE = re.compile(r"\.\w{2,11}$")
_MODEL = re.compile(r"[A-Za-z](?=[^,]*[-\d])[\w .:/()-]{2,60}")
_LETTERS = {"INT": "n", "FLOAT": "n", "BOOLEAN": "b", "STRING": "s", "COMBO": "s"}
_PROMPTS = ("positive", "negative", "text", "prompt", "positive_prompt", "negative_prompt", "text_g", "text_l")
_SHOWN = {"IMAGE", "LATENT", "MASK", "CONDITIONING", "MODEL", "VAE", "CLIP_VISION_OUTPUT", "VIDEO"}
"""What nodes take that make a conditioning of something else than a text, or change one."""
_WEIGHTS = re.compile(
    r"[^,\s]+\.(safetensors|ckpt|pth?|bin|gguf|sft|onnx)|none|mean|length|comfy|baked vae", re.IGNORECASE
)
_ALIGNED = 80
"""The most widgets of a node whose values are matched to names by their types."""
_SEEDS = ("seed", "noise_seed", "value", "int")


def widget_values(entry: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The values of a node's widgets by name, as far as the names are known. `inputs`: its sockets."""
    if named := table(entry.get("widgets_values")):
        return {str(name): value for name, value in named.items()}
    kept = rows(entry.get("widgets_values"))
    if not kept:
        return {}
    names, types = _names(entry, kept, inputs)
    found = dict(_paired(names, types, kept)) if names else {}
    known = names or entry.get("type") in signatures()
    return {**found, **_tables(kept)} if known else {**_by_looks(entry, kept, inputs), **_tables(kept)}


def sockets(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A node's inputs."""
    return [socket for socket in map(table, rows(entry.get("inputs"))) if isinstance(socket.get("name"), str)]


def widget_of(socket: Mapping[str, Any]) -> str:
    """The name of the widget that an input stands for, or an empty text."""
    name = table(socket.get("widget")).get("name")
    return name if isinstance(name, str) else ""


def _names(entry: Mapping[str, Any], kept: list[Any], inputs: Sequence[Mapping[str, Any]]) -> tuple[list[str], str]:
    """The names of the widgets in order, with their types: those in the file if they are all there, else those of the
    definition."""
    named = [(name, _LETTERS.get(str(socket.get("type")), "?")) for socket in inputs if (name := widget_of(socket))]
    controls = sum(isinstance(value, str) and value in CONTROL for value in kept)
    known = signature(str(entry.get("type")))
    if (named and len(kept) - controls <= len(named) <= len(kept)) or (not known.widgets and named and len(kept) == 1):
        return [name for name, _ in named], "".join(letter for _, letter in named)
    return list(known.widgets), known.types


def _paired(names: list[str], types: str, kept: list[Any]) -> list[tuple[str, object]]:
    """The values with their names. Other versions of a node have other widgets: then each value goes to the next name
    whose type it has, so that as many as possible find one."""
    pairs = list(_in_order(names, types, kept))
    if all(_fits(letter, value) for _, letter, value in pairs) or max(len(names), len(kept)) > _ALIGNED:
        return [(name, value) for name, letter, value in pairs if name and _fits(letter, value)]
    return [(name, value) for name, value in _aligned(names, types, kept) if name]


def _in_order(names: list[str], types: str, kept: list[Any]) -> Iterator[tuple[str, str, object]]:
    at = 0
    for name, letter in zip(names, types, strict=True):
        if at >= len(kept):
            return
        yield name, letter, kept[at]
        at += 1
        seed = name.rpartition(".")[2] in _SEEDS or name.endswith("seed")
        if seed and at < len(kept) and _is_control(name, kept[at]):
            at += 1


def _aligned(names: list[str], types: str, kept: list[Any]) -> Iterator[tuple[str, object]]:
    """The longest common subsequence of the types that are wanted and those that are there, early ones first."""

    def worth(i: int, j: int) -> int:
        if not _fits(types[i], kept[j]) or not _looks_like(names[i], kept[j]):
            return 0
        return 2 if names[i].endswith("seed") and j + 1 < len(kept) and _is_control(names[i], kept[j + 1]) else 1

    best = [[0] * (len(kept) + 1) for _ in range(len(names) + 1)]
    for i in reversed(range(len(names))):
        for j in reversed(range(len(kept))):
            best[i][j] = max(best[i + 1][j + 1] + worth(i, j), best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(names) and j < len(kept):
        if worth(i, j) and best[i][j] == best[i + 1][j + 1] + worth(i, j):
            yield names[i], kept[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _looks_like(name: str, value: object) -> bool:
    """Whether a text can be the name of a file where one is wanted, and is none where a prompt is wanted."""
    if not isinstance(value, str):
        return True
    if name.endswith("_name"):
        return len(value) < 200 and (("," not in value and len(value.split()) < 4) or bool(_FILE.search(value)))
    if name.endswith(("normalization", "interpretation")):
        return " " not in value
    return name not in _PROMPTS or not _WEIGHTS.fullmatch(value)


def _is_control(name: str, value: object) -> bool:
    """Whether a value behind a seed's is what happens to the seed; old editors wrote true or false."""
    if isinstance(value, str):
        return value in CONTROL
    return value is None or (isinstance(value, bool) and name.endswith("seed"))


def _fits(letter: str, value: object) -> bool:
    """Whether a value has the type of a widget."""
    if letter == "?":
        return True
    if isinstance(value, str):
        return letter == "s" and value not in CONTROL
    return letter == ("b" if isinstance(value, bool) else "n" if isinstance(value, (int, float)) else "")


def _tables(kept: list[Any]) -> dict[str, object]:
    """The values that are tables, as rgthree's Power Lora Loader keeps its LoRAs."""
    return {f"table_{at}": value for at, value in enumerate(kept[:200]) if isinstance(value, dict)}


def _by_looks(entry: Mapping[str, Any], kept: list[Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The values of an unknown node, without any names: only what can hardly be anything else."""
    gives = {str(table(output).get("type")) for output in rows(entry.get("outputs"))}
    takes = {str(socket.get("type")) for socket in inputs}
    texts = [value for value in kept if isinstance(value, str)]
    if gives and gives <= {"CONDITIONING", "STRING"}:
        return {"text": texts[0]} if len(texts) == 1 and _encodes(gives, takes, texts[0]) else {}
    if not gives & {"IMAGE", "VIDEO"} or takes & {"CONDITIONING", "MODEL", "CLIP", "VAE"}:
        return {}
    ours = bool(_SERVICE.search(str(entry.get("type"))))
    found = dict(_of_a_service(kept, ours))
    return found if len(found) > 1 or ours else {}


def _encodes(gives: set[str], takes: set[str], text: str) -> bool:
    """Whether the only text of a node can be what it encodes: it takes a text encoder, of whatever type."""
    if takes <= {"CLIP", "STRING"}:
        return True
    return "CONDITIONING" in gives and takes.isdisjoint(_SHOWN) and not _FILE.search(text.strip())


def _of_a_service(kept: list[Any], ours: bool) -> Iterator[tuple[str, object]]:
    """The prompt, model and seed of a node that asks a service. Prompt and model come first, in either order; a short
    prompt is taken for one beside a model, or from a node that is ComfyUI's own."""
    texts = [(at, value) for at, value in enumerate(kept[:10]) if isinstance(value, str)]
    model = next((at for at, value in texts if at < 2 and _MODEL.fullmatch(value)), None)
    if model is not None:
        yield "model", kept[model]
    told = [
        value
        for at, value in texts
        if at != model and _is_prose(value, 3 if at < 2 and (ours or model is not None) else 6)
    ]
    empty = next((at for at, value in texts if not value.strip()), len(kept))
    if told and kept.index(told[0]) < empty:  # behind an empty prompt comes another text, such as a negative one
        yield "prompt", told[0]
    for value, after in pairwise(kept):
        if type(value) is int and isinstance(after, str) and after in CONTROL:
            yield "seed", value


def _is_prose(text: str, words: int) -> bool:
    """Whether a value is a text that a user wrote: of some words, no file, and not the role of a model."""
    few = len(text.split())
    return few >= words and not (few < 6 and _OPTION.search(text)) and not _FILE.search(text) and not _ROLE.match(text)
