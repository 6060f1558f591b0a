"""Every way to a verdict besides the hosts' (their own tests use the same table, `tests/troubles.py`), over everything
that keeps an image from being judged: never accepted, never moved, never captioned, told apart, exit code 3.

The bright picture cannot be judged; the dark one is rejected and the middling one accepted without the broken model.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keepers.cli import exit_codes
from keepers.cli.app import app
from keepers.cli.review.server import ReviewServer
from keepers.core.errors import MissingWeights
from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.library.score import score
from keepers.models.registry import REGISTRY
from keepers.tests.cli.report.test_report import page_of, texts
from keepers.tests.tiny import Work, plain, register
from keepers.tests.troubles import BRIGHT, DARK, MIDDLING, TROUBLES, Trouble, strike

GATE = "reject: cheap.good < 0.3; accept: cheap.good < 0.5; accept: dear.good >= 0.5"
each_trouble = pytest.mark.parametrize("name", TROUBLES)


@dataclass(frozen=True)
class World:
    """Three pictures, the models, and what befell them."""

    folder: Path
    models: Path
    trouble: Trouble
    bright: str
    """The name of the file that cannot be judged."""
    allowed: tuple[str, ...]
    """What the command line needs to go on without a file."""

    @property
    def db(self) -> Path:
        """The store of results."""
        return self.folder.parent / "keepers.db"

    def run(self, command: str, *line: object) -> tuple[int, str, str]:
        """A command over the folder: exit code, output, and all that was told, in one line."""
        given = [command, *line, "--db", self.db, "--models", self.models, *self.allowed]
        done = CliRunner().invoke(app, list(map(str, given)), env={"COLUMNS": "400"})
        assert not done.exception or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, " ".join(done.stderr.split())

    def judge(self) -> Judge:
        """A judge over the models."""
        return Judge(REGISTRY, WeightStore([self.models]), Runtime("cpu", "exact"))


class Bring(Protocol):
    """Makes the pictures, does something with the sound models, and brings a trouble to the dear one and the tagger."""

    def __call__(self, name: str, before: Callable[[Path], None] = lambda _: None) -> World: ...


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    def made(name: str, before: Callable[[Path], None] = lambda _: None) -> World:
        folder, models = tmp_path / "pictures", tmp_path / "models"
        folder.mkdir()
        register(Work(), models, monkeypatch)
        for one, colour in (("dark", DARK), ("middling", MIDDLING), ("bright", BRIGHT)):
            plain(*colour).save(folder / f"{one}.png")
        before(models)
        strike(name, "words", models, monkeypatch)
        trouble, bright = strike(name, "dear", models, monkeypatch), "bright.png"
        if trouble.pixels:  # of the files that hold numbers, only floats can be none
            (folder / bright).unlink()
            bright = "bright.tif"
            Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(folder / bright)
        return World(folder, models, trouble, bright, ("--allow-missing",) if trouble.kind == "missing" else ())

    return made


def outcomes(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {Path(line["path"]).name: line["verdict"] for line in lines}


def scanned(world: World, *more: object) -> list[dict[str, Any]]:
    """What a scan says in JSON lines; it ends with 3 and tells of one image apart."""
    code, out, told = world.run("scan", world.folder, "--gate", GATE, "--jsonl", "-", *more)
    assert code == exit_codes.UNJUDGED, told
    assert ("1 could not be read" if world.trouble.pixels else "1 could not be judged and are in review") in told
    return [json.loads(line) for line in out.splitlines()]


def assert_told(world: World, lines: list[dict[str, Any]]) -> None:
    """Two are judged, and the bright one says why it is not."""
    assert outcomes(lines) == {"dark.png": "reject", "middling.png": "accept", world.bright: "review"}
    by_name = {Path(line["path"]).name: line for line in lines}
    assert by_name["dark.png"]["unjudged"] == by_name["middling.png"]["unjudged"] == []
    [why] = by_name[world.bright]["unjudged"]
    # A file that holds no picture is found out when it is opened: it is unreadable, and no model is to blame.
    kind, model = ("unreadable", "") if world.trouble.pixels else (world.trouble.kind, "dear")
    assert (why["kind"], why["model"]) == (kind, model)
    assert world.trouble.told in why["reason"]


@each_trouble
def test_a_judge_and_its_gate(name: str, bring: Bring) -> None:
    world = bring(name)
    flaw = "NaN in its pixels" if world.trouble.pixels else ""
    colours = (DARK, MIDDLING, BRIGHT)
    given = [Subject(lambda colour=colour: plain(*colour), flaw=flaw * (colour == BRIGHT)) for colour in colours]
    dark, middling, bright = (one.verdict for one in world.judge().judge(given, Gate.parse(GATE)))
    assert (dark.outcome, middling.outcome, bright.outcome) == ("reject", "accept", "review")
    assert dark.judged and middling.judged and not bright.judged
    assert [(one.kind, one.model) for one in bright.unjudged] == [(world.trouble.kind, "" if flaw else "dear")]
    assert world.trouble.told in bright.reason


@each_trouble
def test_a_scan_and_what_it_remembers(name: str, bring: Bring, tmp_path: Path) -> None:
    world = bring(name)
    table, page = tmp_path / "t.csv", tmp_path / "page.html"
    first = scanned(world, "--csv", table, "--report", page)
    assert_told(world, first)
    with table.open(encoding="utf-8", newline="") as file:
        assert [bool(row["unjudged"]) for row in csv.DictReader(file)] == [bool(one["unjudged"]) for one in first]
    assert [bool(text) for text in texts(page_of(page), "unjudged")] == [bool(one["unjudged"]) for one in first]
    again = scanned(world)
    assert_told(world, again)
    known = {Path(line["path"]).name for line in again if line["known"]}
    stands = world.trouble.kind == "not_a_number"  # the same numbers the next time; a model may be there or work again
    assert known == {"dark.png", "middling.png"} | ({world.bright} if stands else set())


@each_trouble
@pytest.mark.parametrize("gate", [(), ("--gate", GATE)], ids=["given last", "anew"])
def test_a_report_without_a_scan(name: str, bring: Bring, tmp_path: Path, gate: tuple[str, ...]) -> None:
    world = bring(name)
    scanned(world)
    page, line = tmp_path / "page.html", ["report", world.folder, "--db", world.db, "--models", world.models, *gate]
    done = CliRunner().invoke(app, list(map(str, [*line, "-o", page])), env={"COLUMNS": "400"})
    assert done.exit_code == exit_codes.UNJUDGED, done.stderr
    data = page_of(page)
    assert data["header"]["totals"] == ([1, 0, 1, 1] if world.trouble.pixels else [1, 1, 1, 0])
    assert sum(map(bool, texts(data, "unjudged"))) == 1
    assert any(world.trouble.told in reason for reason in texts(data, "reason"))
    assert ("1 verdict is not final" in data["header"]["note"]) == (world.trouble.kind in ("missing", "failure"))
    if not world.trouble.pixels:
        assert "1 could not be judged" in done.stderr and data["header"]["counts"] == [["could not be judged", 1]]


@each_trouble
@pytest.mark.parametrize("by", ["move", "copy", "link"])
def test_sorting(name: str, bring: Bring, tmp_path: Path, by: str) -> None:
    world, place = bring(name), tmp_path / "sorted"
    scanned(world, "--sort", place, "--sort-by", by)
    found = {path.relative_to(place).as_posix() for path in place.rglob("*.*") if path.suffix != ".jsonl"}
    allowed = by != "move" or world.trouble.kind == "missing"  # then --allow-missing let it pass
    there = {f"review/{world.bright}"} if allowed else set[str]()
    assert found == {"rejected/dark.png", "accepted/middling.png", *there}
    if by == "move":
        assert {path.name for path in world.folder.iterdir()} == (set() if allowed else {world.bright})


@each_trouble
def test_an_evaluation(name: str, bring: Bring, tmp_path: Path) -> None:
    world = bring(name)
    truths = tmp_path / "truths.csv"
    rows = [
        f"pictures/{world.bright},good",
        "pictures/middling.png,good",
        "pictures/dark.png,bad",
        "pictures/no.png,bad",
    ]
    truths.write_text("\n".join(["file,class", *rows]))
    expect = ("--expect", "good=accept", "--expect", "bad=reject")
    out = tmp_path / "numbers.json"
    code, _, told = world.run("evaluate", "--table", truths, "--gate", GATE, *expect, "--json", out)
    assert code == exit_codes.UNJUDGED and "1 images could not be judged, and are in no number" in told
    assert "not read" in told and "no.png" in told
    numbers = json.loads(out.read_text())
    assert (numbers["images"], numbers["not_judged"], numbers["not_read"], numbers["accuracy"]) == (2, 1, 1, 1.0)


@each_trouble
def test_captions(name: str, bring: Bring) -> None:
    world = bring(name)
    code, _, told = world.run("caption", world.folder, "--from", "prompt", "--empty", "write", "--gate", GATE)
    assert code == exit_codes.UNJUDGED, told
    assert [path.name for path in world.folder.glob("*.txt")] == ["middling.txt"]
    assert ("got none, because" if world.trouble.pixels else "1 could not be judged by the gate") in told


@each_trouble
def test_captions_of_a_tagger(name: str, bring: Bring) -> None:
    world = bring(name)
    code, _, told = world.run("caption", world.folder, "--tagger", "words")
    if world.trouble.kind == "missing":
        assert code == exit_codes.ERROR and "keepers fetch" not in told and "words.safetensors" in told
    else:
        assert code == exit_codes.UNJUDGED and "got none, because" in told
    written = {path.stem for path in world.folder.glob("*.txt")}
    assert written == ({"dark", "middling"} if world.trouble.pixels else set())


@each_trouble
def test_a_review(name: str, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    world, shown = bring(name), list[Any]()

    def ended(server: ReviewServer, poll_interval: float) -> None:
        shown.append(server.review.data["items"])
        raise KeyboardInterrupt

    monkeypatch.setattr(ReviewServer, "serve_forever", ended)
    code, _, told = world.run("review", world.folder, "--gate", GATE, "--no-browser")
    assert code == exit_codes.UNJUDGED
    assert ("1 files cannot be read" if world.trouble.pixels else "1 could not be judged") in told
    lost = [item["name"] for item in shown[0] if item["unjudged"]]
    assert lost == ([] if world.trouble.pixels else [world.bright])


@each_trouble
def test_prompts(name: str, bring: Bring) -> None:
    world = bring(name)
    for one, text in (("dark", "a cave"), ("middling", "a street"), ("bright", "the sun")):
        (world.folder / f"{one}.txt").write_text(text)
    code, _, told = world.run("prompts", world.folder, "--gate", GATE, "--resamples", 100)
    assert code == exit_codes.UNJUDGED and "accepted 1, rejected 1 prompts" in told
    assert "1 images could not be read or judged, and are in no number" in told


@each_trouble
def test_the_library(name: str, bring: Bring) -> None:
    world = bring(name)
    paths = [world.folder / one for one in ("dark.png", "middling.png", world.bright)]
    if world.trouble.kind == "missing":
        with pytest.raises(MissingWeights, match=r"dear\.safetensors"):
            score(paths, GATE, judge=world.judge())
        return
    dark, middling, bright = score(paths, GATE, judge=world.judge())
    assert [(one.outcome, one.judged) for one in (dark, middling)] == [("reject", True), ("accept", True)]
    assert not bright.judged and not bright.accepted and world.trouble.told in bright.unjudged[0].reason


@each_trouble
def test_a_scan_on_ray(name: str, bring: Bring, tmp_path: Path) -> None:
    """Its stages, without Ray around them; a missing file stops it before its first image."""
    pytest.importorskip("ray")
    from keepers.cli.scan.cluster import _code
    from keepers.cluster.output.manifest import Listing, survey, write_manifest
    from keepers.cluster.output.output import SETTINGS, Output
    from keepers.cluster.running.connect import _node_facts, try_model
    from keepers.cluster.running.job import Finished, settings_of
    from keepers.cluster.running.settle import count_part
    from keepers.cluster.running.stages import Classify, Look, Prepare, Write
    from keepers.cluster.running.task import Task, TriedModel, Weights
    from keepers.cluster.sources.sources import list_items
    from keepers.core.pictures.walk import Search

    task, output = Task(GATE, device="cpu", precision="exact"), Output.at(str(tmp_path / "out"))
    tried: list[TriedModel] = []

    def try_them(models: Path) -> None:
        tried.extend(try_model(replace(task, weights=Weights((models,))), model) for model in ("cheap", "dear"))

    world = bring(name, try_them)
    task = replace(task, weights=Weights((world.models,)), models=tuple(tried))
    if world.trouble.kind == "missing":
        with pytest.raises(MissingWeights, match=r"dear\.safetensors"):
            _node_facts(task, ("cheap", "dear"))
        return
    output.write(json.dumps(settings_of(task).facts()).encode(), SETTINGS)
    list(write_manifest(output, [str(world.folder)], Search(), ""))
    batch: Any = Look(task).each(list(list_items([str(world.folder)])))
    for stage in (Classify(task, "cheap"), Prepare(task, "dear"), Classify(task, "dear"), Write(task, output.where)):
        batch = stage(batch)
    rows = {Path(row.item.name).name: row for row in Output.at(output.where).image_rows()}
    judged = {one: (row.verdict.outcome, row.verdict.judged) for one, row in rows.items()}
    assert judged.pop(world.bright) == ("review", False)
    assert judged == {"dark.png": ("reject", True), "middling.png": ("accept", True)}
    output, [part] = Output.at(output.where), output.parts()
    counts = replace(count_part(output, part, Listing.read(output), np.ones(3, dtype=bool)), listed=3)
    assert (counts.accept, counts.reject, counts.review + counts.error) == (1, 1, 1)
    assert counts.unjudged == counts.review
    assert _code(Finished(counts), captions=False) == exit_codes.UNJUDGED
    again = int(survey(output).missing.sum())
    assert again == (world.trouble.kind == "failure"), "what failed is looked at again"
