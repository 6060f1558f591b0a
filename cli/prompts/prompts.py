"""`keepers prompts`: which prompts fool a detector, or pass a gate, and what sets them apart."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from ...collection.known_classes import by_table
from ...collection.scan import Scan, ScanOptions
from ...collection.statistics.nouns import find_tagger
from ...collection.statistics.prompts import Nouns, PromptGroup, compare_having, compare_numbers
from ...collection.store import Store, path_of
from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from ...core.pictures.walk import Found, Search, walk
from .. import exit_codes
from ..completion import model_ids
from ..console import console
from ..gates import TextOrPreset
from ..known_output import named_output, needing_arrow
from ..looking import Looking, tell_passed_by
from ..machine import AllowMissing, Machine, require_models
from ..options import examples, in_panel
from ..store import Db, open_store
from .groups import NOT_JUDGED, Findings, Grouped, GroupRule, fooled_gate, prompt_of, require_class
from .report import show, write_report

_groups = in_panel("What separates the images")
_statistics = in_panel("Statistics")
_output = in_panel("Output")


@examples(
    "keepers prompts generated --model realism:mine --truth ai",
    "keepers prompts ~/outputs --preset faramir --report prompts.html",
)
def prompts(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, or the output of a scan with --engine ray. Default: all in the store that are still there."
        ),
    ] = None,
    *,
    model: Annotated[
        str,
        _groups(
            "--model", "-m", help="The detector that the prompts may fool; with --truth.", autocompletion=model_ids
        ),
    ] = "",
    truth: Annotated[str, _groups(help="The true class of all these images, such as ai.")] = "",
    gate: TextOrPreset,
    table: Annotated[
        Path | None, _groups("--table", help="A CSV with the columns file and prompt.", show_default=False)
    ] = None,
    csv: Annotated[Path | None, _output(help="Write all counts and words as CSV.", show_default=False)] = None,
    report: Annotated[Path | None, _output(help="Write a page with plots.", show_default=False)] = None,
    resamples: Annotated[int, _statistics(min=100, max=1_000_000, help="Draws of the bootstrap.")] = 10_000,
    seed: Annotated[int, _statistics(min=0, help="Seed of the bootstrap.")] = 0,
    top: Annotated[int, _output(min=1, help="How many words of each kind to show.")] = 15,
    looking: Looking,
    db: Db = None,
    machine: Machine,
    allow_missing: AllowMissing = False,
) -> None:
    """Compare the prompts of images that fooled a detector, or that a gate accepts, with those of the others.

    The others are the images that the detector caught, and those that the gate rejects.

    Prompts come from --table, else from the images' own metadata, else from caption files beside them (.txt). The
    output of a scan has verdicts and predictions of its own: there, nothing is judged, and --gate may be left out.
    """
    judge, output, search = machine.judge(), named_output(paths), looking.search()
    told = by_table(table, ("prompt", "description", "caption", "text")) if table else {}
    nouns, tagger = find_tagger()
    with ExitStack() as stack:
        if output is not None:
            with needing_arrow():
                from .output import from_output
            asked, grouped = from_output(output, judge, (model, truth), gate.named(judge.store), told)
        else:
            chosen = gate.named(judge.store)
            require_models(judge, [model] if model else [])
            asked = _asked(judge, (model, truth), chosen)
            require_models(judge, asked.gate.models, allow_missing=allow_missing)
            store = stack.enter_context(open_store(db))
            grouped = _scanned(asked, judge, store, [Path(path) for path in paths or ()], told, search)
        found = findings(asked, grouped, nouns, tagger, resamples=resamples, seed=seed)
    show(found, top)
    tell_passed_by(search)
    if csv:
        atomic_write(csv, _csv(found).encode())
    if report:
        write_report(report, found)
        console.print(f"report: {exit_codes.escaped(str(report))}", soft_wrap=True)
    raise typer.Exit(exit_codes.UNJUDGED if found.not_judged else exit_codes.OK)


def _asked(judge: Judge, fooled: tuple[str, str], gate: Gate | None) -> GroupRule:
    """What separates images that are judged now. Raises KeepersError, GateError, and what loading the model raises."""
    model, truth = fooled
    if bool(model) == bool(gate):
        raise KeepersError("Say what separates the images: --model with --truth, or --gate, or --preset.")
    if gate:
        judge.check(gate)
        return GroupRule(gate)
    require_class(truth, judge.classifier(model).labels.names)
    return GroupRule(fooled_gate(model, truth), model, truth)


def _scanned(
    asked: GroupRule, judge: Judge, store: Store, paths: Sequence[Path], table: Mapping[Path, str], search: Search
) -> Grouped:
    """Images that are judged now, or were judged before."""
    files = [one for one in walk(paths or _known(store), search) if isinstance(one, Found)]
    scan = Scan(judge, asked.gate, store, ScanOptions(details=True))
    by_path = {path.resolve(): text for path, text in table.items()}
    results = track(scan.run(scan.plan(files)), "judging", total=len(files), console=console, transient=True)
    for result in results:
        group = NOT_JUDGED if result.error else asked.group(result.verdict, result.answers)
        yield group, prompt_of(result.path, result.image.positive, by_path)


def _known(store: Store) -> list[Path]:
    found = [path_of(key) for (key,) in store.query("SELECT path FROM file ORDER BY path")]
    there = [path for path in found if path.is_file()]
    if not there:
        raise KeepersError("The store knows no image that is still there: name files or folders.")
    return there


def findings(
    asked: GroupRule, grouped: Grouped, nouns: Nouns | None, tagger: str, *, resamples: int, seed: int
) -> Findings:
    """Compare the prompts of the two groups. Raises KeepersError where a group is empty or nothing has a prompt."""
    groups = {name: PromptGroup(nouns) for name in asked.names}
    without = neither = not_judged = 0
    for group, prompt in grouped:
        if group == NOT_JUDGED:
            not_judged += 1
        elif not group:
            neither += 1
        elif not prompt.strip():
            without += 1
        else:
            groups[group].add(prompt)
    _require_both({name: group.size for name, group in groups.items()}, without, neither, not_judged)
    first, second = (groups[name] for name in asked.names)
    sizes = first.size, second.size
    kinds = {
        kind: compare_having((first.having[kind], second.having[kind]), sizes)
        for kind in ("words", "LoRAs", "nouns")
        if kind in first.having
    }
    counted = compare_numbers(first, second, resamples=resamples, seed=seed)
    return Findings(asked.names, (first, second), without, neither, not_judged, counted, kinds, tagger)


def _require_both(groups: Mapping[str, int], without: int, neither: int, not_judged: int) -> None:
    if not any(groups.values()) and without:
        raise KeepersError(
            f"None of the {without:,} images has a prompt, neither in its metadata nor in a .txt file beside it. "
            "Give a CSV with the columns file and prompt: --table FILE."
        )
    for name, size in groups.items():
        if not size:
            left = {"have no prompt": without, "are in no group": neither, "could not be judged": not_judged}
            more = ", ".join(f"{count:,} images {what}" for what, count in left.items() if count)
            told = f"No image with a prompt is {name}: there is nothing to compare"
            raise KeepersError(f"{told} ({more})." if more else f"{told}.")


def _csv(found: Findings) -> str:
    buffer = io.StringIO(newline="")
    table = csv_format.writer(buffer)
    one, two = found.names
    table.writerow(
        ["kind", "name", one, two, f"variance {one}", f"variance {two}", "z", "p", "p corrected", "study's p"]
    )
    for count in found.counts:
        table.writerow(["count", count.name, *count.means, *count.variances, "", count.p, count.corrected, count.study])
    for kind, listed in found.found.items():
        for word in listed:
            table.writerow([kind, _safe(word.word), *word.counts, "", "", word.score, word.p, word.corrected, ""])
    return buffer.getvalue()


def _safe(text: str) -> str:
    """A text that no spreadsheet reads as a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
