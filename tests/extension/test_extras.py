"""The Extras tab, and requests to the API, in the stub of the WebUI."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keepers.core.metadata.record import from_json
from keepers.tests.extension.webui_stub import BAD, DOUBTFUL, GATE, GOOD, Host, stubbed, with_tiny_models
from keepers.tests.tiny import plain


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


def extras(host: Host, colour: tuple[int, int, int], name: str, **fields: Any) -> Any:
    """What the host does for one picture of the Extras tab."""
    from modules import images, scripts

    operation = scripts.postprocessing_scripts_data[0].script_class()
    names = operation.ui()
    assert set(fields) <= set(names)
    pp = host.postprocessing.PostprocessedImage(plain(*colour, size=32))
    operation.process(pp, **{key: fields.get(key) for key in names})
    host.shared.opts.data["save_to_dirs"] = False
    info = ", ".join(f"{key}: {value}" for key, value in pp.info.items())
    folder = str(host.folder / "out")
    existing: dict[str, str] = {}
    saved, _ = images.save_image(
        pp.image, folder, "", info=info, short_filename=True, pnginfo_section_name="postprocessing",
        existing_info=existing, forced_filename=name,
    )  # fmt: skip
    return pp, Path(saved)


def test_extras_score_and_sort(host: Host) -> None:
    fields = {"enabled": True, "preset": "custom", "gate": GATE, "sort": True}
    for colour, name in ((GOOD, "a"), (BAD, "b"), (DOUBTFUL, "c"), (BAD, "b")):
        extras(host, colour, name, **fields)
    assert host.files() == ["a.png", "rejected/b-1.png", "rejected/b.png", "review/c.png"]
    texts = host.read("b.png")
    record = from_json(texts["keepers"])
    assert record is not None and record.verdict == "reject"
    assert texts["postprocessing"].startswith("Keepers: reject, Keepers reason: ")


def test_extras_note_how_models_saw_the_picture(host: Host) -> None:
    from modules import scripts

    operation = scripts.postprocessing_scripts_data[0].script_class()
    turned = Image.new("RGBA", (32, 32), (*GOOD, 128))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.info["exif"] = exif.tobytes()
    for picture, told in ((turned, ("partly transparent", "EXIF rotation")), (plain(*GOOD, size=32), ())):
        pp = host.postprocessing.PostprocessedImage(picture)
        operation.process(pp, enabled=True, preset="custom", gate=GATE)
        assert all(part in pp.info["Keepers notes"] for part in told)
        assert ("Keepers notes" in pp.info) == bool(told)


def test_extras_caption_with_the_hosts_own_rules(host: Host) -> None:
    pp, _ = extras(host, GOOD, "a", enabled=True, preset="custom", gate=GATE, tagger="words")
    assert pp.caption == "good"


def test_extras_that_are_off_change_nothing(host: Host) -> None:
    for fields in ({}, {"enabled": False, "gate": "nonsense ("}):
        pp, path = extras(host, BAD, "a", **fields)
        assert pp.info == {} and pp.caption is None and path.parent.name == "out"


def test_a_failure_in_extras_is_told_and_the_image_goes_on(host: Host) -> None:
    pp, path = extras(host, GOOD, "a", enabled=True, preset="custom", gate="accept: (", sort=True)
    assert pp.info["Keepers"] == "not judged" and path.parent.name == "out"
    (host.folder / "models" / "keepers" / "cheap.safetensors").unlink()
    pp, path = extras(host, GOOD, "b", enabled=True, preset="custom", gate=GATE, sort=True)
    assert pp.info["Keepers"] == "review (not judged)" and path.parent.name == "review"


def encoded(*colour: int) -> str:
    file = io.BytesIO()
    plain(*colour, size=32).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def score(**data: Any) -> dict[str, Any]:
    from keepers.extension.api import requests
    from keepers.extension.host import host as lent

    return requests.score(lent.judge(), json.dumps(data).encode())


def test_requests_are_scored_by_a_gate_or_by_models(host: Host) -> None:
    found = score(images=[encoded(*GOOD), encoded(*BAD)], gate=GATE)
    assert [one["verdict"] for one in found["results"]] == ["accept", "reject"]
    assert found["results"][0]["scores"]["cheap"]["good"] > 0.8
    found = score(image="data:image/png;base64," + encoded(*GOOD), models=["cheap", "dear"])
    assert set(found["results"][0]["scores"]) == {"cheap", "dear"} and "verdict" not in found["results"][0]


def test_a_broken_picture_is_one_failure_among_others(host: Host) -> None:
    found = score(images=[base64.b64encode(b"no picture").decode(), encoded(*GOOD)], gate=GATE)
    assert [one["verdict"] for one in found["results"]] == ["review", "accept"]


def test_requests_are_tagged(host: Host) -> None:
    from keepers.extension.api import requests

    body = {"image": encoded(*GOOD), "tagger": "words", "first": "fox"}
    assert requests.tag(json.dumps(body).encode()) == {"tagger": "words", "captions": ["fox, good"]}


def test_models_are_listed(host: Host) -> None:
    from keepers.extension.api import requests
    from keepers.extension.host import host as lent

    found = {one["id"]: one for one in requests.models(lent.judge())["models"]}
    assert found["cheap"]["here"] and not found["coherence"]["here"] and found["words"]["tagger"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"images": []},
        {"image": 7},
        {"image": "§"},
        {"image": "/etc/passwd"},
        {"path": "/etc/passwd"},
        {"images": [""] * 33},
        {"image": "", "gate": "accept: ("},
        {"image": "", "gate": "accept: cheap.good > 1", "preset": "signals"},
        {"image": "", "models": ["nobody"]},
        {"image": "", "models": [7]},
        {"image": "", "preset": "nobody"},
    ],
)
def test_requests_that_make_no_sense_are_refused(host: Host, data: dict[str, Any]) -> None:
    from keepers.core.errors import KeepersError

    with pytest.raises(KeepersError):
        score(**data)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"7", b"[" * 100_000, b'{"a": NaN', b"\xff"])
def test_bodies_that_are_no_objects_are_refused(host: Host, body: bytes) -> None:
    from keepers.extension.api import requests

    with pytest.raises(requests.BadRequest) as caught:
        requests.parse(body, {"image"})
    assert caught.value.status == 400


def test_a_picture_with_too_many_pixels_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from keepers.extension.api import requests

    monkeypatch.setattr(requests, "PIXEL_LIMIT", 1000)
    [result] = score(image=encoded(*GOOD), gate=GATE)["results"]
    assert result["verdict"] == "review" and "pixel" in result["reason"]


def test_hostile_pictures_do_not_reach_files(host: Host) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    [result] = score(image=base64.b64encode(svg).decode(), gate=GATE)["results"]
    assert result["verdict"] == "review"


def test_memory_is_given_back(host: Host) -> None:
    from keepers.extension.host import host as lent

    host.shared.opts.data["keepers_after"] = "unload"
    host.run(host.job(GOOD))
    assert lent.judge()._loaded == {}  # pyright: ignore[reportPrivateUsage]  # what it is about
    score(image=encoded(*GOOD), gate=GATE)
    assert lent.judge()._loaded  # pyright: ignore[reportPrivateUsage]
    lent.release()
    assert lent.judge()._loaded == {}  # pyright: ignore[reportPrivateUsage]


def test_a_picture_in_memory_is_never_changed(host: Host) -> None:
    picture = Image.new("RGBA", (32, 32), (255, 255, 255, 128))
    before = picture.tobytes()
    from modules import scripts

    pp = host.postprocessing.PostprocessedImage(picture)
    operation = scripts.postprocessing_scripts_data[0].script_class()
    operation.process(pp, enabled=True, preset="custom", gate=GATE)
    assert pp.image is picture and picture.tobytes() == before
