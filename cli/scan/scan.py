"""`keepers scan`: score files and folders; show, store, sort and report the results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...collection.scan import Scan, Scanned, ScanOptions, ScanPlan
from ...collection.sorting.away import moved_away
from ...collection.sorting.journal import Action
from ...collection.sorting.sidecars import ENDINGS
from ...collection.sorting.sort import Sorter
from ...core.captions.recipe import check_extension
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.gates.number import gate_number
from ...core.judging.better import KeepDuplicate
from ...core.pictures.walk import Found, PassedOver, Search, walk
from .. import exit_codes
from ..console import console
from ..gates import GateOptions
from ..looking import Looking, tell_passed_by
from ..machine import AllowMissing, Machine, require_models
from ..options import examples, in_panel
from ..pages.thumbnail import thumbnail
from ..store import Db, NoDb, open_store
from .cluster import ClusterScan, local_paths, refuse
from .cluster import run as run_on_cluster
from .cluster_options import ClusterOptions
from .outputs import Csv, JsonArray, JsonLines, Outputs
from .report import Report
from .view import ScanView

_input = in_panel("What to scan")
_gate = in_panel("Gate")
_output = in_panel("Output")
_sorting = in_panel("Sorting")
_store = in_panel("Store")

KINDS = "name.txt, name.png.txt, or with .caption, .tags, .json, .yaml, .xmp"
"""The sidecars that sorting takes along, for the help."""

SETTLED = 2.0
"""Seconds that a file must stay unchanged before `--watch` takes it: hosts write large files in pieces."""
WATCH_EVERY = 1.0
"""Seconds between two looks at watched folders."""


@examples(
    "keepers scan ~/outputs --report report.html",
    "keepers scan ~/outputs --preset faramir --sort sorted --sort-by move",
    'keepers scan ~/outputs --gate "accept: coherence.coherent >= 0.5" --json - --download',
)
def scan(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files and folders; folders are searched recursively. With --engine ray also addresses (s3://…), "
            "@LIST, .parquet and .tar."
        ),
    ],
    *,
    include: Annotated[list[str] | None, _input(help='Only files named like this, as "*.png"; repeatable.')] = None,
    exclude: Annotated[list[str] | None, _input(help="Leave out files and folders named like this.")] = None,
    recursive: Annotated[bool, _input(help="Search folders in folders.")] = True,
    follow: Annotated[bool, _input("--follow", help="Follow symbolic links inside folders.")] = False,
    limit: Annotated[int, _input(min=0, help="Stop after this many files; 0 means all.")] = 0,
    pixel_limit: Annotated[int, _input(min=1, help="Megapixels above which a file is not opened.")] = 100,
    watch: Annotated[bool, _input("--watch", help="Also scan files as they appear, until Ctrl-C.")] = False,
    gate: GateOptions,
    everything: Annotated[
        bool,
        _gate("--score-all", help="Ask every model of the gate about every image, even when the verdict is clear."),
    ] = False,
    keep_duplicate: Annotated[
        KeepDuplicate,
        _gate(
            help="Which of near-duplicates stays; the others are duplicates of it. largest: more pixels, then less "
            "compressed, then not named as an intermediate, then newer. best: the largest number that the gate reads. "
            "newest: by date. first: by name."
        ),
    ] = "largest",
    json: Annotated[str, _output("--json", help="Write one JSON array to this file; - is the output stream.")] = "",
    jsonl: Annotated[str, _output("--jsonl", help="Write JSON lines as results come; - is the output stream.")] = "",
    csv: Annotated[str, _output("--csv", help="Write a table; - is the output stream.")] = "",
    report: Annotated[Path | None, _output(help="Write a self-contained HTML page.")] = None,
    sort: Annotated[
        Path | None,
        _sorting(help=f"Put the files into accepted, review and rejected in here, with their sidecars ({KINDS})."),
    ] = None,
    sort_by: Annotated[
        Literal["copy", "move", "link"], _sorting(help="How --sort places them; `keepers undo` takes it back.")
    ] = "copy",
    sidecar: Annotated[
        list[str] | None, _sorting("--sidecar", help="Another ending of sidecars, as .prompt; repeatable.")
    ] = None,
    db: Db = None,
    no_db: NoDb = False,
    fresh: Annotated[bool, _store("--fresh", help="Score again, even what the store knows.")] = False,
    machine: Machine,
    allow_missing: AllowMissing = False,
    quiet: Annotated[bool, _output("--quiet", "-q", help="Only the summary.")] = False,
    looking: Looking,
    cluster: ClusterOptions,
) -> None:
    """Score images and tell which are worth keeping.

    Without a gate the built-in preset `signals` finds failed generations and needs no files.
    """
    judge = machine.judge()
    chosen = gate.chosen(judge.store)
    judge.check(chosen)
    _check_keep(keep_duplicate, chosen)
    if cluster.engine == "ray":
        here = {"--json": json, "--jsonl": jsonl, "--csv": csv, "--report": report, "--sort": sort, "--db": db}
        here |= {"--sidecar": sidecar, "--watch": watch, "--limit": limit, "--fresh": fresh}
        refuse({**here, "--allow-missing": allow_missing}, "goes with the plain engine only.")
        search = Search(include or (), exclude or (), recursive, follow, hidden=looking.hidden)
        wanted = ClusterScan(paths, search, cluster, everything, pixel_limit * 1_000_000, machine, keep_duplicate)
        raise typer.Exit(run_on_cluster(wanted, chosen, quiet=quiet))
    refuse(cluster.given(), "goes with --engine ray only.")
    here_paths = local_paths(paths)
    require_models(judge, chosen.models, allow_missing=allow_missing)
    with ExitStack() as stack:
        store = None if no_db else stack.enter_context(open_store(db))
        show = thumbnail if report else None
        roots = [path for path in here_paths if path.is_dir()]
        options = ScanOptions(
            everything,
            fresh,
            _wants_details(json, jsonl, csv, report),
            show,
            pixel_limit * 1_000_000,
            keep=keep_duplicate,
        )
        job = _Job(
            Scan(judge, chosen, store, options),
            looking.search(
                include or (), exclude or (), recursive=recursive, follow=follow, skip=[sort] if sort else ()
            ),
            here_paths,
            limit,
            stack.enter_context(_outputs(chosen, json, jsonl, csv)),
            Report(report, _title(here_paths)) if report else None,
            stack.enter_context(_sorter(sort, sort_by, roots, sidecar or ())) if sort else None,
            allow_missing,
        )
        code = job.run(watch=watch, quiet=quiet)
    raise typer.Exit(code)


def _sorter(folder: Path, mode: Action, roots: Sequence[Path], more: Sequence[str]) -> Sorter:
    """Raises RecipeError for an ending that no sidecar can have."""
    for ending in more:
        check_extension(ending)
    return Sorter(folder, mode, roots=roots, endings=tuple(dict.fromkeys((*ENDINGS, *more))))


def _check_keep(keep: KeepDuplicate, gate: Gate) -> None:
    """Raises KeepersError if the best is to be kept by a gate that reads no number."""
    if keep == "best" and gate_number(gate) is None:
        raise KeepersError(
            "--keep-duplicate best keeps the image with the best number that the gate reads, but this gate reads none. "
            "Name a gate that does, such as --gate 'accept: coherence.coherent >= 0.5', or another --keep-duplicate."
        )


def _title(paths: Sequence[Path]) -> str:
    """The report's title: what was scanned."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].resolve().name}{more}"


