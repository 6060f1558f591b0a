"""The shape of the tree in numbers; BASE_DIR=PATH puts another checkout beside it, as for before and after."""

from __future__ import annotations

import ast
import os
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from keepers.tests.imports import ROOT, imports, modules
from keepers.tests.test_repetition import repeated


def spread(numbers: list[int]) -> str:
    """The median and the ninetieth percentile."""
    return f"{statistics.median(numbers):.0f} / {statistics.quantiles(numbers, n=10)[-1]:.0f}"


def in_circles(graph: Mapping[str, set[str]]) -> int:
    """How many files import themselves, however far around."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = graph[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        return seen

    return sum(name in reached(name) for name in graph)


def functions(path: Path) -> list[int]:
    """The lines of every function in a file, from its `def` to its end."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in found]


def measured(root: Path) -> dict[str, str]:
    """The numbers of one checkout, by what they are."""
    files = modules(root)
    folders = Counter(name.rpartition("/")[0] for name in files)
    largest, count = folders.most_common(1)[0]
    lengths = [function for path in files.values() for function in functions(path)]
    return {
        "files of Python": f"{len(files)}",
        "folders": f"{len(folders)}",
        "largest folder": f"{count} ({largest}/)",
        "files in import circles": f"{in_circles(imports(root))}",
        "ten lines that stand twice": f"{len(repeated(root))}",
        "lines a file, median / p90": spread([len(path.read_text("utf-8").splitlines()) for path in files.values()]),
        "lines a function, median / p90": spread(lengths),
        "longest file": f"{max(len(path.read_text('utf-8').splitlines()) for path in files.values())}",
        "longest function": f"{max(lengths)}",
    }


def main() -> None:
    """Print a row for each number, with a column for the checkout at BASE_DIR where one is named."""
    columns = {"here": measured(ROOT)}
    if base := os.environ.get("BASE_DIR"):
        columns = {"base": measured(Path(base)), **columns}
    print(f"{'':32}" + "".join(f"{name:>24}" for name in columns))
    for what in next(iter(columns.values())):
        print(f"{what:32}" + "".join(f"{column[what]:>24}" for column in columns.values()))


if __name__ == "__main__":
    main()
