"""Keepers in a real WebUI as a person uses it, in a headless Chromium: panel, gate, generate, gallery, paste, Extras.

Needs WEBUI_DIR, WEBUI_PYTHON, a Chromium, and for generating WEBUI_CHECKPOINT.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from keepers.tests.browser.conftest import NAMES, Browser
from keepers.tests.hosts.webui_server import NEEDED, WebUI

MISSING = [name for name in NEEDED if not os.environ.get(name)]
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(bool(MISSING), reason=f"needs a WebUI: set {', '.join(MISSING)}"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium"),
]
GATE = "accept: signals.noise < 0.5 and signals.spread > 20"
PANEL = "#script_txt2img_keepers_enabled"


class Page:
    """A tab with the WebUI in it."""

    def __init__(self, browser: Browser, webui: WebUI) -> None:
        self.browser, self.webui = browser, webui

    def open(self) -> None:
        """Load the page and wait until the host's own script has drawn it."""
        self.browser.send("Page.navigate", url=f"http://127.0.0.1:{self.webui.port}/?__theme=dark")
        self.until(f"document.querySelector('{PANEL} .label-wrap input')")

    def until(self, expression: str, seconds: float = 120) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + seconds
        while not self._is(expression):
            assert time.monotonic() < end, f"{expression} did not come true"
            time.sleep(0.2)

    def _is(self, expression: str) -> bool:
        """Whether something is true now; false while the page is not there."""
        try:
            return self.browser.js(f"Boolean({expression})") is True
        except AssertionError:
            return False

    def click(self, selector: str) -> None:
        """Click the first element of a selector."""
        self.browser.js(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: object) -> None:
        """Put a text into a field, as typing does."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.browser.js(f"{field}.focus(); {field}.value = {json.dumps(str(text))}")
        self.browser.js(f"{field}.dispatchEvent(new Event('input', {{bubbles: true}})); {field}.blur()")

    def value(self, selector: str) -> Any:
        """What a field holds."""
        return self.browser.js(f"document.querySelector({json.dumps(selector)}).value")

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.browser.js(f"document.querySelector({json.dumps(selector)}).innerText"))

    def shot(self, name: str) -> None:
        """Keep a picture of the page beside the server's log, for a person to look at."""
        data = self.browser.send("Page.captureScreenshot")["data"]
        (self.webui.data / f"{name}.png").write_bytes(base64.b64decode(data))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    webui = WebUI.start(tmp_path_factory.mktemp("webui"))
    assert CHROMIUM is not None
    browser = Browser(CHROMIUM, tmp_path_factory.mktemp("profile"))
    made = Page(browser, webui)
    made.open()
    yield made
    browser.close()
    webui.stop()


def test_a_gate_is_checked_while_it_is_typed(page: Page) -> None:
    check = "#script_txt2img_keepers_check"
    page.click(f"{PANEL} .label-wrap")
    page.type("#script_txt2img_keepers_gate textarea", "accept: coherence.coherant > 0.5")
    page.until(f"document.querySelector('{check}').innerText.includes('Did you mean')")
    assert page.value("#script_txt2img_keepers_preset input") == "custom"
    page.type("#script_txt2img_keepers_gate textarea", "accept: coherence.coherent > 0.5")
    page.until(f"document.querySelector('{check}').innerText.includes('not on this machine')")
    page.browser.js(f"document.querySelector('{PANEL}').scrollIntoView()")
    page.shot("panel")


@pytest.mark.skipif(not os.environ.get("WEBUI_CHECKPOINT"), reason="needs a checkpoint: set WEBUI_CHECKPOINT")
def test_generate_looks_right_and_its_infotext_comes_back(page: Page) -> None:
    page.webui.paint(1000, "good", "black", "good")
    page.type("#txt2img_prompt textarea", "a fox")
    for name, value in (("steps", 1), ("cfg_scale", 1), ("width", 128), ("height", 128), ("batch_count", 3)):
        page.type(f"#txt2img_{name} input[type=number]", value)
    page.type("#txt2img_seed input", 1000)
    page.type("#script_txt2img_keepers_gate textarea", GATE)
    page.until("document.querySelector('#script_txt2img_keepers_check').innerText.includes('✓')")
    time.sleep(1.0)
    page.click("#txt2img_generate")
    page.until("document.querySelector('#html_log_txt2img')?.innerText.includes('Keepers accepted')", 400)
    assert "accepted 2 of 3, 1 rejected (saved in" in page.text("#html_log_txt2img")
    page.until("document.querySelectorAll('#txt2img_gallery .thumbnail-item').length >= 3")
    page.click("#txt2img_gallery .thumbnail-item:nth-child(2)")
    page.until("document.querySelector('#html_info_txt2img').innerText.includes('Keepers: accept')")
    page.shot("generated")
    assert sorted(page.webui.files()) == ["1000.png", "1002.png", "rejected/1001.png"]
    infotext = page.text("#html_info_txt2img")
    page.open()
    assert page.browser.js(f"document.querySelector('{PANEL}-checkbox input').checked") is False
    page.type("#txt2img_prompt textarea", infotext)
    page.click("#paste")
    page.until(f"document.querySelector('#script_txt2img_keepers_gate textarea').value === {json.dumps(GATE)}")
    page.until(f"document.querySelector('{PANEL}-checkbox input').checked")
    assert page.value("#script_txt2img_keepers_preset input") == "custom"


def test_the_settings_have_a_page(page: Page) -> None:
    found = page.browser.js("[...document.querySelectorAll('[id^=setting_keepers_]')].map(one => one.id)")
    assert {"setting_keepers_folder", "setting_keepers_after", "setting_keepers_show_rejected"} <= set(found)


def test_reload_ui_keeps_the_panel_and_the_routes(page: Page) -> None:
    page.browser.js("window.reloaded = true")
    page.click("#settings_restart_gradio")
    time.sleep(3.0)
    page.until("window.reloaded === undefined && document.readyState === 'complete'", 180)
    page.open()
    page.click(f"{PANEL} .label-wrap")
    page.type("#script_txt2img_keepers_gate textarea", "accept: signals.noise <")
    page.until("document.querySelector('#script_txt2img_keepers_check').innerText.includes('accept:')")
    assert page.webui.get("/keepers/v1/models")["models"]
    assert page.webui.log().count("Error loading script") == 0
