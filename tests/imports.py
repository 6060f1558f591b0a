"""Who imports whom: every import statement of the package, lazy ones and those for the type checker included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREES = ("core", "collection", "models", "library", "train", "cluster", "nodes", "extension", "cli")


def statements(path: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Level, module and names of every import statement in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((0, alias.name, ()) for alias in node.names)


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every file of the package by its name without the ending, as "core/gates/gate"."""
    files = (path for tree in TREES for path in sorted((root / tree).rglob("*.py")))
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in files}


def imports(root: Path = ROOT) -> dict[str, set[str]]:
    """The files that each file imports. Raises LookupError for a relative import of nothing."""
    known = modules(root)
    return {name: set(_targets(name, path, known)) for name, path in known.items()}


def _targets(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    folder = name.split("/")[:-1]
    for level, module, names in statements(path):
        if not level:
            continue
        start = [*folder[: len(folder) - level + 1], *filter(None, module.split("."))]
        target = "/".join(start)
        if target in known:
            yield target
        elif start:
            inside = ["/".join((target, each)) for each in names]
            if lost := [each for each in inside if each not in known]:
                raise LookupError(f"{name} imports {', '.join(lost)}")
            yield from inside
