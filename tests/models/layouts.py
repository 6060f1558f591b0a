"""The recorded layouts of published weight files: the name and shape of every tensor, in tests/data/contract.

`FOLDER/NAME.json` stands for the file NAME that a WeightFile keeps in FOLDER. Runs of equal layers are folded into one
line: "blocks.{0..26}.norm1.weight" stands for 27 names. `write_layouts.py` beside this file writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keepers.core.weights.weight_file import WeightFile

DATA = Path(__file__).parents[1] / "data" / "contract"
RUN = re.compile(r"\{(\d+)\.\.(\d+)\}")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What a weight file holds, without its numbers."""

    source: str
    """Where the names and shapes come from."""
    tensors: Mapping[str, Shape]
    integers: tuple[str, ...] = ()
    """Names of tensors of whole numbers; all others are float32."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """The text in a safetensors file's header."""


def place(file: WeightFile) -> Path:
    """Where the layout of a weight file is recorded."""
    return DATA / file.folder / f"{file.name}.json"


def read_layout(file: WeightFile) -> Layout:
    """The recorded layout. Raises FileNotFoundError."""
    found = json.loads(place(file).read_text("utf-8"))
    tensors = {name: tuple(shape) for folded, shape in found["tensors"].items() for name in unfold(folded)}
    return Layout(found["source"], tensors, tuple(found.get("integers", ())), found.get("metadata", {}))


def write_layout(file: WeightFile, layout: Layout) -> None:
    """Record a layout, one line for each name or run of names."""
    tensors = fold(layout.tensors)
    assert {name for folded in tensors for name in unfold(folded)} == set(layout.tensors)
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(shape)}" for name, shape in tensors.items())
    more = {key: value for key, value in (("integers", layout.integers), ("metadata", layout.metadata)) if value}
    rest = "".join(f',\n"{key}":{json.dumps(value, ensure_ascii=False)}' for key, value in more.items())
    path = place(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"source":{json.dumps(layout.source)},\n"tensors":{{\n{lines}}}{rest}}}\n', "utf-8")


def unfold(name: str) -> Iterable[str]:
    """The names that a folded one stands for."""
    found = RUN.search(name)
    if found is None:
        return [name]
    start, end = name[: found.start()], name[found.end() :]
    return [one for number in range(int(found[1]), int(found[2]) + 1) for one in unfold(f"{start}{number}{end}")]


def fold(tensors: Mapping[str, Shape]) -> dict[str, Shape]:
    """Names of equal shape that differ in one number, with no gap between the numbers, as one name."""
    folded = dict(tensors)
    for position in range(max(name.count(".") for name in tensors) + 1):
        folded = _fold_at(folded, position)
    return folded


def _fold_at(tensors: Mapping[str, Shape], position: int) -> dict[str, Shape]:
    runs: dict[tuple[str, str, Shape], list[list[int]]] = {}
    order: dict[tuple[str, str, Shape, int], str] = {}
    for name, shape in tensors.items():
        parts = name.split(".")
        if len(parts) <= position or not parts[position].isdigit() or RUN.search(name):
            order[name, "", shape, -1] = name
            continue
        number = int(parts[position])
        key = ".".join(parts[:position]), ".".join(parts[position + 1 :]), shape
        found = runs.setdefault(key, [])
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
        order[(*key, found[-1][0])] = ""
    result: dict[str, Shape] = {}
    for (start, end, shape, first), plain in order.items():
        if first < 0:
            result[plain] = shape
            continue
        (run,) = (run for run in runs[start, end, shape] if run[0] == first)
        middle = str(first) if len(run) == 1 else f"{{{run[0]}..{run[-1]}}}"
        result[".".join(part for part in (start, middle, end) if part)] = shape
    return result
