"""Extra panels of a report: a title and data that the page draws. None of them touches the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["bars", "scatter", "lines", "table", "text"]
Number = float | int | None
"""None, NaN and infinities are gaps, where nothing is drawn."""


@dataclass(frozen=True)
class Panel:
    """One panel; the functions below make the data of each kind."""

    title: str
    kind: Kind
    data: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    """One or two sentences that say how to read it."""


def bars(
    title: str,
    categories: Sequence[str],
    series: Mapping[str, Sequence[Number]],
    *,
    stacked: bool = False,
    unit: str = "",
    note: str = "",
) -> Panel:
    """Bars over categories, one colour per series; a series named after a verdict gets that verdict's colour."""
    _same_length(title, len(categories), series)
    found = {"categories": list(categories), "series": _listed(series), "stacked": stacked, "unit": unit}
    return Panel(title, "bars", found, note)


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[Number]],
    *,
    x_label: str = "",
    y_label: str = "",
    note: str = "",
) -> Panel:
    """Lines over increasing x."""
    _same_length(title, len(x), series)
    found = {"x": list(x), "series": _listed(series), "xLabel": x_label, "yLabel": y_label}
    return Panel(title, "lines", found, note)


def scatter(
    title: str,
    x: Sequence[Number],
    y: Sequence[Number],
    rows: Sequence[int],
    *,
    groups: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    note: str = "",
) -> Panel:
    """Points that are images: `rows` are positions in the report's rows; a click opens the image.

    `groups` names a group for each point, which gives its colour; without groups the verdict does.
    """
    _same_length(title, len(x), {"y": y, "rows": rows, **({"groups": groups} if groups else {})})
    names = list(dict.fromkeys(groups))
    found = {"x": list(x), "y": list(y), "rows": list(rows), "names": names, "xLabel": x_label, "yLabel": y_label}
    place = {name: index for index, name in enumerate(names)}
    return Panel(title, "scatter", {**found, "groups": [place[group] for group in groups]}, note)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Number]], *, note: str = "") -> Panel:
    """A table whose columns sort on a click; numbers are right-aligned."""
    _same_length(title, len(columns), {f"row {index}": row for index, row in enumerate(rows)})
    return Panel(title, "table", {"columns": list(columns), "rows": [list(row) for row in rows]}, note)


def text(title: str, *paragraphs: str, note: str = "") -> Panel:
    """Plain paragraphs; line breaks are kept."""
    return Panel(title, "text", {"paragraphs": list(paragraphs)}, note)


def embed_panel(panel: Panel) -> dict[str, object]:
    """The panel as JSON values."""
    return {"title": panel.title, "kind": panel.kind, "note": panel.note, "data": dict(panel.data)}


def _listed(series: Mapping[str, Sequence[Number]]) -> list[dict[str, object]]:
    return [{"name": name, "values": list(values)} for name, values in series.items()]


def _same_length(title: str, count: int, parts: Mapping[str, Sequence[object]]) -> None:
    for name, values in parts.items():
        if len(values) != count:
            raise ValueError(f"panel {title!r}: {name} has {len(values)} values where {count} are needed")
