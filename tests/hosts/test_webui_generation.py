"""Keepers in a real WebUI with a real checkpoint of random weights: jobs, files, infotexts, sidecars, answers.

Needs WEBUI_DIR, WEBUI_PYTHON and WEBUI_CHECKPOINT.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from keepers.core.metadata.infotext import parse_infotext
from keepers.core.metadata.record import Record, from_json
from keepers.tests.hosts.webui_server import NEEDED, SIZE, WebUI, encoded, good

MISSING = [name for name in (*NEEDED, "WEBUI_CHECKPOINT") if not os.environ.get(name)]
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(bool(MISSING), reason=f"needs a WebUI and a checkpoint: set {', '.join(MISSING)}"),
]
SIGNALS = {"preset": "signals"}
NEVER = "accept: signals.noise > 0.99"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    running = WebUI.start(tmp_path_factory.mktemp("webui"), "--nowebui")
    # The host puts back only options that were set before, not those that still had their defaults.
    changed = ("save_txt", "save_mask", "return_mask", "save_images_before_highres_fix", "save_incomplete_images")
    running.post("/sdapi/v1/options", {**dict.fromkeys(changed, False), "samples_format": "png"})
    yield running
    running.stop()


@pytest.fixture
def webui(server: WebUI) -> WebUI:
    server.forget_files()
    return server


def texts(path: Any) -> dict[str, str]:
    with Image.open(path) as picture:
        return {str(key): str(value) for key, value in picture.info.items()}


def settings(infotext: str) -> dict[str, str]:
    found = parse_infotext(infotext)
    assert found is not None
    return dict(found.settings)


def record(path: Any) -> Record:
    found = from_json(texts(path)["keepers"])
    assert found is not None
    return found


def test_off_nothing_is_different(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    made = webui.generate(seed=1000, n_iter=2)
    assert set(webui.files()) == {"1000.png", "1001.png"}
    assert not any("Keepers" in text for text in made.info["infotexts"])
    assert not any("Keepers" in key for key in made.info["extra_generation_params"])


@pytest.mark.parametrize(("batch", "count"), [(1, 4), (2, 2), (4, 1)])
def test_batches_and_iterations(webui: WebUI, batch: int, count: int) -> None:
    webui.paint(1000, "good", "black", "good", "again")
    made = webui.generate(SIGNALS, seed=1000, n_iter=count, batch_size=batch)
    assert made.verdicts == ["accept", "reject", "accept", "review"]
    assert set(webui.files()) == {"1000.png", "rejected/1001.png", "1002.png", "review/1003.png"}
    assert made.info["all_seeds"] == [1000, 1002, 1003] and len(made.images) == 3 + 1
    for text, seed, verdict in zip(made.infotexts, (1000, 1002, 1003), ("accept", "accept", "review"), strict=True):
        assert (settings(text)["Seed"], settings(text)["Keepers"]) == (str(seed), verdict)
    for name, path in webui.files().items():
        seed = name.rpartition("/")[2].removesuffix(".png")
        assert settings(texts(path)["parameters"])["Seed"] == seed
        assert record(path).verdict == settings(texts(path)["parameters"])["Keepers"]
    assert "Keepers" not in settings(made.info["infotexts"][0]), "the grid"
    [grid] = webui.files("txt2img-grids").values()
    with Image.open(grid) as picture:
        assert "Keepers" not in picture.info["parameters"] and "keepers" not in picture.info


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    ("policy", "expected", "left"),
    [
        ("keep", {"1000.png", "1001.png", "1002.png"}, 3),
        ("subfolder", {"1000.png", "rejected/1001.png", "1002.png"}, 2),
        ("drop", {"1000.png", "1002.png"}, 2),
    ],
)
def test_every_policy(webui: WebUI, policy: str, expected: set[str], left: int, early: bool) -> None:
    webui.paint(1000, "good", "black", "good")
    made = webui.generate({**SIGNALS, "on_reject": policy, "early": early}, seed=1000, batch_size=3)
    assert set(webui.files()) == expected and len(made.infotexts) == left
    assert "accepted 2 of 3, 1 rejected" in made.summary


@pytest.mark.parametrize("policy", ["subfolder", "drop"])
def test_all_rejected(webui: WebUI, policy: str) -> None:
    webui.paint(1000, "good", "good")
    made = webui.generate({"gate": NEVER, "on_reject": policy}, seed=1000, n_iter=2)
    assert made.images == [] and "accepted 0 of 2" in made.summary
    assert len(webui.files()) == (2 if policy == "subfolder" else 0)


def test_what_is_not_saved_is_scored_and_answered_all_the_same(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    made = webui.generate(SIGNALS, seed=1000, n_iter=2, save_images=False)
    assert [settings(text)["Keepers"] for text in made.infotexts] == ["accept", "reject"]
    assert webui.files() == {}
    made = webui.generate({**SIGNALS, "on_reject": "drop"}, seed=1000, n_iter=2, save_images=False)
    assert made.info["all_seeds"] == [1000]


def test_retry(webui: WebUI) -> None:
    webui.paint(1000, "black", "black", "good", "black", "good", "good")
    made = webui.generate({**SIGNALS, "attempts": 4, "on_reject": "drop"}, seed=1000, n_iter=2)
    assert made.info["all_seeds"] == [1002, 1004] and set(webui.files()) == {"1002.png", "1004.png"}
    assert "accepted 2 of 5" in made.summary


def test_the_best_where_none_passes(webui: WebUI) -> None:
    webui.paint(1000, "black", "good")
    choices = {"gate": 'accept: signals.label == "ok" and signals.noise > 0.99', "keep_best": True, "attempts": 2}
    made = webui.generate({**choices, "on_reject": "drop"}, seed=1000)
    assert list(webui.files()) == ["1001.png"] and "the best (seed 1001)" in made.summary
    [path] = webui.files().values()
    assert settings(texts(path)["parameters"])["Keepers"] == "reject (kept as the best)"


def test_hires_and_its_intermediates(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "hr_second_pass_steps": 1}
    hires |= {"denoising_strength": 0.5, "hr_additional_modules": ["Use same choices"]}
    saved = {"save_images_before_highres_fix": True, "save_txt": True}
    webui.generate(SIGNALS, seed=1000, batch_size=2, override_settings=saved, **hires)
    kinds = ("", "-before-highres-fix")
    expected = {
        f"{place}{kind}.{end}" for place in ("1000", "rejected/1001") for kind in kinds for end in ("png", "txt")
    }
    assert set(webui.files()) == expected
    with Image.open(webui.files()["1000.png"]) as picture:
        assert picture.size == (192, 192)


def test_img2img_with_masks(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    start = encoded(good(1))
    masks = {
        "mask": encoded(Image.new("RGB", (SIZE, SIZE), "white")),
        "override_settings": {"save_mask": True, "return_mask": True},
    }
    choices = {**SIGNALS, "early": False}
    made = webui.generate(
        choices, "img2img", init_images=[start], seed=1000, batch_size=2, denoising_strength=0.9, **masks
    )
    assert made.verdicts == ["accept", "reject"]
    found = set(webui.files("img2img-images"))
    assert found == {"1000.png", "1000-mask.png", "rejected/1001.png", "rejected/1001-mask.png"}
    assert len(made.images) == 1 + 2, "a grid, and the accepted image with its mask"


def test_captions(webui: WebUI) -> None:
    webui.paint(1000, "good", "black", "good")
    choices = {**SIGNALS, "tagger": "words", "first": "my_fox", "recipe": '{"limit": 1}'}
    webui.generate(choices, seed=1000, n_iter=3)
    files = webui.files()
    assert {name for name in files if name.endswith(".txt")} == {"1000.txt", "1002.txt"}
    assert files["1000.txt"].read_text() in ("my_fox, light", "my_fox, dark")
    assert record(files["1000.png"]).caption == files["1000.txt"].read_text()


def test_captions_beside_the_hosts_own_text_files(webui: WebUI) -> None:
    webui.paint(1000, "good")
    webui.generate({**SIGNALS, "tagger": "words"}, seed=1000, override_settings={"save_txt": True})
    files = webui.files()
    assert files["1000.txt"].read_text().startswith("a fox\n")
    assert files["1000.caption.txt"].read_text().startswith(("light", "dark"))


def test_a_plot_shows_an_accepted_image_in_every_cell(webui: WebUI) -> None:
    webui.paint(1000, "good", "black", "good", "black", "good")
    plot = [1, "1000,1001,1003", [], 0, "", [], 0, "", [], True, True, False, False, False, False, False, 0, False]
    made = webui.generate({**SIGNALS, "attempts": 3}, seed=1000, script_name="X/Y/Z plot", script_args=plot)
    assert [settings(text)["Seed"] for text in made.infotexts] == ["1000", "1002", "1004"]
    assert set(webui.files()) == {"1000.png", "1002.png", "1004.png", "rejected/1001.png", "rejected/1003.png"}


def test_formats(webui: WebUI) -> None:
    from keepers.core.metadata.write import read_record

    webui.paint(1000, "good")
    for form in ("jpg", "webp"):
        webui.generate(SIGNALS, seed=1000, override_settings={"samples_format": form})
        found = read_record(webui.files()[f"1000.{form}"])
        assert found is not None and found.verdict == "accept"


def test_an_interrupted_job_keeps_what_it_made(webui: WebUI) -> None:
    webui.paint(1000, *["black"] * 8)
    found: list[Any] = []
    choices = {**SIGNALS, "on_reject": "drop", "attempts": 5}
    saved = {"save_incomplete_images": True}
    job = threading.Thread(
        target=lambda: found.append(
            webui.generate(choices, seed=1000, n_iter=8, prompt="a SLOW fox", override_settings=saved)
        )
    )
    job.start()
    time.sleep(4.0)
    webui.post("/sdapi/v1/interrupt", {})
    job.join(120)
    [made] = found
    assert made.verdicts[-1] is None and len(made.verdicts) < 40
    assert made.verdicts.count(None) == len(made.infotexts) == len(webui.files()) == 1
    assert webui.generate(SIGNALS, seed=1000).verdicts == ["reject"], "the next job is judged again"


def test_a_missing_model_loses_nothing(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    made = webui.generate({"preset": "coherent", "on_review": "drop"}, seed=1000, n_iter=2)
    assert set(webui.files()) == {"review/1000.png", "rejected/1001.png"}, "signals alone refuses the black one"
    assert "coherence_model.safetensors" in made.summary and len(made.infotexts) == 1


def test_a_gate_that_makes_no_sense_loses_nothing(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    made = webui.generate({"gate": "accept: (", "on_reject": "drop", "on_review": "drop"}, seed=1000, n_iter=2)
    assert set(webui.files()) == {"1000.png", "1001.png"} and "Nothing was judged" in made.summary


def test_two_requests_in_a_row_share_nothing(webui: WebUI) -> None:
    webui.paint(1000, "good", "black")
    first = webui.generate({**SIGNALS, "attempts": 3}, seed=1000, n_iter=2)
    second = webui.generate({**SIGNALS, "on_reject": "keep"}, seed=1000, n_iter=2)
    third = webui.generate(seed=1000, n_iter=2)
    assert "of 6" in first.summary or "of 3" in first.summary or "of 4" in first.summary
    assert second.verdicts == ["accept", "reject"] and len(second.infotexts) == 2
    assert not any("Keepers" in text for text in third.info["infotexts"]) and len(third.infotexts) == 2


def test_nothing_failed_in_the_hosts_log(webui: WebUI) -> None:
    log = webui.log()
    assert "Keepers failed" not in log
    assert "Error calling" not in log and "Error running" not in log
