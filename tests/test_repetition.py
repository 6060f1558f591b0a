"""Nothing is written twice: no run of ten lines stands in two places of the tree, tests left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from keepers.tests.imports import ROOT, TREES

RUN = 10
KINDS = (".py", ".js", ".css", ".html")
FOLDERS = (*TREES, "benchmarks", "examples", "web", "scripts")


def sources(root: Path) -> list[Path]:
    """The files of the product that are written by hand."""
    inside = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in KINDS)
    return sorted([*inside, *root.glob("*.py")])


def runs(path: Path) -> Iterator[tuple[int, str]]:
    """Every run of `RUN` lines that are not blank, without their indentation, and the line it begins at."""
    lines = [(number, line.strip()) for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    for start in range(len(lines) - RUN + 1):
        yield lines[start][0], "\n".join(line for _, line in lines[start : start + RUN])


def repeated(root: Path) -> list[str]:
    """The places at which a run stands that stood somewhere before."""
    first: dict[str, str] = {}
    again: list[str] = []
    for path in sources(root):
        for number, run in runs(path):
            place = f"{path.relative_to(root).as_posix()}:{number}"
            if run in first:
                again.append(f"{place} repeats {first[run]}")
            first.setdefault(run, place)
    return again


def test_no_ten_lines_stand_twice() -> None:
    assert repeated(ROOT) == []


def test_a_repetition_is_found(tmp_path: Path) -> None:
    block = "\n\n".join(f"    line {number}" for number in range(RUN))
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "one.py").write_text(f"before\n{block}\n", encoding="utf-8")
    (tmp_path / "core" / "two.py").write_text(block.replace("    ", ""), encoding="utf-8")
    assert repeated(tmp_path) == ["core/two.py:1 repeats core/one.py:2"]
