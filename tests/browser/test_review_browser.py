"""The review as a person meets it: two thousand images in a browser, labelled by keyboard."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keepers.cli.review.items import items, page_data
from keepers.cli.review.pictures import Pictures
from keepers.cli.review.server import Review, ReviewServer
from keepers.collection.mark_store import MarkStore
from keepers.collection.scan import Scanned
from keepers.collection.store import SeenImage, Store
from keepers.core.gates.gate import Gate, Verdict
from keepers.core.prediction import Labels, Prediction

COUNT = 2000
GATE = Gate.parse("accept: m.good >= 0.5")
HOSTILE = "<img src=x onerror=\"document.title='taken'\"></script><script>document.title='taken'</script>"
LABELS = Labels(("good",))
MARKS = "review.labels.map((l, i) => l && [i, l.mark]).filter(Boolean)"


class Open:
    """A review that can be ended and begun again on the same labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        results: list[Scanned] = []
        for index in range(COUNT):
            path = folder / f"{index:04d}.png"
            if index < 70:
                shade = (index * 3 % 256, 90, 200 - 2 * index)
                Image.new("RGB", (90 + index, 60), shade).save(path)
            elif not path.exists():
                shutil.copyfile(folder / "0000.png", path)
            image = SeenImage(f"{index:064x}", 90, 60, HOSTILE if index == 0 else f"number {index}", "", str(index))
            good = index * 7 % 2000 / 2000
            answer = Prediction("m", LABELS, np.array([good], np.float32), "yes")
            results.append(Scanned(path, Verdict("accept", "accept: m.good"), image, {"m": answer}, mtime=float(index)))
        self.items = items(results, GATE)
        self.start()

    def start(self) -> None:
        self.store = Store(self.folder / "k.db", wait=0.05)
        labels = MarkStore(self.store)
        data = {**page_data(self.items, GATE, "pictures"), "order": "date", "blind": False}
        contents = [item.content for item in self.items]
        review = Review(labels, contents, Pictures([item.path for item in self.items]), data)
        self.server = ReviewServer(review)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.store.close()

    @contextmanager
    def elsewhere(self) -> Iterator[MarkStore]:
        """The labels as another program opens them."""
        with Store(self.folder / "k.db") as store:
            yield MarkStore(store)

    def marks(self) -> dict[int, str]:
        """What stands in the store, by the image's number."""
        with self.elsewhere() as labels:
            return {int(content, 16): label.mark for content, label in labels.current().items()}


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    opened = Open(tmp_path)
    go(browser, opened)
    yield opened
    leave(browser)  # the page goes before its server: it polls, and would be refused
    opened.stop()


def go(browser: Any, opened: Open) -> None:
    browser.go(opened.server.address)
    browser.until("typeof review === 'object' && review.items.length === 2000")
    browser.until("byId('picture').complete")


def leave(browser: Any) -> None:
    browser.send("Page.navigate", url="about:blank")
    browser.until("location.href === 'about:blank'")


def settled(browser: Any) -> None:
    browser.js("review.busy.then(() => 1)")


def test_fifty_labels_undo_reload_resume(browser: Any, page: Open) -> None:
    keys = ["k" if index % 3 else "r" for index in range(50)]
    for key in keys:
        browser.press(key)
    settled(browser)
    wanted = {index: "keep" if key == "k" else "reject" for index, key in enumerate(keys)}
    assert page.marks() == wanted
    assert browser.js("current()") == 50
    assert "50 of 2,000: 33 kept, 17 rejected" in browser.js("byId('progress-text').textContent")

    for _ in range(3):
        browser.press("u")
    settled(browser)
    assert page.marks() == {index: mark for index, mark in wanted.items() if index < 47}
    assert browser.js("current()") == 47

    go(browser, page)
    assert browser.js("current()") == 47, "goes on where it stopped"
    browser.press("u")
    settled(browser)
    assert 46 not in page.marks(), "what was said before the reload can still be taken back"
    browser.press("r")
    settled(browser)
    assert page.marks()[46] == "reject"

    leave(browser)
    page.stop()
    page.start()
    go(browser, page)
    assert browser.js("[current(), counts().all]") == [47, 47]


def test_skipping_walking_and_the_end(browser: Any, page: Open) -> None:
    for key in ("s", "s", "k"):
        browser.press(key)
    settled(browser)
    assert page.marks() == {2: "keep"}
    assert browser.js("current()") == 3
    go(browser, page)
    assert browser.js("[current(), [...review.skipped]]") == [3, [0, 1]], "skipped ones are remembered"
    for key in (",", ","):
        browser.press(key)
    assert browser.js("current()") == 1
    browser.js(
        "review.items.forEach((_, i) => { if (i > 1) review.labels[i] = { mark: 'keep', id: 1 }; }); decide('keep')"
    )
    settled(browser)
    assert not browser.js("byId('done').hidden")
    assert "1 skipped" in browser.js("byId('done-text').textContent")
    browser.js("byId('skipped').click()")
    assert browser.js("current()") == 0


def test_changing_ones_mind(browser: Any, page: Open) -> None:
    for key in ("k", ",", "r"):
        browser.press(key)
    settled(browser)
    assert page.marks() == {0: "reject"}
    browser.press("u")
    settled(browser)
    assert page.marks() == {0: "keep"}, "the first answer counts again"
    assert browser.js("markOf(0)") == "keep"


