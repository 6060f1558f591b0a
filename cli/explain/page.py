"""An explanation of FARAMIR as one self-contained HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ...core.errors import one_line
from ...models.faramir.explain import Explanation, Reason
from ...models.faramir.labels import AESTHETIC
from .view import Beside

if TYPE_CHECKING:
    from PIL.Image import Image

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; max-height: 22rem; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
caption { text-align: left; font-weight: 600; }
td, th { padding: .1rem .6rem; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
td.bar { width: 45%; }
svg { display: block; width: 100%; height: 1rem; }
.for { fill: #2e9e5b; } .against { fill: #d1495b; } .axis { stroke: currentColor; opacity: .4; }
"""

Row = tuple[Sequence[str], float]
"""The cells of a row, and the number that its bar shows."""


def page(found: Explanation, scores: Sequence[Beside], name: str, picture: Image) -> str:
    """The page, with a small copy of the picture embedded."""
    accept = found.prediction["accept"]
    verdict = f"{'accepted' if accept > 0.5 else 'rejected'} at {accept:.3f}: {found.prediction.label}"
    parts = [
        f"<h1>{escape(one_line(name))}</h1>",
        f"<p><strong>{escape(verdict)}</strong> ({escape(found.prediction.model)})</p>",
        f'<img alt="" src="data:image/jpeg;base64,{_thumbnail(picture)}">',
        f"<p>{escape(_beside(found, scores))}</p>",
        _table("Speaks for accepting", ("class", "found", "gate", "logit"), map(_reason, found.accepting)),
        _table("Speaks for rejecting", ("class", "found", "gate", "logit"), map(_reason, found.rejecting)),
        _table("Adds to the decision", ("input", "value", "adds", "slope"), _contributions(found)),
        f"<p>{escape(HOW.format(start=found.start, logit=found.logit))}</p>",
    ]
    title = f"<title>{escape(one_line(name))}: why</title>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{title}<style>{STYLE}</style>{"".join(parts)}</html>\n'
    )


HOW = (
    "Integrated gradients from every gate closed ({start:+.3f}) to this image ({logit:+.3f}): the start and all "
    "that is added make the decision's logit. The slope is how much one more unit of an input would change it."
)


def _beside(found: Explanation, scores: Iterable[Beside]) -> str:
    said = [f"aesthetic head on FARAMIR's own view: {found.prediction[AESTHETIC]:.2f} of 10"]
    said += [f"{one.model}.{one.label}: {one.value:.3f}" for one in scores if one.value is not None]
    return "; ".join(said)


def _reason(one: Reason) -> Row:
    return (one.label, f"{one.raw:+.2f}", f"{one.gate:.0%}", f"{one.value:+.2f}"), one.value


def _contributions(found: Explanation) -> Iterable[Row]:
    for one in found.contributions:
        yield (one.label, f"{one.value:+.2f}", f"{one.adds:+.3f}", f"{one.slope:+.3f}"), one.adds


def _table(title: str, heads: Sequence[str], rows: Iterable[Row]) -> str:
    rows = list(rows)
    widest = max((abs(number) for _, number in rows), default=1.0) or 1.0
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td class=bar>{_bar(number / widest)}</td></tr>"
        for cells, number in rows
    )
    return f"<table><caption>{escape(title)}</caption><tr>{head}<th></th></tr>{body}</table>"


def _bar(share: float) -> str:
    width = abs(share) * 50
    left = 50 - width if share < 0 else 50
    kind = "against" if share < 0 else "for"
    box = f'<rect class="{kind}" x="{left:.1f}" y="2" width="{width:.1f}" height="12"/>'
    axis = '<line class="axis" x1="50" x2="50" y1="0" y2="16"/>'
    return f'<svg viewBox="0 0 100 16" preserveAspectRatio="none">{box}{axis}</svg>'


def _thumbnail(picture: Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((640, 640))
    memory = io.BytesIO()
    small.save(memory, "JPEG", quality=85)
    return base64.b64encode(memory.getvalue()).decode()
