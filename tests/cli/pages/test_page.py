"""The report page as text: what is embedded, what is escaped, what a hostile prompt or file name can do."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keepers.cli.pages import page as report_page
from keepers.cli.pages import panels as report_panels
from keepers.cli.pages.page import embed, page, write_page
from keepers.cli.pages.rows import Header, Row, ShownModel, Unread, embed_rows, link
from keepers.cli.pages.thumbnail import BUDGET, EDGE, thumbnail
from keepers.core.errors import KeepersError
from keepers.core.prediction import LOGIT

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> --> ]]> \u2028 \u2029 & \udce9 \x00"
MAKES_ELEMENTS_OF_TEXT = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
FOLDER = report_page.FOLDER


class Scripts(HTMLParser):
    """Collects script and style elements as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag in ("script", "style")
        if self.inside:
            self.found.append(({"tag": tag, **dict(attrs)}, ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            attributes, text = self.found[-1]
            self.found[-1] = (attributes, text + data)

    def data(self, name: str) -> Any:
        return json.loads(next(text for attributes, text in self.found if attributes.get("id") == name))


def row(path: str = "a.png", **others: Any) -> Row:
    return Row(path, path, "accept", **others)


def scores_of(rows: list[Row], models: list[ShownModel]) -> Any:
    return embed_rows(rows, models)["scores"]


def image(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    noise = np.random.RandomState(seed).randint(0, 256, (bands, height, width), dtype=np.uint8)
    return Image.merge(mode, [Image.fromarray(band) for band in noise])


def size_of(uri: str) -> tuple[tuple[int, int], int]:
    encoded = base64.b64decode(uri.partition(",")[2])
    with Image.open(io.BytesIO(encoded)) as found:
        return found.size, len(encoded)


def test_the_page_needs_nothing_beside_it() -> None:
    text = page(Header("run"), [row()])
    scripts = Scripts(text)
    assert not re.search(r'"report/|https?://(?!www\.w3\.org/2000/svg)', text)
    assert all("src" not in attributes for attributes, _ in scripts.found)
    assert [attributes["href"] for tag, attributes in scripts.tags if tag == "link"] == ["data:,"]


def test_every_script_and_style_is_named_in_the_policy_by_its_hash() -> None:
    text = page(Header("run"), [row()])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert "unsafe" not in policy[1]
    inline = [part for attributes, part in Scripts(text).found if attributes.get("type") != "application/json"]
    assert len(inline) == len(list(FOLDER.iterdir()))
    for part in inline:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy[1]


def test_scripts_never_turn_text_into_elements() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8").replace("there is no innerHTML anywhere", "")
        assert not re.search(MAKES_ELEMENTS_OF_TEXT, text), path


def test_a_hostile_text_adds_no_element() -> None:
    plain, hostile = (
        Scripts(
            page(
                Header(text, gate=text, models=[ShownModel(text, text, text)], unread=[Unread(text, text, text)]),
                [
                    row(
                        text,
                        reason=text,
                        prompt=text,
                        scores={text: {text: 1.0}},
                        labels={text: text},
                        duplicate_of=text,
                    )
                ],
                [report_panels.text(text, text), report_panels.table(text, [text], [[text]])],
            )
        )
        for text in ("plain", HOSTILE)
    )
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    found = hostile.data("data")
    assert found["rows"]["path"] == [HOSTILE]
    assert HOSTILE in found["strings"]
    assert found["panels"][0]["data"]["paragraphs"] == [HOSTILE]


JSON = st.recursive(
    st.none() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_embedded_values_come_back(value: object) -> None:
    text = embed(value)
    text.encode()
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from([chr(0xDC00 + b) for b in range(128, 256)])))
def test_any_path_can_be_written_as_utf8(path: str) -> None:
    found = json.loads(embed([path]).encode().decode())
    assert found == [path]


@pytest.mark.skipif(os.name == "nt", reason="these names cannot exist on Windows")
@given(st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")))
def test_links_lead_to_files_of_any_name(name: bytes) -> None:
    href = link(Path("/pictures/in") / os.fsdecode(name), Path("/pictures/out/deep"))
    assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", href)
    assert unquote_to_bytes(href) == b"../../in/" + name


def test_values_come_back_from_columns_and_from_pairs() -> None:
    labels = [f"tag {index}" for index in range(40)]
    rows = [
        row(f"{index}.png", scores={"few": {"a": index / 7, "b": math.nan}, "many": {labels[index]: 0.5}})
        for index in range(39)
    ]
    rows.append(row("last.png", scores={"few": {"a": -math.inf}}))
    few, many = scores_of(rows, [ShownModel("few", ranges={"a": LOGIT}), ShownModel("many")])
    assert few["dense"]
    assert not many["dense"]
    assert few["values"][0][:3] == [0.0, 0.14286, 0.28571]
    assert few["values"][0][39] == "-inf"
    assert few["values"][1] == ["nan"] * 39 + [None]
    assert few["ranges"] == [[None, None, "logit"], [0.0, 1.0, "probability"]]
    assert many["values"][5] == [5, 0.5]
    assert many["values"][39] == []


def test_models_that_no_one_announced_are_shown_all_the_same() -> None:
    scores = scores_of([row(scores={"extra": {"a": 1.0}}), row(labels={"other": "yes"})], [])
    assert [one["model"] for one in scores] == ["extra", "other"]


def test_equal_texts_are_embedded_once() -> None:
    prompt = "the same long prompt " * 50
    one, hundred = (
        len(page(Header(""), [row(str(index), prompt=prompt) for index in range(count)])) for count in (1, 100)
    )
    assert hundred - one < 99 * 120


def test_thumbnails_come_in_order_and_in_pieces() -> None:
    rows = [row(f"{index}.png", thumbnail=f"data:,{index}") for index in range(report_page.CHUNK + 3)]
    scripts = Scripts(page(Header(""), rows))
    pieces = [scripts.data("thumbnails-0"), scripts.data("thumbnails-1")]
    assert [*pieces[0], *pieces[1]] == [one.thumbnail for one in rows]


def test_gaps_in_panels_are_null() -> None:
    panel = report_panels.lines("t", [0, 1, 2], {"a": [1.0, math.nan, math.inf]})
    found = Scripts(page(Header(""), [], [panel])).data("data")
    assert found["panels"][0]["data"]["series"] == [{"name": "a", "values": [1.0, None, None]}]


def test_panels_refuse_columns_of_other_lengths() -> None:
    with pytest.raises(ValueError, match="panel 't': b has 1 values where 2 are needed"):
        report_panels.bars("t", ["x", "y"], {"a": [1, 2], "b": [1]})
    with pytest.raises(ValueError, match="row 1 has 3 values where 2"):
        report_panels.table("t", ["x", "y"], [[1, 2], [1, 2, 3]])
    with pytest.raises(ValueError, match="groups"):
        report_panels.scatter("t", [1.0], [2.0], [0], groups=["a", "b"])


def test_scatter_numbers_its_groups_in_order_of_appearance() -> None:
    data = report_panels.scatter("t", [1, 2, 3], [1, 2, 3], [0, 1, 2], groups=["b", "a", "b"]).data
    assert (data["names"], data["groups"]) == (["b", "a"], [0, 1, 0])


def test_the_report_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    size = write_page(target, Header("first"), [row()])
    assert target.stat().st_size == size
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((KeepersError, OSError)):
        write_page(tmp_path / "file" / "report.html", Header("second"), [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "report.html"]


@pytest.mark.parametrize("size", [(832, 1216), (1, 1), (1, 10000), (5000, 3), (64, 64)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_thumbnails_of_noise_keep_to_the_budget(size: tuple[int, int], mode: str) -> None:
    found, count = size_of(thumbnail(image(*size, mode)))
    assert count <= BUDGET
    assert max(found) <= EDGE
    assert abs(found[0] / found[1] - size[0] / size[1]) < 0.05 or 1 in found


def test_thumbnails_of_small_pictures_keep_their_size_and_transparency() -> None:
    small = Image.new("RGBA", (40, 30), (200, 10, 10, 0))
    before = small.tobytes()
    uri = thumbnail(small)
    assert size_of(uri)[0] == (40, 30)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as found:
        assert found.convert("RGBA").getchannel("A").getextrema() == (0, 0)
    assert small.tobytes() == before


def test_thumbnails_are_jpeg_where_webp_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepers.cli.pages.thumbnail.features.check", lambda name: False)
    uri = thumbnail(image(300, 200, "RGBA"))
    assert uri.startswith("data:image/jpeg;base64,")
    assert size_of(uri)[1] <= BUDGET


def colours(theme: str) -> dict[str, str]:
    """The colours of a theme as #rrggbb, by name; what dark does not set, it takes from light."""
    text = (FOLDER / "base.css").read_text(encoding="utf-8")
    light, dark = (text[text.index(start) : text.index("}", text.index(start))] for start in (":root {", ":root[data"))
    found = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,6});", light + (dark if theme == "dark" else "")))
    return {
        name: "#" + "".join(c * 2 for c in value[1:]) if len(value) == 4 else value for name, value in found.items()
    }


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_by_the_aa_rule(theme: str) -> None:
    found = colours(theme)
    pairs = [(ink, ground) for ink in ("ink", "ink-2") for ground in ("bg", "surface", "raised", "well", "accent-soft")]
    pairs += [(name, f"{name}-soft") for name in ("accept", "review", "reject", "error", "accent")]
    pairs += [("accent", "surface"), ("accent", "bg"), ("accent-ink", "accent"), ("bg", "ink")]
    for ink, ground in pairs:
        light, dark = sorted((luminance(found[ink]), luminance(found[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_no_part_of_the_page_outgrows_a_reader() -> None:
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 200 for path in FOLDER.iterdir())