def _wants_details(*targets: object) -> bool:
    return any(map(bool, targets))


def _outputs(gate: Gate, json: str, jsonl: str, csv: str) -> Outputs:
    outputs = Outputs()
    if json:
        outputs.open(json, JsonArray)
    if jsonl:
        outputs.open(jsonl, JsonLines, streamed=True)
    if csv:
        values = [(value.model, value.label) for value in gate.values]
        outputs.open(csv, lambda file: Csv(file, list(dict.fromkeys(values)), gate.models))
    return outputs


@dataclass
class _Job:
    """One call of the command, from the walk to the summary."""

    scan: Scan
    search: Search
    paths: Sequence[Path]
    limit: int
    outputs: Outputs
    report: Report | None
    sorter: Sorter | None
    allow_missing: bool

    def run(self, *, watch: bool, quiet: bool) -> int:
        """The exit code."""
        files, passed_over = self._walked()
        plan = self.scan.plan(files)
        console.print(f"scan {plan.to_scan:,}, skip {len(plan.known):,}")
        tell_passed_by(self.search)
        with ScanView(len(plan.files), quiet=quiet) as view:
            for entry in passed_over:
                view.passed_over(entry)
            if self.sorter:
                view.finished(self.sorter.finished)
            self.scan.looking = view.looking
            try:
                self._follow(plan, view, watch)
                stopped = False
            except KeyboardInterrupt:
                stopped = not watch  # Ctrl-C is how watching ends
        self._finish(view)
        if stopped:
            console.print("Stopped. The next run goes on from here.")
            return exit_codes.INTERRUPTED
        left = view.not_sorted or view.not_along or self.scan.taken_back
        return exit_codes.UNJUDGED if view.unread or view.not_judged or left else exit_codes.OK

    def _walked(self) -> tuple[list[Found], list[PassedOver]]:
        files: list[Found] = []
        passed_over: list[PassedOver] = []
        for entry in walk(self.paths, self.search):
            if isinstance(entry, PassedOver):
                passed_over.append(entry)
            elif not self.limit or len(files) < self.limit:
                files.append(entry)
        return files, passed_over

    def _follow(self, plan: ScanPlan, view: ScanView, watch: bool) -> None:
        away = moved_away(self.sorter.folder, self.paths) if self.sorter else {}
        self._take(self.scan.run(plan, away), view)
        seen = {found.path: (found.size, found.mtime_ns) for found in plan.files}
        while watch:
            time.sleep(WATCH_EVERY)
            self.search = replace(self.search, passed_by=None)  # told once
            new = [found for found in self._walked()[0] if self._is_new(found, seen)]
            if new:
                seen.update({found.path: (found.size, found.mtime_ns) for found in new})
                more = self.scan.plan(new)
                view.grow(len(more.files))
                self._take(self.scan.run(more), view)

    def _is_new(self, found: Found, seen: dict[Path, tuple[int, int]]) -> bool:
        settled = time.time() - found.mtime_ns / 1e9 > SETTLED
        return settled and seen.get(found.path) != (found.size, found.mtime_ns)

    def _take(self, results: Iterator[Scanned], view: ScanView) -> None:
        for result in results:
            placed = self._sort(self.sorter, result, view) if self.sorter else result
            view.add(placed)
            self.outputs.add(placed)
            if self.report:
                self.report.add(placed)

    def _sort(self, sorter: Sorter, result: Scanned, view: ScanView) -> Scanned:
        """The result with the path where its file is now."""
        if sorter.mode == "move" and not self._may_move(result):
            view.stayed += 1
            return result
        try:
            placed = sorter.place(result.path, result.verdict.outcome)
        except KeepersError as error:
            view.left(result.path, str(error))
            return result
        if placed.told:
            view.parted(result.path, placed.told)
        if sorter.mode != "move":
            return result
        self.scan.moved(result.path, placed.target)
        return replace(result, path=placed.target)

    def _may_move(self, result: Scanned) -> bool:
        """Whether a file may leave its place: if it was judged, or went without a model as the user allowed."""
        return all(one.kind == "missing" and self.allow_missing for one in result.verdict.unjudged)

    def _finish(self, view: ScanView) -> None:
        view.summary(self.scan.taken_back)
        if self.report:
            size = self.report.write(self.scan.gate, self.scan.judge, self.scan.fingerprints, view)
            console.print(f"report: {exit_codes.escaped(str(self.report.path))} ({size / 1e6:.1f} MB)")
        if self.sorter:
            folder = exit_codes.escaped(str(self.sorter.folder))
            console.print(f"sorted into {folder}; to take it back: keepers undo {folder}", soft_wrap=True)
