"""`keepers models` and `keepers fetch`: the models, where their files are, and how to get them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ...core.errors import KeepersError, MissingWeights
from ...core.spec import ModelSpec
from ...core.weights.store import WeightStore
from ...core.weights.weight_file import WeightFile
from ...models.registry import REGISTRY
from ..completion import model_ids
from ..console import console
from ..exit_codes import ERROR, escaped
from ..machine import ModelFolders
from ..options import examples


@examples(
    "keepers models",
    "keepers models faramir",
    "keepers models --json",
)
def models(
    model: Annotated[str, typer.Argument(help="Show everything about this one.", autocompletion=model_ids)] = "",
    *,
    machine: ModelFolders,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models: size, licence, place and state of their files."""
    store = machine.store()
    specs = [REGISTRY.spec(model, store)] if model else _all(store)
    if as_json:
        typer.echo(json.dumps([_facts(spec, store) for spec in specs], indent=2))
    elif model:
        _describe(specs[0], store)
    else:
        _list(specs, store)


@examples("keepers fetch faramir", "keepers fetch coherence jtp --models /mnt/models")
def fetch(
    model: Annotated[
        list[str], typer.Argument(help="Models by id, as `keepers models` lists them.", autocompletion=model_ids)
    ],
    *,
    machine: ModelFolders,
) -> None:
    """Download the files of models, after showing their licences."""
    store = replace(machine, download=True).store()
    failed = False
    for name in model:
        spec = REGISTRY.spec(name, store)
        failed = not _fetch(spec, store) or failed
    if failed:
        raise typer.Exit(ERROR)


def _fetch(spec: ModelSpec, store: WeightStore) -> bool:
    if not spec.weights:
        console.print(f"{spec.id} needs no files.")
        return True
    missing = [file for file in spec.weights if store.find(file) is None]
    if missing:
        _show_licences(spec, missing)
    complete = True
    for file in spec.weights:
        try:
            obtain = spec.obtain if store.find(file) is None else None
            path = obtain(store) if obtain else store.path(file, model=spec.id)
            console.print(f"[green]ready[/] {escaped(file.name)}: {escaped(str(path))}")
        except KeepersError as error:  # noqa: PERF203  one missing file must not hide the next
            if file.optional and isinstance(error, MissingWeights):
                continue
            console.print(f"[bold red]missing[/] {escaped(str(error))}")
            complete = False
    return complete


def _show_licences(spec: ModelSpec, files: Sequence[WeightFile]) -> None:
    console.print(f"[bold]{spec.id}[/]: {escaped(spec.title)}, {escaped(spec.source)}")
    table = Table("file", "size", "licence", "from")
    for file in files:
        table.add_row(file.name, size_text(file.size), file.licence or spec.licence, file.repo or file.url or file.page)
    console.print(table)
    console.print("By using these files you accept their licences.")


def _all(store: WeightStore) -> list[ModelSpec]:
    """Every model, and every variant with files of its own; other variants are named beside their model."""
    found: list[ModelSpec] = []
    for spec in REGISTRY:
        found.append(spec)
        found += [one for one in REGISTRY.variants(spec, store) if one.weights != spec.weights]
    return found


def _list(specs: Sequence[ModelSpec], store: WeightStore) -> None:
    table = Table("model", "answers", "size", "licence", "state")
    for spec in specs:
        size = _whole_size(spec)
        answers = escaped(spec.summary) if ":" not in spec.id else f"[dim]{escaped(spec.title)}[/]"
        same = (
            [one.id for one in REGISTRY.variants(spec, store) if one.weights == spec.weights]
            if spec in REGISTRY
            else []
        )
        also = f" [dim]Also {', '.join(same)}.[/]" if same else ""
        table.add_row(
            spec.id, answers + also, size_text(size) if spec.weights else "", spec.licence, _state(spec, store)
        )
    console.print(table)
    console.print(f"Model folders: {', '.join(escaped(str(folder)) for folder in store.folders)}")
    missing = next((spec.id for spec in specs if _state(spec, store) == "missing"), "")
    if missing:
        console.print(f"Get what is missing by name: keepers fetch {escaped(missing)}")


def _whole_size(spec: ModelSpec) -> int:
    """Bytes of all files that a model needs; 0 where the size of one is not published, since a part would mislead."""
    needed = [file for file in spec.weights if not file.optional]
    return sum(file.size for file in spec.weights) if all(file.size for file in needed) else 0


def _state(spec: ModelSpec, store: WeightStore) -> str:
    if spec.usual is not None and not any(store.find(file) for one in spec.variants for file in one.weights):
        made = len(REGISTRY.variants(spec, store)) - len(spec.variants)
        return f"[green]{made} of your own[/]" if made else "none yet"
    needed = [file for file in spec.weights if not file.optional]
    here = [file for file in needed if store.find(file) is not None]
    if len(here) == len(needed):
        return "[green]ready[/]" if needed else "[green]built in[/]"
    return "missing" if not here else f"[yellow]{len(here)} of {len(needed)} files[/]"


def _describe(spec: ModelSpec, store: WeightStore) -> None:
    console.print(f"[bold]{spec.id}[/]: {escaped(spec.title)}")
    console.print(escaped(spec.summary))
    if spec.help:
        console.print(escaped(spec.help))
    console.print(f"Source: {escaped(spec.source)}\nLicence: {escaped(spec.licence)}")
    for file in spec.weights:
        path = store.find(file)
        place = escaped(str(path)) if path else f"missing; belongs at {escaped(str(store.target(file)))}"
        console.print(f"File: {escaped(file.name)} ({size_text(file.size)}, {file.licence or spec.licence}): {place}")
    if spec.labels:
        names = spec.labels().names
        more = f" and {len(names) - 40} more" if len(names) > 40 else ""
        console.print(f"Labels: {escaped(', '.join(names[:40]))}{more}")
    if spec.gate:
        console.print(f"Usual gate: {escaped(spec.gate)}")
    variants = [one.id for one in REGISTRY.variants(spec, store)]
    if variants:
        console.print(f"Variants: {', '.join(variants)}")


def _facts(spec: ModelSpec, store: WeightStore) -> dict[str, object]:
    return {
        "id": spec.id,
        "title": spec.title,
        "summary": spec.summary,
        "source": spec.source,
        "licence": spec.licence,
        "gate": spec.gate,
        "files": [_file_facts(file, store.find(file), store) for file in spec.weights],
    }


def _file_facts(file: WeightFile, path: Path | None, store: WeightStore) -> dict[str, object]:
    return {
        "name": file.name,
        "size": file.size or None,
        "licence": file.licence,
        "path": str(path) if path else None,
        "belongs_at": str(store.target(file)),
        "optional": file.optional,
    }


def size_text(size: int) -> str:
    """Bytes in readable form; a question mark if the size is not published."""
    if not size:
        return "?"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
