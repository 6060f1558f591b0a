"""Where the results of a scan go besides the terminal: JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Protocol

from ...collection.scan import Scanned
from ...core.errors import KeepersError, encodable
from ...core.files import atomic_write
from ...core.gates.unjudged import as_table
from ...core.prediction import twins_of
from ..pages.scores import image_facts, shown_by_model, words


class Sink(Protocol):
    """Takes results one by one."""

    def add(self, result: Scanned) -> None:
        """Write one result."""
        ...

    def finish(self) -> None:
        """Write what comes at the end."""
        ...


def facts(result: Scanned) -> dict[str, object]:
    """A result as JSON values; NaN, which JSON lacks, becomes null."""
    image, twins = result.image, twins_of(result.answers)
    scores = {
        model: {label: value if math.isfinite(value) else None for label, value in values.items()}
        for model, values in shown_by_model(result.answers).items()
    }
    return {
        "path": encodable(str(result.path)),
        "verdict": result.verdict.outcome,
        "reason": encodable(result.verdict.reason),
        "error": result.error,
        "unjudged": [as_table(one) for one in result.verdict.unjudged],
        "duplicate_of": encodable(twins.kept),
        "duplicates": [encodable(name) for name in twins.others],
        "labels": words(result.answers),
        "scores": scores,
        **image_facts(image),
        "notes": [encodable(note) for note in image.notes],
        "content": image.content,
        "known": result.known,
    }


_FACTS = ("path", "verdict", "reason", "error", "width", "height", "seed", "prompt", "duplicate_of")
"""The columns of a table that say the same as the JSON."""


class JsonLines:
    """One JSON object per line, each written as soon as it is known."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, result: Scanned) -> None:
        self._file.write(json.dumps(facts(result), ensure_ascii=False) + "\n")
        self._file.flush()

    def finish(self) -> None:
        self._file.flush()


class JsonArray:
    """One JSON array; it is complete when the scan is."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._before = "[\n"

    def add(self, result: Scanned) -> None:
        self._file.write(self._before + json.dumps(facts(result), ensure_ascii=False))
        self._before = ",\n"

    def finish(self) -> None:
        self._file.write("\n]\n" if self._before != "[\n" else "[]\n")
        self._file.flush()


class Csv:
    """A table: facts about the file, its near-duplicates, one a line, then one column
    for each model's word and each number that the gate reads."""

    def __init__(self, file: IO[str], values: Sequence[tuple[str, str]], models: Sequence[str]) -> None:
        self._values = values
        self._models = models
        self._writer = csv.writer(file)
        columns = [f"{model} word" for model in models] + [f"{model}.{label}" for model, label in values]
        self._writer.writerow([*_FACTS, "duplicates", "unjudged", *columns, "notes"])

    def add(self, result: Scanned) -> None:
        row = facts(result)
        scores, labels = shown_by_model(result.answers), words(result.answers)
        self._writer.writerow(
            [row[key] for key in _FACTS]
            + ["\n".join(map(encodable, twins_of(result.answers).others))]
            + ["; ".join(one.short for one in result.verdict.unjudged)]
            + [labels.get(model, "") for model in self._models]
            + [scores.get(model, {}).get(label, "") for model, label in self._values]
            + ["; ".join(encodable(note) for note in result.image.notes)]
        )

    def finish(self) -> None:
        """Nothing comes at the end."""


class Outputs:
    """The files that were asked for; "-" is the output stream.

    A file is written beside its place and moved there when complete; only JSON lines grow in place.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._sinks: list[Sink] = []

    def open(self, target: str, make: Callable[[IO[str]], Sink], *, streamed: bool = False) -> None:
        """Open one file, or the output stream. Raises KeepersError."""
        try:
            self._sinks.append(make(sys.stdout if target == "-" else self._opened(Path(target), streamed)))
        except OSError as error:
            raise KeepersError(f"{target} cannot be written ({error.strerror or error}).") from error

    def _opened(self, path: Path, streamed: bool) -> IO[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if streamed:
            return self._stack.enter_context(path.open("w", encoding="utf-8", newline=""))
        return self._stack.enter_context(_whole(path))

    def add(self, result: Scanned) -> None:
        """Give a result to every file."""
        for sink in self._sinks:
            sink.add(result)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack:
            for sink in self._sinks:
                sink.finish()


@contextmanager
def _whole(path: Path) -> Generator[IO[str]]:
    with TemporaryFile() as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        file.seek(0)
        atomic_write(path, lambda target: shutil.copyfileobj(file, target))
        text.detach()
