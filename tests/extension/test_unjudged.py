"""What could not be judged, on every way through the WebUI: never accepted, dropped or the best, and told apart."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepers.core.gates.unjudged import from_tables
from keepers.core.metadata.record import from_json
from keepers.core.prediction import argmax_label
from keepers.core.spec import ModelSpec, Network
from keepers.models.registry import REGISTRY
from keepers.tests.extension.test_extras import encoded, extras, score
from keepers.tests.extension.webui_stub import Host, settings_of, stubbed, with_tiny_models
from keepers.tests.tiny import LABELS, VIEW
from keepers.tests.troubles import BRIGHT, DARK, GATE, MIDDLING, TROUBLES, Trouble, strike

DROP: dict[str, Any] = {"gate": GATE, "on_review": "drop", "on_reject": "drop"}
PICTURES = (DARK, MIDDLING, BRIGHT)
"""Of the seeds 100, 101 and 102; the last one cannot be judged."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


@pytest.fixture(params=list(TROUBLES))
def trouble(request: pytest.FixtureRequest, host: Host, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """Every trouble in turn, with the dear model and the tagger."""
    folder = host.folder / "models" / "keepers"
    strike(request.param, "words", folder, monkeypatch)
    found = strike(request.param, "dear", folder, monkeypatch)
    if found.pixels:
        host.others.append(breaker(host))
    return found


def breaker(host: Host) -> Any:
    """A script that brings NaN into a bright picture."""

    class Breaker(host.scripts.Script):
        def title(self) -> str:
            return "breaker"

        def postprocess_batch_list(self, p: Any, pp: Any, *args: Any, **kwargs: Any) -> None:
            for picture in pp.images:
                if picture.mean() > 0.8:
                    picture[0, 0, 0] = float("nan")

    return Breaker()


def details(result: Any) -> list[dict[str, Any]]:
    return result.extra_generation_params["Keepers images"]


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_job_that_drops_what_it_may(trouble: Trouble, host: Host, early: bool, batch: int) -> None:
    p = host.job(*PICTURES, batch=batch, early=early, **DROP)
    p.is_api = True
    result = host.run(p)
    [name] = host.samples
    assert name.startswith("review/") and name.endswith("-102.png")
    assert result.all_seeds == [102]
    [first, *_] = result.comments.splitlines()
    assert first.startswith(
        "Keepers accepted 0 of 3, 1 to review (dropped), 1 rejected (dropped), 1 could not be judged"
    )
    assert f"(saved in {host.folder}" in first
    assert trouble.told in result.comments
    assert settings_of(result.infotexts[-1])["Keepers"] == "review (not judged)"
    record = from_json(host.read("*-102.png")["keepers"])
    assert record is not None and record.verdict == "review"
    assert [each.kind for each in record.unjudged] == [trouble.kind]
    told = details(result)
    assert [one["verdict"] for one in told] == ["reject", "review", "review"]
    assert [len(one["unjudged"]) for one in told] == [0, 0, 1]
    assert from_tables(told[2]["unjudged"]) == record.unjudged
    assert [one["in_result"] for one in told] == [False, False, True]


@pytest.mark.parametrize("policy", ["keep", "subfolder", "drop"])
def test_keep_the_best(trouble: Trouble, host: Host, policy: str) -> None:
    """The middling one is the best of those that were judged."""
    choices: dict[str, Any] = {"gate": GATE, "on_review": policy, "on_reject": policy, "keep_best": True}
    result = host.run(host.job(*PICTURES, **choices))
    assert "the best (seed 101) was kept" in result.comments
    where = {name[-7:]: name.rpartition("/")[0] for name in host.samples}
    assert where["101.png"] == "" and where["102.png"] == ("" if policy == "keep" else "review")
    shown = map(settings_of, result.infotexts[result.index_of_first_image :])
    verdicts = {one["Seed"]: one["Keepers"] for one in shown}
    best = "review" if policy == "keep" else "review (kept as the best)"
    assert (verdicts["101"], verdicts["102"]) == (best, "review (not judged)")


def test_keep_the_best_of_none(trouble: Trouble, host: Host) -> None:
    result = host.run(host.job(BRIGHT, BRIGHT, keep_best=True, **DROP))
    assert "None was accepted" not in result.comments and "2 could not be judged" in result.comments
    assert len(host.samples) == 2 and all(name.startswith("review/") for name in host.samples)


def test_a_plot_shows_one_that_was_judged(trouble: Trouble, host: Host) -> None:
    """Every cell needs an image: of those that would leave, the best stays; what was not judged never leaves."""
    p = host.job(DARK, MIDDLING, **DROP)
    p.script_args = (1, *p.script_args[1:])
    p.scripts.selectable_scripts = [type("Plot", (), {"title": lambda _: "X/Y/Z plot"})()]
    assert host.run(p).all_seeds == [101]
    q = host.job(BRIGHT, DARK, **DROP)
    q.script_args, q.scripts.selectable_scripts = (1, *q.script_args[1:]), p.scripts.selectable_scripts
    assert host.run(q).all_seeds == [100]


def test_retry(trouble: Trouble, host: Host) -> None:
    """It is not one of those that are wanted, and all of them are kept."""
    host.colours = dict.fromkeys(range(100, 110), BRIGHT)
    p = host.job(attempts=3, **DROP)
    result = host.run(p)
    assert "accepted 0 of 3, 3 could not be judged" in result.comments
    assert len(host.samples) == 3


@pytest.mark.parametrize("sort", [True, False])
def test_extras(trouble: Trouble, host: Host, sort: bool) -> None:
    """Pictures of the Extras tab have 8 bits, so their pixels are numbers."""
    if trouble.pixels:
        return
    fields: dict[str, Any] = {"enabled": True, "preset": "custom", "gate": GATE, "sort": sort}
    found = [extras(host, colour, name, **fields)[0] for colour, name in zip(PICTURES, "abc", strict=True)]
    assert host.files() == (["rejected/a.png", "review/b.png", "review/c.png"] if sort else ["a.png", "b.png", "c.png"])
    assert [pp.info["Keepers"] for pp in found] == ["reject", "review", "review (not judged)"]
    assert trouble.told in found[2].info["Keepers reason"]
    record = from_json(host.read("c.png")["keepers"])
    assert record is not None and [each.kind for each in record.unjudged] == [trouble.kind]


def test_extras_without_a_caption_keep_their_verdict(trouble: Trouble, host: Host) -> None:
    if trouble.pixels:
        return
    gate = "reject: cheap.good < 0.5"
    pp, path = extras(host, DARK, "a", enabled=True, preset="custom", gate=gate, sort=True, tagger="words")
    assert (pp.info["Keepers"], path.parent.name, pp.caption) == ("reject", "rejected", None)
    assert trouble.told in pp.info["Keepers captions"] or "not numbers" in pp.info["Keepers captions"]


def picture(trouble: Trouble, place: int) -> str:
    """A picture as requests carry it; one whose pixels are no numbers is a TIFF of floats."""
    if not (trouble.pixels and place == 2):
        return encoded(*PICTURES[place])
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), math.nan, np.float32)).save(file, "TIFF")
    return base64.b64encode(file.getvalue()).decode()


