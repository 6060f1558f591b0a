"""The user's labels together with the results of scans on clusters: the store is asked first, then the outputs."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ...collection.mark_store import MarkStore
from ...collection.store import SeenImage, Store
from ...core.prediction import Prediction
from ..sources.item import path_of
from .output import Output
from .parts import RowPlace, image_rows, picked, pieces
from .predictions import predictions, unusable
from .schema import ImageRow, ModelColumn

PLACE = ("uri", "member")
FACTS = ("content", "width", "height", "prompt", "negative", "seed", "sampler", "generator", "source", "notes")


class _Found(NamedTuple):
    """A row that an output has of an image."""

    output: Output
    content: str
    row: ImageRow


class KnownOutputs(MarkStore):
    """A store of labels that also knows what some outputs hold about images. The outputs are never written to.

    Rows are located in one pass over the content hashes, for all images asked for together. Memory grows with the
    images asked for, not with the outputs.
    """

    def __init__(self, store: Store, outputs: Sequence[Output]) -> None:
        """Raises OutputError if a folder holds no output."""
        super().__init__(store)
        self._outputs = [(output, output.require_settings()) for output in outputs]
        self._spots: list[dict[str, list[RowPlace]]] = [{} for _ in outputs]
        self._sought: set[str] = set()

    def paths(self, contents: Iterable[str]) -> dict[str, list[Path]]:
        """Where files with these contents were last seen, by the store, else by the scan that wrote an output."""
        listed = list(contents)
        found = super().paths(listed)
        for one in self._rows(_missing(listed, found), (*PLACE, "content")):
            path = None if one.row.item.member else path_of(one.row.item.uri)
            if path is not None:
                found.setdefault(one.content, []).append(path)
        return found

    def addresses(self, contents: Iterable[str]) -> dict[str, str]:
        """Remote addresses and members of containers, as users see them, by content."""
        found: dict[str, str] = {}
        for one in self._rows(list(contents), (*PLACE, "content")):
            if one.row.item.member or path_of(one.row.item.uri) is None:
                found.setdefault(one.content, one.row.item.name)
        return found

    def images(self, contents: Iterable[str]) -> dict[str, SeenImage]:
        """What is known of images, by content."""
        listed = list(contents)
        found = super().images(listed)
        for one in self._rows(_missing(listed, found), FACTS):
            found.setdefault(one.content, one.row.image)
        return found

    def predictions(self, contents: Iterable[str], model: str, fingerprint: str) -> dict[str, Prediction]:
        """A model's predictions under one fingerprint, by content: only complete ones, never a few tags."""
        listed = list(contents)
        found = super().predictions(listed, model, fingerprint)
        for place, column in self._serving(model, fingerprint):
            limited = _missing(listed, [content for content, one in found.items() if not one.tolerance])
            found = {**self._said(place, column, limited), **found} | {
                content: one for content, one in self._said(place, column, limited).items() if not one.tolerance
            }
        return found

    def every(self, model: str, fingerprint: str) -> Iterator[dict[str, Prediction]]:
        """All predictions of a model under one fingerprint; an image that is stored several times is repeated."""
        yield from super().every(model, fingerprint)
        for place, column in self._serving(model, fingerprint):
            for _, found in pieces(self._outputs[place][0], ("content", model)):
                pairs = zip(found["content"].to_pylist(), predictions(found, column), strict=True)
                yield {content: prediction for content, prediction in pairs if content and prediction is not None}

    def other_fingerprints(self, contents: Iterable[str], model: str, fingerprint: str) -> set[str]:
        """Which of these images the same model scored with weights of another fingerprint."""
        listed = list(contents)
        found = super().other_fingerprints(listed, model, fingerprint)
        for place, (_, settings) in enumerate(self._outputs):
            column = settings.column(model)
            if column is not None and column.fingerprint != fingerprint:
                found |= self._said(place, column, listed).keys()
        return found

    def unusable(self, model: str, fingerprint: str) -> list[str]:
        """Why outputs cannot serve a model, one line each."""
        reasons = (unusable(output.where, found.column(model), model, fingerprint) for output, found in self._outputs)
        return list(filter(None, reasons))

    def _serving(self, model: str, fingerprint: str) -> list[tuple[int, ModelColumn]]:
        """The outputs that hold a model's complete predictions, by position, with the column."""
        columns = [settings.column(model) for _, settings in self._outputs]
        return [(n, one) for n, one in enumerate(columns) if one and not unusable("", one, model, fingerprint)]

    def _said(self, place: int, column: ModelColumn, contents: Sequence[str]) -> dict[str, Prediction]:
        """One output's predictions of a model, by content; of several for one image, the most exact."""
        found: dict[str, Prediction] = {}
        for content, table in self._tables(place, contents, (column.model,)):
            for key, prediction in zip(content, predictions(table, column), strict=True):
                known = found.get(key)
                if prediction is not None and (known is None or prediction.tolerance < known.tolerance):
                    found[key] = _apart(prediction)
        return found

    def _rows(self, contents: Sequence[str], columns: Sequence[str]) -> Iterator[_Found]:
        for place, (output, _) in enumerate(self._outputs):
            for found, table in self._tables(place, contents, columns):
                yield from (_Found(output, c, row) for c, row in zip(found, image_rows(table, ()), strict=True))

    def _tables(
        self, place: int, contents: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """One output's rows for some images, with their contents."""
        self._seek(contents)
        spots = {spot: content for content in contents for spot in self._spots[place].get(content, ())}
        for found, table in picked(self._outputs[place][0], spots, columns):
            yield [spots[spot] for spot in found], table

    def _seek(self, contents: Iterable[str]) -> None:
        """Locates images that were not looked up before."""
        fresh = sorted(set(contents) - self._sought)
        if not fresh:
            return
        self._sought.update(fresh)
        wanted = pa.array(fresh, pa.string())
        for (output, _), spots in zip(self._outputs, self._spots, strict=True):
            for first, found in pieces(output, ("content",)):
                column = found["content"]
                for row in pc.indices_nonzero(pc.is_in(column, value_set=wanted)).to_pylist():  # pyright: ignore[reportAttributeAccessIssue]  made at import
                    spots.setdefault(column[row].as_py(), []).append(RowPlace(first.part, first.row + row))


def _missing(contents: Sequence[str], found: Iterable[str]) -> list[str]:
    known = set(found)
    return [content for content in contents if content not in known]


def _apart(prediction: Prediction) -> Prediction:
    """The prediction with a copy of its values, so that the table it was read from can be freed."""
    return replace(prediction, values=prediction.values.copy())