def test_orders(browser: Any, page: Open) -> None:
    def choose(order: str) -> None:
        browser.js(f"byId('order').value = {order!r}; byId('order').dispatchEvent(new Event('change'))")

    choose("uncertain")
    first = browser.js("review.order.slice(0, 5).map((i) => Math.abs(review.items[i].sort[0] - 0.5))")
    assert first == sorted(first) and first[0] < 0.001
    choose("-m.good")
    assert browser.js("review.items[review.order[0]].sort[0]") > 0.999
    choose("m.good")
    assert browser.js("review.items[review.order[0]].sort[0]") == 0
    go(browser, page)
    assert browser.js("byId('order').value") == "m.good", "kept over a reload"
    browser.press("r")
    settled(browser)
    browser.js("byId('filter').value = 'reject'; byId('filter').dispatchEvent(new Event('change'))")
    assert browser.js("review.order.length") == 1


def test_blind_mode_hides_until_decided(browser: Any, page: Open) -> None:
    assert "number 1" not in browser.js("byId('told').textContent")
    browser.press("b")
    seen = "[byId('told').children.length, byId('name').textContent, byId('hidden-note').hidden]"
    assert browser.js(seen) == [0, "", False]
    browser.press("k")
    assert browser.js("byId('told').children.length") == 0
    browser.press(",")
    assert "m" in browser.js("byId('told').textContent"), "what is decided may be seen"
    go(browser, page)
    assert browser.js("review.blind"), "kept over a reload"
    browser.press("b")
    assert browser.js("byId('told').children.length") > 0


def test_two_pages_agree(browser: Any, page: Open) -> None:
    content = page.items[0].content
    with page.elsewhere() as labels:
        other = labels.say(content, "reject", "review", 1.0)
        browser.until("markOf(0) === 'reject'")
        labels.take_back(other.id)
        browser.until("markOf(0) === ''")
        labels.say(content, "reject", "review", 2.0)
        browser.press("k")
        settled(browser)
        assert page.marks() == {0: "keep"}, "the last one counts"
        labels.take_back(max(label.id for label in labels.history()))
    browser.press("u")
    settled(browser)
    assert "already" in browser.js("byId('toast').textContent")
    assert browser.js("markOf(0)") == "reject"
    browser.errors[:] = [error for error in browser.errors if "409" not in error]


def test_a_poll_forgets_no_label_that_is_on_its_way(browser: Any, page: Open) -> None:
    browser.js("queue(() => new Promise((go) => { window.release = go; })); review.version = ''; void queue(sync)")
    for key in "kkr":
        browser.press(key)
    browser.js("release()")
    settled(browser)
    assert page.marks() == {0: "keep", 1: "keep", 2: "reject"}
    assert "3 of 2,000: 2 kept, 1 rejected" in browser.js("byId('progress-text').textContent")


def test_a_busy_store_is_told_and_waited_for(browser: Any, page: Open) -> None:
    with page.elsewhere() as labels, labels.store.writing():
        browser.press("k")
        browser.press("r")
        browser.until("!byId('lost').hidden")
        assert "until the store is free" in browser.js("byId('lost').textContent")
        assert browser.js("[markOf(0), markOf(1)]") == ["keep", "reject"], "they are still on their way"
    settled(browser)
    assert browser.js("byId('lost').hidden") and page.marks() == {0: "keep", 1: "reject"}
    assert browser.errors and all("503" in error for error in browser.errors)
    browser.errors.clear()


def test_a_review_that_was_ended_is_told(browser: Any, page: Open) -> None:
    browser.js("fetch('changes/0').then((answer) => answer.text())")  # a connection that is kept
    page.stop()
    browser.press("k")
    browser.until("byId('lost').textContent.includes('start keepers review again') && !byId('lost').hidden")
    leave(browser)
    page.start()
    assert page.marks() == {}
    browser.errors.clear()


def test_nothing_in_a_prompt_runs(browser: Any, page: Open) -> None:
    assert browser.js("document.title").endswith("Keepers review")
    assert browser.js("document.querySelectorAll('img[src=x], .prose img').length") == 0
    assert HOSTILE in browser.js("byId('told').textContent")


def test_a_picture_that_vanished_is_told(browser: Any, page: Open) -> None:
    (page.folder / "0005.png").unlink()
    browser.js("ahead.clear(); review.at = 5; show()")
    browser.until("!byId('missing').hidden")
    assert "0005.png" in browser.js("byId('missing').textContent")
    browser.errors[:] = [error for error in browser.errors if "410" not in error]


def test_the_server_gone_is_told_and_the_page_stays_small(browser: Any, page: Open) -> None:
    assert browser.js("document.querySelectorAll('*').length") < 300
    browser.send("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.send("Network.emulateNetworkConditions", offline=True, **offline)
    browser.press("k")
    browser.until("!byId('lost').hidden")
    assert "start keepers review again" in browser.js("byId('lost').textContent")
    browser.send("Network.emulateNetworkConditions", offline=False, **offline)
    browser.until("byId('lost').hidden")
    assert page.marks() == {} and browser.js("markOf(0)") == "", "what was not stored is not shown as if it were"
    browser.errors.clear()


def test_another_site_gets_nothing(browser: Any, page: Open) -> None:
    """A page of another origin can neither read the data nor give labels."""
    leave(browser)
    address = page.server.address
    asked = f"fetch('{address}start').then((r) => r.text(), () => 'refused')"
    assert browser.js(asked) == "refused"
    given = (
        f"fetch('{address}label', {{ method: 'POST', mode: 'no-cors', body: '{{\"index\":0,\"mark\":\"keep\"}}' }})"
        ".then(() => 'sent', () => 'refused')"
    )
    browser.js(given)
    assert page.marks() == {}
    browser.errors.clear()