def test_score_route(trouble: Trouble, host: Host) -> None:
    results = score(images=[picture(trouble, place) for place in range(3)], gate=GATE)["results"]
    assert [one["verdict"] for one in results] == ["reject", "review", "review"]
    assert [len(one["unjudged"]) for one in results] == [0, 0, 1]
    [why] = results[2]["unjudged"]
    assert why["kind"] == ("unreadable" if trouble.pixels else trouble.kind)
    assert why["reason"] in results[2]["reason"] and trouble.told in why["reason"]
    json.dumps(results, allow_nan=False)


def test_tag_route_and_captions_of_a_job(trouble: Trouble, host: Host) -> None:
    """A tagger without an answer writes no caption, and says so."""
    from keepers.core.errors import KeepersError
    from keepers.extension.api import requests

    with pytest.raises(KeepersError, match=f"{trouble.told}|not numbers"):
        requests.tag(json.dumps({"image": picture(trouble, 2), "tagger": "words"}).encode())
    if trouble.pixels:
        return
    result = host.run(host.job(MIDDLING, gate="accept: cheap.good > 0.1", tagger="words", first="my fox"))
    assert host.samples == ["00000-100.png"] and "Captions: " in result.comments


class Blind(torch.nn.Module):
    """A net that can be explained, and knows no numbers."""

    def heatmap(self, view: torch.Tensor, *, targets: Any, method: str) -> tuple[torch.Tensor, ...]:
        values = torch.full((len(view), 2), torch.nan)
        return values, values.argmax(1), torch.zeros(len(view), 4, 4)


def test_there_is_no_heatmap_of_what_has_no_numbers(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = ModelSpec(
        "blind", "Blind", "", "", "none", lambda _: Network(Blind(), LABELS, (VIEW,), partial(argmax_label, LABELS))
    )
    monkeypatch.setitem(REGISTRY._specs, "blind", blind)  # pyright: ignore[reportPrivateUsage]  # for this test only
    p = host.job(BRIGHT, gate="accept: cheap.good > 0.1", heatmap="blind")
    assert "Heatmap: blind gave" in host.run(p).comments and p.extra_result_images == []
