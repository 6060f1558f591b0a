"""`keepers caption`: writes captions for files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...collection.caption_run import Captioned, CaptionRun
from ...collection.store import Store
from ...core.captions.files import CaptionFiles
from ...core.captions.journal import NAME, undo
from ...core.captions.sidecar import collisions
from ...core.captions.training_folder import training_folder
from ...core.captions.writer import CaptionWriter, taggers
from ...core.errors import KeepersError
from ...core.judging.judge import Judge
from ...core.pictures.walk import Found, PassedOver, Search, walk
from ...core.places import data_folder
from ...models.registry import REGISTRY
from .. import exit_codes
from ..console import console
from ..gates import GateText, PresetName, chosen_gate
from ..machine import Batch, Device, Download, Machine, Models, Precision, Weights, named_paths
from . import options
from .view import CaptionView, show_undone

REJECTED = ("rejected", "review")
"""Folders that a scan sorts into; their images get captions only when asked."""


def caption(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders; folders are searched to the bottom.")],
    recipe: options.RecipeName = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the differences and write nothing.")] = False,
    undo_: Annotated[bool, typer.Option("--undo", help="Take back the latest run in these folders.")] = False,
    gate: GateText = "",
    preset: PresetName = "",
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Also enter folders called rejected and review.")
    ] = False,
    tagger: options.Taggers = None,
    source: options.Source = None,
    threshold: options.Threshold = None,
    category_threshold: options.Thresholds = None,
    top: options.Top = None,
    limit: options.Limit = None,
    only: options.Only = None,
    exclude: options.Exclude = None,
    exclude_category: options.ExcludeCategories = None,
    require: options.Require = None,
    rename: options.Rename = None,
    tag_file: options.TagFile = None,
    order: options.Order = None,
    fixed: options.Fixed = None,
    first: options.First = None,
    last: options.Last = None,
    rating: options.Rating = None,
    template: options.Template = None,
    style: options.Style = None,
    escape: options.Escape = None,
    separator: options.Separator = None,
    trailing: options.Trailing = None,
    max_characters: options.MaxCharacters = None,
    too_long: options.TooLong = None,
    empty: options.Empty = None,
    extension: options.Extension = None,
    existing: options.Existing = None,
    embed: options.Embed = None,
    training: Annotated[
        Path | None, typer.Option(help="Copy images and captions into REPEATS_NAME below here, for LoRA trainers.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="For --training: how often an epoch sees each image.")] = 10,
    name: Annotated[str, typer.Option(help="For --training: trigger, or trigger and class.")] = "",
    recursive: Annotated[bool, typer.Option(help="Search folders in folders.")] = True,
    follow: Annotated[bool, typer.Option("--follow", help="Follow symbolic links inside folders.")] = False,
    db: Annotated[Path | None, typer.Option(help="The store of results.", show_default=False)] = None,
    no_db: Annotated[bool, typer.Option("--no-db", help="Remember nothing.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 8,
    folders: Models = None,
    weights: Weights = None,
    download: Download = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
) -> None:
    """Write captions next to images, from taggers or from their prompts.

    Without --tagger the first tagger whose weights are here is asked.

    Existing captions are kept unless --existing says otherwise.
    """
    if undo_:
        show_undone(undo(_journals(paths if training is None else [*paths, training])))
        return
    chosen = options.recipe_from(
        recipe,
        tag_file,
        source=source,
        taggers=tagger,
        threshold=threshold,
        thresholds=category_threshold,
        top=top,
        limit=limit,
        only=only,
        exclude=exclude,
        exclude_categories=exclude_category,
        require=require,
        rename=rename,
        order=order,
        fixed=fixed,
        first=first,
        last=last,
        rating=rating,
        template=template,
        style=style,
        escape=escape,
        separator=separator,
        trailing=trailing,
        max_characters=max_characters,
        too_long=too_long,
        empty=empty,
        extension=extension,
        existing=existing,
        embed=embed,
    )
    target = None if training is None else training_folder(training, repeats, name or " ".join(chosen.first[:1]))
    judge = Machine(device, precision, batch, folders or (), named_paths(weights), download).judge()
    chosen = options.with_default_tagger(chosen, judge.store, fall_back=source == "auto")
    models = [] if chosen.source == "prompt" else [one.model for one in chosen.taggers]
    _check_taggers(judge, models)
    asked = chosen_gate(gate, preset, None, judge.store) if gate or preset else None
    if asked:
        judge.check(asked)
    search = Search((), () if rejected else REJECTED, recursive, follow, [target] if target else ())
    with ExitStack() as stack:
        store = (
            None if no_db or not (models or asked) else stack.enter_context(Store(db or data_folder() / "keepers.db"))
        )
        writer = CaptionWriter(chosen, taggers(REGISTRY.spec(model, judge.store) for model in models))
        run = CaptionRun(writer, judge, models, asked, store)
        job = _Job(run, CaptionFiles(chosen, target, dry_run))
        code = job.work(list(walk(paths, search)), dry=dry_run, quiet=quiet)
    raise typer.Exit(code)


def _journals(paths: Iterable[Path]) -> list[Path]:
    """The folders with a journal among and below the paths."""
    found: dict[Path, None] = {}
    for path in paths:
        start = path if path.is_dir() else path.parent
        for folder, _, files in os.walk(start):
            if NAME in files:
                found[Path(folder)] = None
    return list(found)


def _check_taggers(judge: Judge, models: Sequence[str]) -> None:
    """Load the taggers before any file is touched. Raises UnknownName, MissingWeights and its siblings."""
    for model in models:
        spec = judge.registry.spec(model, judge.store)
        if not spec.tags:
            known = ", ".join(one.id for one in REGISTRY if one.tags)
            raise KeepersError(f"{model} is no tagger. Taggers: {known or 'none is registered'}.")
        judge.classifier(model)


@dataclass
class _Job:
    """One call of the command, from the walk to the summary."""

    run: CaptionRun
    files: CaptionFiles

    def work(self, entries: Sequence[Found | PassedOver], *, dry: bool, quiet: bool) -> int:
        """The exit code."""
        images = [entry.path for entry in entries if isinstance(entry, Found)]
        with CaptionView(len(entries), dry=dry, quiet=quiet) as view:
            for entry in entries:
                if isinstance(entry, PassedOver):
                    view.failed(entry.path, entry.code, entry.reason)
            try:
                for result in self.run.captions(self._without_collisions(images, view)):
                    self._take(result, view)
                stopped = False
            except KeyboardInterrupt:
                stopped = True
        view.summary()
        if not dry and view.counts["new"] + view.counts["changed"]:
            console.print("`keepers caption --undo` with the same paths takes it back")
        if stopped:
            return exit_codes.INTERRUPTED
        return exit_codes.UNJUDGED if view.problems or view.not_embedded else exit_codes.OK

    def _without_collisions(self, images: Sequence[Path], view: CaptionView) -> list[Path]:
        """The images whose caption file is theirs alone; where copies are made, names are made to fit instead."""
        if self.files.folder is not None:
            return list(images)
        shared = collisions(images, self.files.recipe.extension)
        for image, others in shared.items():
            names = ", ".join(other.name for other in others)
            view.failed(image, "collision", f"shares its caption file with {names}; rename one of them")
        return [image for image in images if image not in shared]

    def _take(self, result: Captioned, view: CaptionView) -> None:
        if result.caption is None:
            if result.verdict and result.verdict.outcome != "accept" and not result.error:
                view.turned_away(result.path, result.verdict.outcome, result.reason)
            else:
                view.failed(result.path, result.error, result.reason)
            return
        try:
            written = self.files.put(result.path, result.caption)
        except KeepersError as error:
            view.failed(result.path, error.code, str(error))
            return
        view.wrote(written, result.caption.notes if written.what != "missing" else (), len(result.caption.tags))
