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
from ...core.captions.files import CaptionFiles
from ...core.captions.journal import NAME, undo
from ...core.captions.sidecar import collisions
from ...core.captions.training_folder import training_folder
from ...core.captions.writer import CaptionWriter, taggers
from ...core.errors import KeepersError
from ...core.judging.judge import Judge
from ...core.pictures.walk import Found, PassedOver, walk
from ...models.registry import REGISTRY
from .. import exit_codes
from ..console import console
from ..gates import TextOrPreset
from ..looking import Looking, tell_passed_by
from ..machine import AllowMissing, Machine, require_models
from ..options import examples, in_panel
from ..recipe import with_default_tagger
from ..store import Db, NoDb, open_store
from .options import RecipeOptions
from .view import CaptionView, show_undone

_input = in_panel("What to caption")
_output = in_panel("Output")
_training = in_panel("For LoRA trainers")

REJECTED = ("rejected", "review")
"""Folders that a scan sorts into; their images get captions only when asked."""


@examples(
    'keepers caption images --tagger jtp --first my_trigger --exclude "*_background"',
    "keepers caption images --from prompt --dry-run",
    'keepers caption images --training sets --name "my_trigger style" --repeats 10',
)
def caption(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders; folders are searched recursively.")],
    *,
    recipe: RecipeOptions,
    dry_run: Annotated[bool, _output("--dry-run", "-n", help="Show the differences and write nothing.")] = False,
    undo_: Annotated[bool, _output("--undo", help="Take back the latest run in these folders.")] = False,
    gate: TextOrPreset,
    rejected: Annotated[bool, _input("--rejected", help="Also enter folders called rejected and review.")] = False,
    training: Annotated[
        Path | None, _training(help="Copy images and captions into REPEATS_NAME below here, for LoRA trainers.")
    ] = None,
    repeats: Annotated[int, _training(min=1, help="For --training: how often an epoch sees each image.")] = 10,
    name: Annotated[str, _training(help="For --training: trigger, or trigger and class.")] = "",
    recursive: Annotated[bool, _input(help="Search folders in folders.")] = True,
    follow: Annotated[bool, _input("--follow", help="Follow symbolic links inside folders.")] = False,
    looking: Looking,
    db: Db = None,
    no_db: NoDb = False,
    machine: Machine,
    allow_missing: AllowMissing = False,
    quiet: Annotated[bool, _output("--quiet", "-q", help="Only the summary.")] = False,
) -> None:
    """Write captions next to images, from taggers or from their prompts.

    Without --tagger the first tagger whose weights are here is asked.

    Existing captions are kept unless --existing says otherwise.
    """
    if undo_:
        show_undone(undo(_journals(paths if training is None else [*paths, training])))
        return
    chosen = recipe.made()
    target = None if training is None else training_folder(training, repeats, name or " ".join(chosen.first[:1]))
    judge = machine.judge()
    chosen = with_default_tagger(chosen, judge.store, fall_back=recipe.source == "auto")
    models = [] if chosen.source == "prompt" else [one.model for one in chosen.taggers]
    require_models(judge, models)
    _check_taggers(judge, models)
    asked = gate.named(judge.store)
    if asked:
        judge.check(asked)
        require_models(judge, asked.models, allow_missing=allow_missing)
    exclude, skip = () if rejected else REJECTED, [target] if target else ()
    search = looking.search(exclude=exclude, recursive=recursive, follow=follow, skip=skip)
    with ExitStack() as stack:
        store = None if no_db or not (models or asked) else stack.enter_context(open_store(db))
        writer = CaptionWriter(chosen, taggers(REGISTRY.spec(model, judge.store) for model in models))
        run = CaptionRun(writer, judge, models, asked, store)
        job = _Job(run, CaptionFiles(chosen, target, dry_run))
        code = job.work(list(walk(paths, search)), dry=dry_run, quiet=quiet)
        tell_passed_by(search)
    raise typer.Exit(code)


def _journals(paths: Iterable[Path]) -> list[Path]:
    """The folders that have a journal, at or below the paths."""
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
        return exit_codes.UNJUDGED if view.problems or view.not_embedded or view.not_judged else exit_codes.OK

    def _without_collisions(self, images: Sequence[Path], view: CaptionView) -> list[Path]:
        """The images that share their caption file with no other; copies get fitting names instead."""
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
                view.turned_away(result.path, result.verdict)
            else:
                view.failed(result.path, result.error, result.reason)
            return
        try:
            written = self.files.put(result.path, result.caption)
        except KeepersError as error:
            view.failed(result.path, error.code, str(error))
            return
        view.wrote(written, result.caption.notes if written.what != "missing" else (), len(result.caption.tags))
