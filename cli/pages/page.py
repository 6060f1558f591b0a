"""A report as one self-contained HTML file: rows in, page out.

`page.html` and the files in `web/` work from disk as they are, with no rows; here they become one file with data.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from ...core.files import atomic_write
from .frame import own_page
from .panels import Panel, embed_panel
from .rows import Header, Row, embed_header, embed_rows

FOLDER = Path(__file__).parent / "web"
DATA = '<script type="application/json" id="data">{}</script>'
THUMBNAILS = '<script type="application/json" id="thumbnails">[]</script>'
POLICY = '<meta name="policy">'
PART = re.compile(r'<(?:link rel="stylesheet" href|script src)="web/([a-z_]+)\.(css|js)">(?:</script>)?')
UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
CHUNK = 250
"""Thumbnails that the page decodes together: about 1 MB."""


def write_page(path: Path, header: Header, rows: Sequence[Row], panels: Sequence[Panel] = ()) -> int:
    """Writes the report, whole or not at all, and gives its size in bytes. Raises WriteFailed."""
    encoded = page(header, rows, panels).encode()
    atomic_write(path, encoded)
    return len(encoded)


def page(header: Header, rows: Sequence[Row], panels: Sequence[Panel] = ()) -> str:
    """The report as HTML. Only the thumbnails follow the scripts, so that the first images show before all are read."""
    before, between, after = _template()
    data = {"format": 1, "header": embed_header(header), **embed_rows(rows, header.models)}
    data["panels"] = [embed_panel(panel) for panel in panels]
    slot = f'<script type="application/json" id="data">{embed(data)}</script>'
    return "".join([before, slot, between, *_thumbnails(rows), after])


def embed(value: object) -> str:
    """Compact JSON that can stand in a script element: no character in it can end the element or break UTF-8."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: object) -> object:
    """The same value with null for numbers that are not finite, which JSON cannot express."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value if value is None or isinstance(value, str | int) else _finite(float(str(value)))


def _thumbnails(rows: Sequence[Row]) -> Iterator[str]:
    for start in range(0, len(rows), CHUNK):
        found = [row.thumbnail for row in rows[start : start + CHUNK]]
        yield f'<script type="application/json" id="thumbnails-{start // CHUNK}">{embed(found)}</script>\n'


@cache
def _template() -> tuple[str, str, str]:
    """The page without data, cut at its two slots, with styles and scripts in place of the links to them."""
    hashes: dict[str, list[str]] = {"css": [], "js": []}

    def inline(found: re.Match[str]) -> str:
        name, kind = found.groups()
        text = (FOLDER / f"{name}.{kind}").read_text(encoding="utf-8")
        hashes[kind].append(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")
        return f"<style>{text}</style>" if kind == "css" else f"<script>{text}</script>"

    whole = PART.sub(inline, own_page())
    whole = whole.replace(POLICY, _policy(hashes["css"], hashes["js"]), 1)
    before, rest = whole.split(DATA)
    between, after = rest.split(THUMBNAILS)
    return before, between, after


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """A policy under which only our own scripts run, and only pictures are loaded, from disk or beside the page."""
    rules = (
        "default-src 'none'",
        "img-src data: file: 'self'",
        f"style-src {' '.join(styles)}",
        f"script-src {' '.join(scripts)}",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
