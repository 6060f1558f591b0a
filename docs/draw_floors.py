"""Draws docs/floors.svg: which folder imports which, read from the import statements themselves.

    python docs/draw_floors.py

A folder stands one floor above the highest folder that it imports. An arrow means "imports"; an import that follows
from others is not drawn. The folders inside a folder are stacked by the same rule. Nothing of the package is imported
here, and equal trees give equal pictures, so a test can compare.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "floors.svg"

SAYS = {
    "cli": "the command's door: keepers …",
    "nodes": "ComfyUI's door",
    "extension": "the WebUI's door",
    "library": "the door for programs: import keepers",
    "gallery": "one page to look through images, for all doors",
    "train": "learning from your images",
    "cluster": "the same scan on Ray",
    "collection": "work on folders of images, with a store",
    "models": "the classifiers, one line each in the registry",
    "core": "what every door shares: gates, the judge, weights, pictures, metadata, captions",
}
"""What each folder is, in a few words. Only these folders are drawn."""

Graph = Mapping[str, set[str]]
"""What each name imports."""

WIDTH, MARGIN, GUTTER, BETWEEN, GAP = 1000, 28, 30, 20, 52
"""Pixels: the picture, its border, the floors' numbers, between boxes, between floors."""
PAD, LINE, CHIP, LETTER, MONO = 14, 18, 24, 6.7, 7.5
"""Pixels: inside a box, a line of text, a chip, the width of a letter of text and of a fixed-width one."""


def python_files(folder: Path) -> list[Path]:
    """All Python files below a folder, in a fixed order."""
    return sorted(folder.rglob("*.py"), key=lambda path: path.as_posix())


def imports(path: Path, root: Path) -> Iterator[tuple[str, ...]]:
    """The files and folders that a file imports from the package, as parts of their paths below `root`.

    Imports inside functions and those for type checkers count too.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = path.relative_to(root).parts[: -node.level]
            names = [node.module.split(".")] if node.module else [[alias.name] for alias in node.names]
            yield from ((*above, *name) for name in names)


def folders(root: Path) -> Graph:
    """Each folder with the folders that it imports."""
    found = {name: set[str]() for name in SAYS if python_files(root / name)}
    for name, imported in found.items():
        for path in python_files(root / name):
            imported.update(target[0] for target in imports(path, root) if target and target[0] in found)
        imported.discard(name)
    return found


def inside(root: Path, folder: str) -> Graph:
    """The folders and files directly inside a folder, with those that they import."""
    found: dict[str, set[str]] = {}
    for path in python_files(root / folder):
        own = _inner(path.relative_to(root).with_suffix("").parts)
        targets = {_inner(target) for target in imports(path, root) if len(target) > 1 and target[0] == folder}
        found.setdefault(own, set()).update(targets - {own})
    return {name: {target for target in targets if target in found} for name, targets in found.items()}


def _inner(parts: Sequence[str]) -> str:
    return f"{parts[1]}/" if len(parts) > 2 else parts[1]


def reach(graph: Graph, name: str) -> set[str]:
    """All that a name imports, directly or by way of others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += sorted(new)
    return found


def floors(graph: Graph, counts: Mapping[str, int] | None = None) -> dict[str, int]:
    """The floor of each name, from 1 on; names that import each other share one.

    `counts` tells how much higher a name stands than what it imports; 1 where it says nothing.
    """
    below = {name: reach(graph, name) for name in graph}
    found: dict[str, int] = {}
    for name in sorted(graph, key=lambda each: (len(below[each]), each)):
        circle = {other for other in below[name] if name in below[other]} | {name}
        step = max((counts or {}).get(each, 1) for each in circle)
        under = [found[each] for each in below[name] - circle if each in found]
        found[name] = max(under, default=0) + step
    return found


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """The imports that do not follow from others, as (from, to)."""
    return [
        (name, target)
        for name in sorted(graph)
        for target in sorted(graph[name])
        if not any(target in reach(graph, other) for other in graph[name] - {target})
    ]


@dataclass(frozen=True)
class Box:
    """A folder on the picture: its text, and its inner folders row by row, from the top."""

    name: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        """In pixels, with the border."""
        return 2 * PAD + LINE * (1 + len(self.lines)) + CHIP * len(self.rows) + (6 if self.rows else 0)

    @property
    def middle(self) -> float:
        """In pixels from the left."""
        return self.x + self.width / 2


def chip_width(name: str) -> float:
    """In pixels."""
    return len(name) * MONO + 14


def fill(names: Sequence[str], width: float) -> list[tuple[str, ...]]:
    """Chips in rows of at most `width` pixels."""
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and sum(chip_width(each) + 6 for each in (*rows[-1], name)) - 6 > width:
            rows.append([])
        rows[-1].append(name)
    return [tuple(row) for row in rows]


def box(root: Path, name: str, x: float, y: float, width: float) -> Box:
    """The box of a folder."""
    graph = inside(root, name)
    stands = floors(graph, {each: int(each.endswith("/")) for each in graph})
    chips = sorted((each for each in graph if each.endswith("/")), key=lambda each: (-stands[each], each))
    rows: list[tuple[str, ...]] = []
    for level in sorted({stands[each] for each in chips}, reverse=True):
        rows += fill([each for each in chips if stands[each] == level], width - 2 * PAD)
    text = tuple(textwrap.wrap(SAYS[name], int((width - 2 * PAD) / LETTER)))
    return Box(name, text, tuple(rows), x, y, width)


