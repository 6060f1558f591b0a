"""`keepers tags`: which tags a folder's captions have, and how often."""

from __future__ import annotations

import csv as csv_files
import io
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.bar import Bar
from rich.table import Table

from ...collection.tag_table import TagPair, TagTable, tags_of_text
from ...core.captions.recipe import IMAGE_ENDINGS
from ...core.captions.sidecar import read_sidecar, sidecar_path
from ...core.captions.text import is_kaomoji
from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.metadata.beside import generation_beside
from ...core.pictures.walk import Found, Search, walk
from .. import exit_codes
from ..console import console
from ..looking import Looking, tell_passed_by
from ..options import examples, in_panel
from ..pages.page import write_page
from ..pages.panels import Panel, bars
from ..pages.panels import table as report_table
from ..pages.rows import Header

_input = in_panel("What to count")
_output = in_panel("Output")

_WIDTH = 40


@examples(
    "keepers tags images",
    "keepers tags images --pairs 20 --report tags.html",
)
def tags(
    paths: Annotated[list[Path], typer.Argument(help="Folders with captioned images, or images.")],
    extension: Annotated[str, _input(help="Extension of the caption files.")] = ".txt",
    top: Annotated[int, _output(min=0, help="Show this many tags; 0 means all.")] = 40,
    pairs: Annotated[int, _output(min=0, help="Also show this many pairs of tags that occur together.")] = 0,
    csv: Annotated[str, _output("--csv", help="Write all tags as a table; - is the output stream.")] = "",
    report: Annotated[Path | None, _output(help="Write a self-contained HTML page.")] = None,
    recursive: Annotated[bool, _input(help="Search folders in folders.")] = True,
    *,
    looking: Looking,
) -> None:
    """Show how often each tag stands in the captions: what is learnt, and what is missing or too common."""
    search = looking.search(recursive=recursive)
    counted = _counted(paths, extension, search)
    table = counted.table
    if csv:
        _write_csv(csv, table, pairs)
    if report:
        size = write_page(report, _header(table), [], _panels(table, top, pairs))
        console.print(f"report: {exit_codes.escaped(str(report))} ({size / 1e6:.1f} MB)")
    if csv != "-":
        _show(table, top)
        if pairs:
            _show_pairs(table.pairs(pairs))
    console.print(f"{table.images:,} captions, {len(table):,} tags, {table.empty:,} empty captions")
    if counted.without:
        console.print(f"{counted.without:,} images have no caption file ({exit_codes.escaped(extension)})")
    if counted.generation:
        console.print(f"{counted.generation:,} text files say how their image was made, and are no captions")
    tell_passed_by(search)
    for path, reason in counted.unread:
        console.print(f"[red]not counted[/] {exit_codes.escaped(str(path))}: {exit_codes.escaped(reason)}")
    raise typer.Exit(exit_codes.UNJUDGED if counted.unread else exit_codes.OK)


@dataclass
class _Counted:
    """What was found beside the images."""

    table: TagTable = field(default_factory=TagTable)
    without: int = 0
    """Images without a caption file."""
    generation: int = 0
    """Images whose text file says how they were made."""
    unread: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    """What could not be read, and why."""

    def add(self, image: Path, extension: str) -> None:
        """Counts one image's caption. Raises SidecarError."""
        text = read_sidecar(sidecar_path(image, extension))
        if text is None:
            self.without += 1
        elif generation_beside(text):
            self.generation += 1
        else:
            self.table.add(tags_of_text(text))


def _counted(paths: list[Path], extension: str, search: Search) -> _Counted:
    """The tags of all images' captions."""
    counted = _Counted()
    for entry in walk(paths, search):
        if not isinstance(entry, Found):
            counted.unread.append((entry.path, entry.reason))
            continue
        if entry.path.suffix.lower() not in IMAGE_ENDINGS:
            counted.unread.append((entry.path, "this is no image; name images or their folder"))
            continue
        try:
            counted.add(entry.path, extension)
        except KeepersError as error:
            counted.unread.append((entry.path, str(error)))
    return counted


def _show(table: TagTable, top: int) -> None:
    counts = table.counts(top)
    if not counts:
        return
    shown = Table("tag", box=None, pad_edge=False)
    shown.add_column("images", justify="right")
    shown.add_column("share", justify="right")
    shown.add_column("")
    for count in counts:
        bar = Bar(1.0, 0.0, count.share, width=_WIDTH)
        shown.add_row(exit_codes.escaped(count.tag), f"{count.images:,}", f"{count.share:.0%}", bar)
    console.print(shown)
    if len(table) > len(counts):
        console.print(f"and {len(table) - len(counts):,} more; --top 0 shows all", style="dim")


def _show_pairs(pairs: list[TagPair]) -> None:
    shown = Table("tag", "with", box=None, pad_edge=False)
    for column in ("images", "overlap", "lift"):
        shown.add_column(column, justify="right")
    for pair in pairs:
        names = (exit_codes.escaped(pair.first), exit_codes.escaped(pair.second))
        shown.add_row(*names, f"{pair.images:,}", f"{pair.overlap:.0%}", f"{pair.lift:.2f}")
    console.print(shown)
    console.print("overlap: images with both among those with either; lift: 1 means chance", style="dim")


def _header(table: TagTable) -> Header:
    from ... import __version__

    date = time.strftime("%Y-%m-%dT%H:%M:%S")
    title = f"Tags of {table.images:,} captions"
    return Header(title=title, gate="", models=[], duration=0.0, version=__version__, date=date, unread=[])


def _panels(table: TagTable, top: int, pairs: int) -> list[Panel]:
    """The frequencies as bars, all of them as a table, and the pairs that were asked for."""
    counts = table.counts()
    shown = counts[: top or None]
    share = {"share of captions": [round(100 * count.share, 1) for count in shown]}
    rows = [[count.tag, count.images, round(100 * count.share, 1)] for count in counts]
    found = [
        bars("Most frequent tags", [count.tag for count in shown], share, unit="%"),
        report_table("All tags", ["tag", "images", "share (%)"], rows),
    ]
    if pairs:
        note = "Overlap: images with both among those with either. Lift: 1 means that they meet by chance."
        met = [[p.first, p.second, p.images, round(100 * p.overlap, 1), round(p.lift, 2)] for p in table.pairs(pairs)]
        found.append(report_table("Tags together", ["tag", "with", "images", "overlap (%)", "lift"], met, note=note))
    return found


def _write_csv(target: str, table: TagTable, pairs: int) -> None:
    text = io.StringIO()
    writer = csv_files.writer(text)
    if pairs:
        writer.writerow(["tag", "with", "images", "overlap", "lift"])
        writer.writerows(
            [_cell(p.first), _cell(p.second), p.images, f"{p.overlap:.4f}", f"{p.lift:.4f}"] for p in table.pairs(pairs)
        )
    else:
        writer.writerow(["tag", "images", "share"])
        writer.writerows([_cell(count.tag), count.images, f"{count.share:.4f}"] for count in table.counts())
    if target == "-":
        sys.stdout.write(text.getvalue())
    else:
        atomic_write(Path(target), text.getvalue().encode("utf-8", "replace"))


def _cell(tag: str) -> str:
    """A tag that no spreadsheet reads as a formula."""
    return f"'{tag}" if tag[:1] in ("=", "+", "-", "@") and not is_kaomoji(tag) else tag
