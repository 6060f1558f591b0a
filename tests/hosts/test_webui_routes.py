"""Keepers in a real WebUI without a checkpoint: panel, settings, Extras and the API's own routes.

Needs WEBUI_DIR and WEBUI_PYTHON.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from keepers.tests.hosts.webui_server import NEEDED, Refused, WebUI, black, encoded, good

MISSING = [name for name in NEEDED if not os.environ.get(name)]
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(bool(MISSING), reason=f"needs a WebUI: set {', '.join(MISSING)}"),
]
AUTH = {"Authorization": "Basic " + base64.b64encode(b"fox:den").decode()}


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    running = WebUI.start(tmp_path_factory.mktemp("webui"))
    yield running
    running.stop()


def test_the_panel_is_in_both_tabs_with_its_arguments_in_order(webui: WebUI) -> None:
    found = [one for one in webui.get("/sdapi/v1/script-info") if one["name"] == "keepers"]
    assert [one["is_img2img"] for one in found] == [False, True]
    assert found[0]["args"][0]["value"] is False and len(found[0]["args"]) == 18
    config = json.dumps(webui.get("/config"))
    for tab in ("txt2img", "img2img"):
        for name in ("enabled", "enabled-checkbox", "preset", "gate", "tagger", "heatmap"):
            assert f"script_{tab}_keepers_{name}" in config
    for name in ("folder", "device", "after", "ending"):
        assert f"setting_keepers_{name}" in config
    assert "extras_keepers_enabled" in config and "[Keepers] Threshold" in config


def test_models_and_scores(webui: WebUI) -> None:
    known = webui.get("/keepers/v1/models")
    assert {"signals", "coherence"} <= {one["id"] for one in known["models"]}
    assert known["options"]["attempts"] == {"type": "int", "default": 1, "minimum": 1, "maximum": 100}
    body = {"images": [encoded(good(1)), encoded(black())], "preset": "signals"}
    found = webui.post("/keepers/v1/score", body)["results"]
    assert [one["verdict"] for one in found] == ["accept", "reject"]
    assert found[1]["labels"] == {"signals": "black"}
    assert webui.post("/keepers/v1/tag", {"image": encoded(good(1)), "tagger": "words"})["tagger"] == "words"
    assert webui.post("/keepers/v1/unload", {}) == {"unloaded": True}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("score", b"[", 400),
        ("score", {"image": "/etc/passwd"}, 422),
        ("score", {"path": "/etc/passwd"}, 422),
        ("score", {"image": "", "gate": "accept: ("}, 422),
        ("score", {"image": "", "models": ["nobody"]}, 422),
        ("tag", {"image": "", "tagger": "nobody"}, 422),
        ("score", b'{"image": "' + b"A" * (65 << 20) + b'"}', 413),
    ],
)
def test_requests_that_cannot_be_answered(webui: WebUI, path: str, body: Any, status: int) -> None:
    with pytest.raises(Refused) as caught:
        webui.post(f"/keepers/v1/{path}", body)
    assert caught.value.status == status and json.loads(caught.value.told)["detail"]


def test_a_missing_model_is_a_failure_in_the_answer(webui: WebUI) -> None:
    [found] = webui.post("/keepers/v1/score", {"image": encoded(good(1)), "models": ["coherence"]})["results"]
    assert found["failures"]["coherence"]["code"] == "missing_weights"


def test_the_hosts_own_requests_to_extras_work_as_before(webui: WebUI) -> None:
    answer = webui.post("/sdapi/v1/extra-single-image", {"image": encoded(good(1)), "upscaling_resize": 1})
    assert answer["image"] and "Keepers" not in answer["html_info"]


def test_routes_ask_for_the_hosts_password(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = WebUI.start(tmp_path_factory.mktemp("locked"), "--nowebui", "--api-auth", "cat:hat,fox:den")
    try:
        for headers in ({}, {"Authorization": "Basic Zm94OmhlbiI="}, {"Authorization": "Bearer x"}):
            with pytest.raises(Refused) as caught:
                running.post("/keepers/v1/unload", {}, headers)
            assert caught.value.status == 401
        assert running.post("/keepers/v1/unload", {}, AUTH) == {"unloaded": True}
    finally:
        running.stop()