def widths(root: Path, names: Sequence[str]) -> list[float]:
    """The widths of the boxes on one floor: the more they hold, the wider."""
    free = WIDTH - 2 * MARGIN - GUTTER - BETWEEN * (len(names) - 1)
    wanted = [150 + 12 * sum(each.endswith("/") for each in inside(root, name)) for name in names]
    return [free * each / sum(wanted) for each in wanted]


def ordered(graph: Graph) -> list[list[str]]:
    """The names on each floor, from the ground; each near what it imports."""
    stands = floors(graph)
    place: dict[str, float] = {}
    rows: list[list[str]] = []
    for level in sorted(set(stands.values())):
        row = [name for name in graph if stands[name] == level]
        drawn = {name: [place[target] for start, target in arrows(graph) if start == name] for name in row}
        row.sort(key=lambda name: (sum(drawn[name]) / len(drawn[name]) if drawn[name] else 0.0, name))
        place |= {name: (index + 0.5) / len(row) for index, name in enumerate(row)}
        rows.append(row)
    return rows


def boxes(root: Path, graph: Graph) -> tuple[dict[str, Box], float]:
    """All boxes by name, and the height of the picture."""
    found: dict[str, Box] = {}
    y = float(MARGIN)
    for row in reversed(ordered(graph)):
        x = float(MARGIN + GUTTER)
        for name, width in zip(row, widths(root, row), strict=True):
            found[name] = box(root, name, x, y, width)
            x += width + BETWEEN
        y += max(found[name].height for name in row) + GAP
    return found, y - GAP + MARGIN


def draw(root: Path = ROOT) -> str:
    """The picture as SVG, with colours for light and dark."""
    graph = folders(root)
    drawn, height = boxes(root, graph)
    tallest = {level: max(drawn[name].height for name in row) for level, row in enumerate(ordered(graph), 1)}
    stands = floors(graph)
    parts = [HEAD.format(width=WIDTH, height=round(height))]
    parts += [arrow(drawn[start], drawn[end], graph, drawn) for start, end in arrows(graph)]
    for name, each in sorted(drawn.items()):
        parts += draw_box(each, tallest[stands[name]])
    for level, row in enumerate(ordered(graph), 1):
        first = drawn[row[0]]
        parts.append(text(MARGIN + 4, first.y + tallest[level] / 2 + 5, str(level), "floor"))
    return "\n".join([*parts, "</svg>", ""])


def draw_box(each: Box, height: float) -> Iterator[str]:
    """A folder; boxes of one floor are equally high."""
    yield rectangle(each.x, each.y, each.width, height, 10, "box")
    yield text(each.x + PAD, each.y + PAD + 12, f"{each.name}/", "name")
    for number, line in enumerate(each.lines, 1):
        yield text(each.x + PAD, each.y + PAD + 12 + LINE * number, line, "says")
    top = each.y + PAD + LINE * (1 + len(each.lines)) + 6
    for number, row in enumerate(each.rows):
        x = each.x + PAD
        for name in row:
            yield rectangle(x, top + CHIP * number, chip_width(name), CHIP - 4, 5, "chip")
            yield text(x + 7, top + CHIP * number + 14.5, name, "inner")
            x += chip_width(name) + 6


def arrow(start: Box, end: Box, graph: Graph, drawn: Mapping[str, Box]) -> str:
    """From the bottom of a box to the top of one below; arrows at one box stand side by side."""
    out = sorted((target for origin, target in arrows(graph) if origin == start.name), key=lambda n: drawn[n].middle)
    into = sorted((origin for origin, target in arrows(graph) if target == end.name), key=lambda n: drawn[n].middle)
    x1 = start.x + start.width * (out.index(end.name) + 1) / (len(out) + 1)
    x2 = end.x + end.width * (into.index(start.name) + 1) / (len(into) + 1)
    y1, y2 = start.y + 20, end.y - 7  # the box covers what is above its lower edge
    bend = y2 - GAP / 2 + 3
    return (
        f'<path class="arrow" marker-end="url(#tip)" d="M{x1:.1f} {y1:.1f}V{bend - 12:.1f}'
        f'C{x1:.1f} {bend + 8:.1f} {x2:.1f} {bend - 8:.1f} {x2:.1f} {y2:.1f}"/>'
    )


def rectangle(x: float, y: float, width: float, height: float, round_: float, kind: str) -> str:
    """A rectangle with round corners."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_:g}"/>'


def text(x: float, y: float, words: str, kind: str) -> str:
    """A line of text; `words` is ours and needs no escaping."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{words}</text>'


HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>Who may import whom: the folders of Keepers in floors, each above those that it imports</title>
<style>
svg {{ --paper: #ffffff; --ink: #1c2530; --soft: #51606f; --box: #f1f5f9; --edge: #9fb0c1; --chip: #dce7f3; }}
@media (prefers-color-scheme: dark) {{
svg {{ --paper: #12171d; --ink: #eef3f8; --soft: #adbbc9; --box: #1d252e; --edge: #566778; --chip: #2c3b4b; }}
}}
.paper {{ fill: var(--paper); }}
.box {{ fill: var(--box); stroke: var(--edge); stroke-width: 1.5; }}
.chip {{ fill: var(--chip); }}
.arrow {{ fill: none; stroke: var(--soft); stroke-width: 1.5; }}
.tip {{ fill: var(--soft); }}
text {{ font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft); }}
.name {{ font: bold 15px ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink); }}
.inner {{ font: 12px ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink); }}
.floor {{ font-size: 15px; font-weight: bold; }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path class="tip" d="M0 0L8 4L0 8Z"/></marker></defs>
<rect class="paper" width="{width}" height="{height}" rx="12"/>"""


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
