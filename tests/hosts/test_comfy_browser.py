"""The nodes in ComfyUI's real frontend, in a headless Chromium: placed, wired, run, and explained.

Needs COMFYUI_DIR, COMFYUI_PYTHON and a Chromium.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from keepers.tests.browser.conftest import NAMES, Browser, chromium
from keepers.tests.hosts.comfy_server import ROOT, Comfy
from keepers.tests.nodes.comfy_models import write_models

__all__ = ["chromium"]
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(
        not (os.environ.get("COMFYUI_DIR") and os.environ.get("COMFYUI_PYTHON")),
        reason="needs a real ComfyUI: set COMFYUI_DIR to its checkout and COMFYUI_PYTHON to its interpreter",
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium"),
]
READY = "window.app?.graph && app.extensionManager && app.canvas && LiteGraph.registered_node_types.KeepersGate"
FOUND = "app.graph._nodes.find(node => node.type === {!r})"


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with tiny models."""
    base = tmp_path_factory.mktemp("comfy")
    write_models(base / "models" / "keepers")
    server = Comfy.start(base)
    yield server
    server.stop()


class Page:
    """A tab with the frontend in it."""

    def __init__(self, browser: Browser, comfy: Comfy) -> None:
        self.browser = browser
        browser.send("Page.navigate", url=f"http://127.0.0.1:{comfy.port}/")
        self.until(READY)
        time.sleep(4)  # the first start loads a workflow and opens a dialog of its own, when it comes to it
        browser.press("Escape")
        browser.js("app.graph.clear()")
        browser.errors.clear()

    def until(self, expression: str, seconds: float = 90) -> None:
        """Wait for something to become true; the page may be loading meanwhile."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self.browser.js(f"Boolean({expression})"):
                    return
            except AssertionError:
                pass  # no page yet
            assert time.monotonic() < end, f"{expression} did not come true"
            time.sleep(0.2)

    def place(self, kind: str, x: int) -> None:
        """Put a node onto the canvas."""
        node = f"LiteGraph.createNode({kind!r})"
        self.browser.js(f"(node => {{ node.pos = [{x}, 100]; app.graph.add(node) }})({node})")


@pytest.fixture
def page(chromium: Browser, comfy: Comfy) -> Page:
    """A fresh page."""
    return Page(chromium, comfy)


def ours(errors: list[str]) -> list[str]:
    """Errors that speak of the pack; the frontend has some of its own (settings that are not there yet)."""
    return [error for error in errors if "keepers" in error.lower()]


def test_nodes_are_wired_and_run_and_tell_their_counts(page: Page, comfy: Comfy) -> None:
    for place, kind in enumerate(("ProbeImages", "KeepersGate", "KeepersSave")):
        page.place(kind, 450 * place)
    source, gate, save = (FOUND.format(kind) for kind in ("ProbeImages", "KeepersGate", "KeepersSave"))
    page.browser.js(f"{source}.widgets[0].value = 'good,black,good,nan'")
    page.browser.js(f"{source}.connect(0, {gate}, 'images'); {source}.connect(0, {save}, 'images')")
    page.browser.js(f"{gate}.connect(7, {save}, 'scores'); {source}.connect(3, {save}, 'captions')")
    comfy.empty_output()
    page.browser.js("app.queuePrompt(0, 1).then(() => true)")
    page.until(f"app.nodeOutputs[{save}.id]?.images?.length === 2", 60)
    texts = f"{gate}.widgets.map(widget => String(widget.value)).join(' ')"
    page.until(f"{texts}.includes('2 of 4 accepted, 1 rejected, 1 could not be judged')", 20)
    names = sorted(path.relative_to(comfy.output).as_posix() for path in comfy.output.rglob("*.png"))
    assert names == [
        "keepers/image_00001_.png",
        "keepers/image_00003_.png",
        "keepers/rejected/image_00002_.png",
        "keepers/review/image_00004_.png",
    ]
    assert ours(page.browser.errors) == []


def test_every_node_can_be_placed_with_names_that_can_be_told_apart(page: Page, comfy: Comfy) -> None:
    kinds = [name for name in comfy.get("/object_info") if name.startswith("Keepers")]
    for kind in kinds:
        page.browser.js(f"app.graph.add(LiteGraph.createNode({kind!r})) && true")
        told: dict[str, Any] = page.browser.js(
            f"(node => ({{title: node.title, width: node.size[0], height: node.size[1], "
            f"outputs: node.outputs.map(each => each.label || each.name)}}))({FOUND.format(kind)})"
        )
        assert "Keepers" in told["title"]
        assert len(set(told["outputs"])) == len(told["outputs"]), f"{kind}: {told['outputs']}"
        assert told["width"] <= 500
        assert told["height"] <= 800
    assert ours(page.browser.errors) == []


@pytest.mark.parametrize("path", sorted((ROOT / "example_workflows").glob("*.json")), ids=lambda path: path.stem)
def test_example_workflows_open_whole(page: Page, path: Any) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    page.browser.js(f"app.loadGraphData({json.dumps(workflow)}).then(() => true)")
    page.until(f"app.graph._nodes.length === {len(workflow['nodes'])}", 30)
    wired = page.browser.js("app.graph._nodes.flatMap(n => n.inputs || []).filter(i => i.link != null).length")
    assert wired == len(workflow["links"])
    for node in (node for node in workflow["nodes"] if node["type"].startswith("Keepers")):
        values = page.browser.js(f"{FOUND.format(node['type'])}.widgets.map(widget => widget.value)")
        assert values == node["widgets_values"], node["type"]
    assert ours(page.browser.errors) == []


def test_help_pages_and_languages_are_served(comfy: Comfy) -> None:
    told = comfy.get("/i18n")
    for name in json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8")):
        assert told["fr"]["nodeDefs"][name]["display_name"]
        page = comfy.get(f"/extensions/comfyui-keepers/docs/{name}.md").decode()
        assert comfy.get(f"/extensions/comfyui-keepers/docs/{name}.png")[:4] == b"\x89PNG"
        assert page.startswith("# ")
    assert len(comfy.get("/workflow_templates")["comfyui-keepers"]) == 4
