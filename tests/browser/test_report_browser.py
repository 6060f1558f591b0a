"""The report as a person meets it: opened from disk in a browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keepers.cli.pages import frame
from keepers.cli.pages import panels as report_panels
from keepers.cli.pages.page import write_page
from keepers.cli.pages.rows import Header, Row, ShownModel, Unread, link
from keepers.cli.pages.thumbnail import thumbnail

COUNT = 3000
ODD = "we\"ird <b>'name'\n#1?&%41 \U0001f600.png"
BYTES = os.fsdecode(b"latin-\xe9.png")
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
CELLS = "[...document.querySelectorAll('.cell .name')].map((e) => e.textContent)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    picture = Image.new("RGB", (60, 90), (20, 120, 200))
    names = {0: ODD, 1: BYTES}
    rows: list[Row] = []
    for k in range(COUNT):
        path = folder / names.get(k, f"{k:05d}.png")
        if k < 4:
            picture.save(path)
        score = k / COUNT
        verdict = "accept" if score >= 0.5 else "review" if score >= 0.4 else "reject"
        scores: Mapping[str, Mapping[str, float]] = {"m": {"a": score}, "tags": {f"t{k % 90}": 0.5}} if k != 5 else {}
        rows.append(
            Row(
                str(path),
                link(path, folder),
                verdict,
                f"{verdict}: m.a {score:.2f}",
                thumbnail=thumbnail(picture) if k else "",
                width=60,
                height=90,
                scores=scores,
                labels={"m": "even" if k % 2 == 0 else "odd"},
                prompt=HOSTILE if k < 3 else f"a picture of number {k}",
                duplicate_of=str(folder / BYTES) if k == 2 else "",
            )
        )
    panels = [
        report_panels.scatter("map", [k % 7 for k in range(COUNT)], [k % 11 for k in range(COUNT)], range(COUNT)),
        report_panels.bars("bars", ["x", HOSTILE], {"one": [1, None], "two": [2, 3]}),
        report_panels.lines("lines", [0, 1, 2], {"up": [0.0, None, 1.0]}),
        report_panels.table("table", ["a", "b"], [["x", 2], ["y", 1]]),
        report_panels.text("text", HOSTILE),
    ]
    header = Header(
        HOSTILE, "accept: m.a >= 0.5", [ShownModel("m", "Model")], unread=[Unread("gone.png", "io", HOSTILE)]
    )
    write_page(folder / "report.html", header, rows, panels)
    return (folder / "report.html").as_uri()


def test_only_cells_in_view_exist(browser: Any, report: str) -> None:
    browser.go(report)
    assert 0 < browser.js("document.querySelectorAll('.cell').length") < 80
    assert browser.js("byId('gallery').scrollHeight") > 50_000
    browser.js("byId('gallery').scrollTop = 1e9")
    browser.until(f"{CELLS}.includes('02999.png')")
    assert browser.js("document.querySelectorAll('.cell').length") < 80


def test_nothing_in_a_prompt_or_name_runs(browser: Any, report: str) -> None:
    for part in ("", "#open=0", "#tab=charts", "#tab=run"):
        browser.go(report + part)
        assert browser.js("document.title").endswith("Keepers report")
        assert browser.js("document.querySelectorAll('img[src=x], .prose img, b b').length") == 0
    assert browser.js("document.querySelector('#run td:last-child').textContent") == HOSTILE


@pytest.mark.parametrize("row", [0, 1])
def test_images_of_any_name_are_found(browser: Any, report: str, row: int) -> None:
    browser.go(f"{report}#open={row}")
    browser.until("document.querySelector('.frame img')?.naturalWidth === 60")
    if row == 1:
        assert browser.js("document.querySelector('.filename').textContent") == "latin-\\xe9.png"
        assert browser.js('copyable(report.rows.path[1]).startsWith("$\'")')


def test_an_image_without_thumbnail_shows_itself(browser: Any, report: str) -> None:
    browser.go(report)
    browser.until("document.querySelector('#cell-0 img').naturalWidth === 60")


def test_filters_add_up_and_stay_in_the_address(browser: Any, report: str) -> None:
    browser.go(report)
    browser.js("pickVerdict('accept'); state.score = 'm.a'; setRange(0.5, 0.6)")
    browser.js("[...document.querySelectorAll('#answers .chip')].find((e) => e.textContent.startsWith('even')).click()")
    assert browser.js("shown.length") == 151
    address = browser.js("location.href")
    browser.go(address)
    assert browser.js("shown.length") == 151
    assert browser.js("document.querySelectorAll('#chips .on').length") == 3
    browser.js("byId('search').value = 'number 1502'; byId('search').dispatchEvent(new Event('input'))")
    assert browser.js(CELLS) == ["01502.png"]
    browser.js("byId('search').value = 'nothing like it'; byId('search').dispatchEvent(new Event('input'))")
    assert browser.js("byId('gallery').hidden && !byId('empty').hidden")
    browser.js("byId('clear-empty').click()")
    assert browser.js("shown.length") == COUNT


def test_counts_stand_on_the_verdict_buttons(browser: Any, report: str) -> None:
    browser.go(report)
    found = browser.js("[...document.querySelectorAll('.verdict b')].map((e) => e.textContent)")
    assert found == ["3,000", "1,500", "300", "1,200"]


def test_unscored_images_stand_last_in_both_orders(browser: Any, report: str) -> None:
    for down, first in ((1, 2999), (0, 0)):
        browser.go(f"{report}#sort=m.a&down={down}")
        assert browser.js("[shown[0], shown[shown.length - 1]]") == [first, 5]


def test_the_keyboard_walks_opens_and_filters(browser: Any, report: str) -> None:
    browser.go(report)
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        browser.press(key)
    assert browser.js("[byId('detail').open, state.open]") == [True, 2]
    browser.press("ArrowRight")
    assert browser.js("state.open") == 3
    browser.press("Escape")
    assert browser.js("[byId('detail').open, state.open, document.activeElement.id]") == [False, -1, "gallery"]
    browser.press("End")
    assert browser.js("byId('gallery').getAttribute('aria-activedescendant')") == f"cell-{COUNT - 1}"
    browser.press("3")
    assert browser.js("shown.length") == 1200
    browser.press("0")
    assert browser.js("shown.length") == COUNT
    browser.press("/")
    browser.press("3")
    assert browser.js("[document.activeElement.id, byId('search').value, state.verdicts.size]") == ["search", "3", 0]
    browser.press("Escape")
    browser.press("?")
    assert browser.js("byId('keys').open")


def test_a_repetition_leads_to_what_it_repeats(browser: Any, report: str) -> None:
    browser.go(f"{report}#open=2")
    browser.js("document.querySelector('.twin button').click()")
    assert browser.js("state.open") == 1


def test_every_panel_draws_and_gives_its_numbers(browser: Any, report: str) -> None:
    browser.go(f"{report}#tab=charts")
    browser.until("document.querySelectorAll('.card svg').length === 3")
    assert browser.js("byId('charts').children.length") == 5
    assert browser.js("csv(CSV.bars(report.panels[1].data))").splitlines()[:2] == [",one,two", "x,1,2"]
    assert browser.js("csv(CSV.lines(report.panels[2].data))") == "x,up\n0,0\n1,\n2,1"
    pixels = "[...document.querySelector('.points').getContext('2d').getImageData(0, 0, 400, 300).data].some(Boolean)"
    assert browser.js(pixels)
    browser.js("document.querySelectorAll('.card.table th button')[1].click()")
    assert browser.js("document.querySelector('.card.table td').textContent") == "x"
    browser.js("document.querySelectorAll('.card.table th button')[1].click()")
    assert browser.js("document.querySelector('.card.table td').textContent") == "y"


def test_the_theme_can_be_switched(browser: Any, report: str) -> None:
    browser.go(report)
    before = browser.js("getComputedStyle(document.body).backgroundColor")
    browser.press("t")
    assert browser.js("getComputedStyle(document.body).backgroundColor") != before
    browser.press("t")
    assert browser.js("getComputedStyle(document.body).backgroundColor") == before


def test_a_report_that_was_cut_off_says_so(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(path, Header("run", "gate " * 400), [Row("a.png", "a.png", "accept")])
    whole = path.read_text(encoding="utf-8")
    data = whole.index('id="data">')
    path.write_text(whole[: data + 300] + whole[whole.index("</script>", data) :], encoding="utf-8")
    browser.go(path.as_uri())
    assert "damaged" in browser.js("byId('broken').textContent")
    assert not browser.js("byId('broken').hidden")


def test_the_template_works_without_data(browser: Any) -> None:
    browser.go(frame.PAGE.as_uri())
    assert "no images" in browser.js("byId('empty').textContent")
