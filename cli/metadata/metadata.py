"""`keepers metadata`: what image files say of how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import UnreadableImage
from ...core.metadata.generation import PROGRAMS, Generation, Lora
from ...core.metadata.read import read_generation
from ...core.metadata.record import to_json
from ...core.pictures.walk import Found, Search, walk
from .. import exit_codes
from ..console import console
from ..looking import Looking, tell_passed_by
from ..options import examples, in_panel

_output = in_panel("Output")


@dataclass(frozen=True)
class _Said:
    """What one file says, or why it could not be read."""

    path: Path
    found: Generation | None = None
    reason: str = ""


@examples(
    "keepers metadata image.png",
    "keepers metadata image.png --json --texts",
    "keepers metadata ~/outputs --json > metadata.json",
)
def metadata(
    paths: Annotated[list[Path], typer.Argument(help="Images, and folders with images.")],
    *,
    as_json: Annotated[bool, _output("--json", help="Print JSON: an array with an object for each image.")] = False,
    texts: Annotated[bool, _output("--texts", help="Also the raw texts, as they stand in the files.")] = False,
    recursive: Annotated[bool, _output(help="Search folders in folders.")] = True,
    looking: Looking,
) -> None:
    """Print what image files say: program, prompts, seed, settings, model, LoRAs, our own record.

    Nothing is judged and nothing is stored. Notes say what could not be read, and why.
    """
    search = looking.search(recursive=recursive)
    failed = False
    if as_json:
        said = list(_read(paths, search))
        typer.echo(json.dumps([_facts(one, texts) for one in said], indent=2))
        failed = any(one.found is None for one in said)
    else:
        for one in _read(paths, search):
            typer.echo(_shown(one, texts))
            failed = failed or one.found is None
    tell_passed_by(search)
    if failed:
        console.print("Some files could not be read.")
    raise typer.Exit(exit_codes.UNJUDGED if failed else exit_codes.OK)


def _read(paths: list[Path], search: Search) -> Iterator[_Said]:
    for entry in walk(paths, search):
        if not isinstance(entry, Found):
            yield _Said(entry.path, reason=entry.reason)
            continue
        try:
            yield _Said(entry.path, read_generation(entry.path))
        except UnreadableImage as error:
            yield _Said(entry.path, reason=str(error).removeprefix(f"{entry.path}: "))


def _facts(said: _Said, texts: bool) -> dict[str, object]:
    """One file as JSON values, all ASCII, so that no text of a file breaks the output."""
    if said.found is None:
        return {"path": str(said.path), "error": said.reason}
    found = said.found
    names = [
        "source",
        "positive",
        "negative",
        "seed",
        "sampler",
        "scheduler",
        "steps",
        "cfg",
        "width",
        "height",
        "model",
        "model_hash",
    ]
    facts: dict[str, object] = {"path": str(said.path), "program": PROGRAMS.get(found.source, "")}
    facts |= {name: getattr(found, name) for name in names}
    facts |= {"loras": [asdict(one) for one in found.loras], "settings": dict(found.settings)}
    facts |= {"record": json.loads(to_json(found.record)) if found.record else None, "notes": list(found.notes)}
    return facts | ({"texts": dict(found.texts)} if texts else {})


def _shown(said: _Said, texts: bool) -> str:
    """One file as lines for people."""
    if said.found is None:
        return f"{_line(str(said.path))}\n  cannot be read: {_line(said.reason)}\n"
    rows = list(_rows(said.found))
    rows += [(f"text '{key}'", text) for key, text in said.found.texts.items()] if texts else []
    width = max((len(name) for name, _ in rows if not name.startswith("text ")), default=0)
    lines = [f"  {_line(name):<{width}}  {_indented(value, width + 4)}" for name, value in rows if value]
    return "\n".join([_line(str(said.path)), *(lines or ["  says nothing of how it was made"]), ""])


def _rows(found: Generation) -> Iterator[tuple[str, str]]:
    yield "program", PROGRAMS.get(found.source, "")
    yield "prompt", found.positive
    yield "negative", found.negative
    yield "seed", _number(found.seed)
    yield "sampler", " ".join(filter(None, (found.sampler, found.scheduler)))
    yield "steps", _number(found.steps)
    yield "cfg", _number(found.cfg)
    yield "size", f"{found.width} x {found.height}" if found.width and found.height else ""
    yield "model", f"{found.model} ({found.model_hash})" if found.model_hash else found.model
    yield from (("LoRA", _lora(one)) for one in found.loras)
    if found.record:
        yield "keepers", found.record.reason or found.record.verdict or "a record"
        yield "caption", found.record.caption
    yield from (("note", note) for note in found.notes)


def _lora(lora: Lora) -> str:
    weight = "" if lora.weight is None else f" at {lora.weight:g}"
    return f"{lora.name}{weight}{f' ({lora.hash})' if lora.hash else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:g}"


def _indented(text: str, blanks: int) -> str:
    return ("\n" + " " * blanks).join(map(_line, text.split("\n")))


def _line(text: str) -> str:
    """Text of a file in one line, without what a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
