"""Commands over what was scanned before, from the store or from an output: report, prompts, labels, tune, calibrate."""

from __future__ import annotations

import csv
import os
import sqlite3
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from keepers.cli import exit_codes
from keepers.cli.report.choice import Choice
from keepers.cli.report.gathered import Wish
from keepers.cli.report.output import from_output
from keepers.cluster.output.predictions import is_whole
from keepers.cluster.output.schema import ImageRow, ModelColumn
from keepers.cluster.sources.item import SourceItem
from keepers.collection.mark_store import MarkStore
from keepers.collection.store import SeenImage, Store
from keepers.core.files import content_hash
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.prediction import Prediction
from keepers.core.weights.store import WeightStore
from keepers.examples.pictures import ORDINARY
from keepers.models.faramir.labels import LABELS as FARAMIR
from keepers.models.registry import REGISTRY
from keepers.tests.cli.pages.test_page import Scripts
from keepers.tests.cluster.output.world import FULL, SPARSE, content, damage, item_of, row, said, write
from keepers.tests.models.tiny_models import TINY
from keepers.tests.train.taste.test_tune import Done, run
from keepers.tests.train.taste.world import World, picky, world

OK_GATE = "accept: signals.label == 'ok'"


def page_of(path: Path) -> Any:
    return Scripts(path.read_text(encoding="utf-8")).data("data")


def texts(data: Any, column: str) -> list[str]:
    return [data["strings"][place] for place in data["rows"][column]]


def pictures_of(path: Path) -> list[str]:
    return Scripts(path.read_text(encoding="utf-8")).data("thumbnails-0")


def scanned(folder: Path, db: Path) -> None:
    """Pictures, one of them black, one repeated, one broken; scanned with the gate that needs no files."""
    folder.mkdir()
    for name in ("mountains", "night", "fog"):
        ORDINARY[name]().save(folder / f"{name}.png")
    ORDINARY["fog"]().save(folder / "twin.png", compress_level=1)
    Image.new("RGB", (256, 256)).save(folder / "black.png")
    (folder / "broken.png").write_bytes(b"not an image")
    assert run("scan", folder, "--db", db, "-q").returncode == exit_codes.UNJUDGED


@pytest.fixture
def store(tmp_path: Path) -> Path:
    scanned(tmp_path / "in", tmp_path / "k.db")
    return tmp_path


# --- from the store ------------------------------------------------------------------------------------------------


def test_a_report_without_a_scan(store: Path) -> None:
    page = store / "pages" / "page.html"
    page.parent.mkdir()
    done = run("report", store / "in", "--db", store / "k.db", "-o", page)
    assert done.returncode == exit_codes.UNJUDGED  # as the scan: one file is broken
    assert "6 images accept 3 review 1 reject 1 error 1" in done.stderr and "could not be judged" not in done.stderr
    data = page_of(page)
    names = [Path(path).name for path in data["rows"]["path"]]
    assert names == ["black.png", "broken.png", "fog.png", "mountains.png", "night.png", "twin.png"]
    verdicts = [data["rows"]["verdict"][names.index(name)] for name in ("night.png", "twin.png", "black.png")]
    assert verdicts == [0, 0, 2], "twin.png is the newer one"
    assert data["header"]["totals"] == [3, 1, 1, 1] and data["header"]["note"] == ""
    assert [(Path(path).name, code) for path, code, _ in data["header"]["unread"]] == [("broken.png", "not_image")]
    assert "signals.label" in data["header"]["gate"] and data["header"]["models"][0][0] == "signals"
    assert data["rows"]["href"][0] == "../in/black.png"
    assert [bool(picture) for picture in pictures_of(page)] == [True, False, True, True, True, True]
    assert Path(texts(data, "duplicate_of")[names.index("fog.png")]).name == "twin.png"


def test_a_report_by_another_gate_opens_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    gate = f"{OK_GATE} and faramir.accept >= 0.5\nreview: signals.label == 'duplicate'"
    done = run("report", "in", "--db", "k.db", "-o", "page.html", "--gate", gate, "--no-pictures")
    assert done.returncode == exit_codes.UNJUDGED and "of these, 3 could not be judged" in done.stderr
    data = page_of(store / "page.html")
    assert data["header"]["counts"] == [["could not be judged", 3]]
    assert Counter(texts(data, "unjudged")) == {"": 2, "faramir was not asked": 3, "the file cannot be read": 1}
    reasons = dict(zip([Path(path).name for path in data["rows"]["path"]], texts(data, "reason"), strict=True))
    assert reasons["twin.png"] == "review: not asked about this image: faramir"
    assert reasons["black.png"].startswith("reject: signals is black")
    assert reasons["fog.png"] == f"review: signals is duplicate of {Path('in', 'twin.png')}"
    assert data["header"]["totals"] == [0, 4, 1, 1]
    assert not any(pictures_of(store / "page.html"))


def test_what_the_store_does_not_know_is_counted(store: Path) -> None:
    folder = store / "in"
    (folder / "night.png").unlink()
    Image.new("RGB", (99, 99), "red").save(folder / "mountains.png")
    Image.new("RGB", (99, 99), "blue").save(folder / "new.png")
    named = run("report", folder, store / "nowhere", "--db", store / "k.db", "-o", store / "page.html")
    assert named.returncode == exit_codes.UNJUDGED and "passed over" in named.stderr
    assert "1 not scanned yet: left out" in named.stderr and "1 changed since they were scanned" in named.stderr
    everything = run("report", "--db", store / "k.db", "-o", store / "page.html")
    assert everything.returncode == exit_codes.UNJUDGED
    assert "4 images" in everything.stderr and "1 no longer there: left out" in everything.stderr
    counts = dict(page_of(store / "page.html")["header"]["counts"])
    assert counts == {"no longer there": 1, "changed since they were scanned": 1}
    nothing = run("report", folder / "new.png", "--db", store / "k.db", "-o", store / "page.html")
    assert nothing.returncode == 1 and "knows no result of these images (1 not scanned yet)" in nothing.stderr
    missing = run("report", "--db", store / "other.db")
    assert missing.returncode == 1 and "There is no store" in missing.stderr and not (store / "other.db").exists()


def test_each_image_has_the_verdict_that_was_given_last(store: Path) -> None:
    run("scan", store / "in" / "night.png", "--db", store / "k.db", "-q", "--gate", "reject: signals.ok == 1")
    run("report", "--db", store / "k.db", "-o", store / "page.html")
    data = page_of(store / "page.html")
    verdicts = {Path(path).name: v for path, v in zip(data["rows"]["path"], data["rows"]["verdict"], strict=True)}
    assert verdicts["night.png"] == 2 and verdicts["mountains.png"] == 0
    assert "# 5 images" in data["header"]["gate"] and "# 1 images\nreject: signals.ok == 1" in data["header"]["gate"]


def test_of_equal_files_one_is_kept_in_the_report_too(tmp_path: Path) -> None:
    """Their verdict is stored once, by content, and the copy's may need the numbers of a net."""
    gate = 'reject: coherence.coherent < 0\nreview: signals.label == "duplicate"\naccept: signals.ok >= 0.5'
    TINY["coherence"].write(tmp_path / "models")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    for name, time in (("a.png", 2_000_000), ("b.png", 1_000_000)):
        ORDINARY["fog"]().save(tmp_path / "in" / name)
        os.utime(tmp_path / "in" / name, (time, time))
    for models, told in (("none", "coherence could not be judged: coherence_model"), ("models", "signals")):
        options = "--db", tmp_path / "k.db", "--models", tmp_path / models, "--allow-missing"
        done = run("scan", tmp_path / "in", "--gate", gate, *options)
        asked = run("report", tmp_path / "in", "--db", tmp_path / "k.db", "-o", tmp_path / "page.html")
        data = page_of(tmp_path / "page.html")
        reasons = texts(data, "reason")
        assert all(told in one and "not asked" not in one for one in (reasons[0], reasons[1])), reasons
        judged = models == "models"
        assert data["rows"]["verdict"] == ([0, 1, 3] if judged else [1, 1, 3])
        assert ("duplicate of" in reasons[0], "duplicate of" in reasons[1]) == (False, judged)
        counts = {"accept": int(judged), "review": 2 - judged, "error": 1}
        for outcome, count in counts.items():  # the scan and the report count alike
            assert f"{outcome} {count}" in done.stderr and (not count or f"{outcome} {count}" in asked.stderr)
        assert "broken.png: this is not an image" in done.stderr
        assert f"broken.png: {tmp_path}" not in done.stderr, "the path is said once"


def test_a_limit_is_shared_among_the_verdicts_and_told(store: Path) -> None:
    common = ("report", store / "in", "--db", store / "k.db", "-o", store / "page.html")
    done = run(*common, "--limit", 4)
    data = page_of(store / "page.html")
    assert sorted(data["rows"]["verdict"]) == [0, 1, 2, 3] and data["header"]["totals"] == [3, 1, 1, 1]
    assert data["header"]["note"] in done.stderr and "Shown are 4 of 6 images" in data["header"]["note"]
    smallest = min((content_hash(store / "in" / f"{name}.png"), name) for name in ("fog", "night", "mountains"))
    assert any(path.endswith(f"{smallest[1]}.png") for path in data["rows"]["path"])
    run(*common, "--verdict", "reject")
    data = page_of(store / "page.html")
    assert data["rows"]["verdict"] == [2] and sum(data["header"]["totals"]) == 6
    assert data["header"]["note"] == "Shown are 1 of 6 images: those with the verdict reject."


def test_a_choice_is_fair_and_the_same_whatever_comes_first() -> None:
    images = [("accept" if n % 10 else "reject", content(n)) for n in range(1000)] + [("error", content(9999))]
    taken: list[list[str]] = []
    for order in (images, images[::-1]):
        choice: Choice[str] = Choice(50)
        for verdict, one in order:
            choice.offer(verdict, one, one)  # pyright: ignore[reportArgumentType]  the words are verdicts
        taken.append(choice.taken())
        assert sum(map(len, choice._kept.values())) <= 150  # pyright: ignore[reportPrivateUsage]  what memory holds
    assert taken[0] == taken[1] and len(taken[0]) == 50
    kinds = {one: verdict for verdict, one in images}
    assert [sum(kinds[one] == kind for one in taken[0]) for kind in ("accept", "reject", "error")] == [44, 5, 1]
    rejects = sorted(one for verdict, one in images if verdict == "reject")
    assert [one for one in taken[0] if kinds[one] == "reject"] == rejects[:5]
    few: Choice[str] = Choice(1)
    for verdict, one in images:
        few.offer(verdict, one, one)  # pyright: ignore[reportArgumentType]  the words are verdicts
    assert len(few.taken()) == 1


# --- from an output ------------------------------------------------------------------------------------------------


def rows_here(folder: Path) -> list[ImageRow]:
    """Images on this machine, one that is gone, one elsewhere, one in a tar, one that is broken."""
    folder.mkdir()
    found: list[ImageRow] = []
    for number, colour in enumerate(("red", "blue")):
        path = folder / f"{colour}.png"
        Image.new("RGB", (64, 48), colour).save(path)
        found.append(
            row(number, said(FULL, 0.9, 0.1), said(SPARSE, 0.9, 0.1, 0, 0), item=item_of(path), prompt="a cat")
        )
    found.append(row(2, said(FULL, 0.2, 0.8), item=SourceItem(str(folder / "gone.png"), size=3)))
    found.append(row(3, said(FULL, 0.3, 0.7), item=SourceItem("https://host/a b.png"), prompt="fog"))
    found.append(row(4, said(FULL, 0.9, 0.1), item=SourceItem("s3://b/all.tar", "5.png", 512, 9, 9000), prompt="a cat"))
    found.append(row(5, error="truncated", uri="s3://b/cut.png"))
    return found


@pytest.mark.parametrize("where", ["{}/out", "memory://read/{}"])
def test_a_report_from_an_output(tmp_path: Path, where: str) -> None:
    place = where.format(tmp_path)
    write(place, rows_here(tmp_path / "in"))
    done = run("report", place, "-o", tmp_path / "page.html", "--db", tmp_path / "none.db")
    assert done.returncode == exit_codes.UNJUDGED and "6 images accept 3 reject 2 error 1" in done.stderr, done.stderr
    assert not (tmp_path / "none.db").exists()
    data = page_of(tmp_path / "page.html")
    paths = data["rows"]["path"]
    here = str(tmp_path / "in")
    assert paths == sorted(
        [
            f"{here}/blue.png",
            f"{here}/gone.png",
            f"{here}/red.png",
            "https://host/a b.png",
            "s3://b/all.tar#5.png",
            "s3://b/cut.png",
        ]
    )
    assert [data["rows"]["href"][paths.index(path)] for path in (f"{here}/red.png", "s3://b/all.tar#5.png")] == [
        "in/red.png",
        "",
    ]
    shown = dict(zip(paths, pictures_of(tmp_path / "page.html"), strict=True))
    assert {path for path, picture in shown.items() if picture} == {f"{here}/red.png", f"{here}/blue.png"}
    assert data["header"]["unread"] == [["s3://b/cut.png", "truncated", "truncated"]]
    assert [model[::2] for model in data["header"]["models"]] == [["nice", "f-nice"], ["tags", "f-tags"]]
    tags = next(one for one in data["scores"] if one["model"] == "tags")
    asked = [one for one in zip(*tags["values"], strict=True) if any(value is not None for value in one)]
    assert tags["labels"] == ["cat", "dog", "fox", "owl"]
    assert asked == [(0.9, "nan", "nan", 0.0)] * 2, "what was left out is no number; owl was kept"


def test_a_report_from_an_output_by_another_gate(tmp_path: Path) -> None:
    write(tmp_path / "out", rows_here(tmp_path / "in"))
    gate = "accept: tags.cat >= 0.5\nreject: nice.good < 0.25"
    done = run(
        "report", tmp_path / "out", "-o", tmp_path / "p.html", "--gate", gate, "--limit", 2, "--verdict", "review"
    )
    assert done.returncode == exit_codes.UNJUDGED and "of these, 3 could not be judged" in done.stderr
    data = page_of(tmp_path / "p.html")
    assert data["header"]["totals"] == [2, 3, 0, 1]
    assert set(texts(data, "reason")) == {"review: not asked about this image: tags"}
    assert set(data["rows"]["verdict"]) == {1} and len(data["rows"]["verdict"]) == 2
    assert data["header"]["gate"] == gate
    refused = run("report", tmp_path / "out", "-o", tmp_path / "p.html", "--preset", "faramir")
    assert (
        refused.returncode == 1
        and "was not asked about signals, coherence, faramir" in refused.stderr
        and "it holds nice, tags" in refused.stderr
    )


def test_thumbnails_of_the_store_serve_an_output(tmp_path: Path) -> None:
    write(tmp_path / "out", [row(1, said(FULL, 0.9, 0.1))])
    with Store(tmp_path / "k.db") as store:
        store.add(thumbnails=[(content(1), "data:image/png;base64,AAAA")])
    run("report", tmp_path / "out", "-o", tmp_path / "p.html", "--db", tmp_path / "k.db")
    assert pictures_of(tmp_path / "p.html") == ["data:image/png;base64,AAAA"]


def test_a_changed_file_lends_no_picture(tmp_path: Path) -> None:
    rows = rows_here(tmp_path / "in")
    write(tmp_path / "out", rows)
    Image.new("RGB", (10, 10)).save(tmp_path / "in" / "red.png")
    run("report", tmp_path / "out", "-o", tmp_path / "p.html", "--db", tmp_path / "k.db")
    shown = dict(zip(page_of(tmp_path / "p.html")["rows"]["path"], pictures_of(tmp_path / "p.html"), strict=True))
    assert [Path(path).name for path, picture in shown.items() if picture] == ["blue.png"]


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    output = write(tmp_path / "out", rows_here(tmp_path / "in"))
    name = damage(output)
    for command in (["report", tmp_path / "out"], ["prompts", tmp_path / "out"]):
        done = run(*command)
        assert done.returncode == 1 and name in done.stderr.replace(" ", "")
        assert "cut off, or is not ours" in done.stderr
    done = run("report", "memory://nothing/here")
    assert done.returncode == 1 and "holds no results of a scan" in done.stderr
    done = run("labels", "--db", tmp_path / "k.db", "--scan", tmp_path)
    assert done.returncode == 1 and "holds no results of a scan" in done.stderr
    (tmp_path / "out" / "keepers.json").write_text("{")
    done = run("report", tmp_path / "out")
    assert done.returncode == 1 and "is damaged" in done.stderr
    done = run("report", tmp_path / "out", tmp_path)
    assert done.returncode == 1 and "name it alone" in done.stderr


def test_without_arrow_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", [row(1, said(FULL, 0.9, 0.1))])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "keepers.cluster.output.output")
    for command in (["report", tmp_path / "out"], ["labels", "--db", tmp_path / "k.db", "--scan", tmp_path / "out"]):
        done = run(*command)
        assert done.returncode == 1 and done.stderr.endswith('needs pyarrow: pip install "keepers[ray]"'), done.stderr


# --- prompts -------------------------------------------------------------------------------------------------------


def test_the_prompts_of_an_output(tmp_path: Path) -> None:
    rows = [
        row(n, said(FULL, 0.9 if n % 2 else 0.1, 0.1 if n % 2 else 0.9), prompt="fog, a hill" if n % 2 else "a cat")
        for n in range(80)
    ]
    rows += [row(90, said(FULL, 0.9, 0.1)), row(91, error="empty")]
    write(tmp_path / "out", rows)
    done = run(
        "prompts", tmp_path / "out", "--csv", tmp_path / "c.csv", "--report", tmp_path / "p.html", "--resamples", 200
    )
    assert done.returncode == exit_codes.UNJUDGED and "1 images could not be read or judged" in done.stderr
    assert "accepted 40, rejected 40 prompts" in done.stderr
    assert "1 images without a prompt, 0 in neither group" in done.stderr
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as file:
        told = {(line["kind"], line["name"]): (line["accepted"], line["rejected"]) for line in csv.DictReader(file)}
    assert told["words", "fog"] == ("40", "0") and told["words", "cat"] == ("0", "40")
    assert page_of(tmp_path / "p.html")["header"]["counts"][0] == ["accepted prompts", 40]
    turned = run("prompts", tmp_path / "out", "--gate", "accept: nice.good < 0.5", "--resamples", 200)
    assert "accepted 40, rejected 40" in turned.stderr
    fooled = run("prompts", tmp_path / "out", "--model", "nice", "--truth", "bad", "--resamples", 200)
    assert "fooled 40, caught 40 prompts" in fooled.stderr and "Left out: 1 images without a prompt" in fooled.stderr
    for wrong, told in (
        (["--model", "nice", "--truth", "ai"], "one of good, bad"),
        (["--model", "faramir", "--truth", "accept"], "was not asked about faramir"),
        (["--model", "nice", "--truth", "bad", "--preset", "signals"], "Say one thing"),
    ):
        done = run("prompts", tmp_path / "out", *wrong)
        assert done.returncode == 1 and told in done.stderr, done.stderr


# --- tune, calibrate, labels ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path, Path]:
    """A world of labels whose predictions were moved from the store into an output, with 60 more images; and tags."""
    made = world(tmp_path_factory.mktemp("moved"), 160, picky)
    folder = made.db.parent
    with Store(made.db) as store:
        fingerprint = store.fingerprints()["faramir"]
        known = store.predictions(made.contents, {"faramir": fingerprint})
    with sqlite3.connect(made.db) as database:
        for table in ("prediction", "file", "image"):
            database.execute(f"DELETE FROM {table}")
    faramir = ModelColumn("faramir", fingerprint, FARAMIR)
    rows = [_row(n, one, known[one]["faramir"]) for n, one in enumerate(made.contents)]
    rows += [_row(n, content(n), known[made.contents[n]]["faramir"]) for n in range(60)]
    write(folder / "out", rows, (faramir,), gate="accept: faramir.accept >= 0.5")
    write(folder / "few", rows, (replace(faramir, floor=0.3),), gate="accept: faramir.accept >= 0.5")
    return made, folder / "out", folder / "few"


def _row(number: int, one: str, answer: Prediction) -> ImageRow:
    made = row(number, answer, gate="accept: faramir.accept >= 0.5", uri=f"s3://bucket/{number:03d}-{one[:4]}.png")
    return replace(made, image=SeenImage(one, 8, 8, f"prompt {number}", seed="1"))


def asked(made: World, command: str, *arguments: object) -> Done:
    return run(command, *arguments, "--db", made.db, "--models", made.weights)


def test_tuning_on_an_output_is_tuning_on_the_store(moved: tuple[World, Path, Path], tmp_path: Path) -> None:
    made, out, few = moved
    without = asked(made, "tune", "faramir", "--name", "other")
    assert without.returncode == 1 and "their files are gone or changed" in without.stderr
    sparse = asked(made, "tune", "faramir", "--name", "other", "--scan", few)
    assert sparse.returncode == 1 and "keeps the tags of faramir only from 0.3 on" in sparse.stderr
    assert "--tag-floor 0" in sparse.stderr and not is_whole(ModelColumn("faramir", "", FARAMIR, 0.3))
    done = asked(made, "tune", "faramir", "--scan", out, "--sheet", tmp_path / "sheet.html")
    assert done.returncode == 0, done.stderr
    assert all(path.startswith("s3://bucket/") for path in page_of(tmp_path / "sheet.html")["rows"]["path"])
    gate = ("--gate", "accept: faramir:mine.accept >= 0.5", "--models", made.weights, "--db", made.db)
    assert run("report", out, "-o", tmp_path / "mine.html", *gate).returncode == 0
    told = page_of(tmp_path / "mine.html")
    accepted = [
        v == 0 for v, p in zip(told["rows"]["verdict"], told["rows"]["path"], strict=True) if _labelled(p, made)
    ]
    assert np.mean(np.array(accepted) == made.keep) > 0.9, "the tuned decision, from numbers alone"
    refused = run("report", few, "-o", tmp_path / "mine.html", *gate)
    assert refused.returncode == 1 and "faramir:mine reads the numbers of faramir, but" in refused.stderr
    from_store = world(tmp_path / "again", 160, picky)
    assert asked(from_store, "tune", "faramir").returncode == 0
    files = [next((each.weights).rglob("*mine*")) for each in (made, from_store)]
    assert all(np.array_equal(a, b) for a, b in zip(*(load_file(file).values() for file in files), strict=True))


def _labelled(path: str, made: World) -> bool:
    number, _, start = path.rpartition("/")[2].removesuffix(".png").partition("-")
    return made.contents[int(number)].startswith(start)


def test_calibrating_counts_all_images_of_an_output(moved: tuple[World, Path, Path], tmp_path: Path) -> None:
    made, out, _ = moved
    wish = ("--keep-rate", "0.25", "--scan", out, "--scan", out, "--report", tmp_path / "c.html")
    done = asked(made, "calibrate", "faramir.accept", *wish)
    assert done.returncode == 0, done.stderr
    assert "accepts 25% of 220 images" in done.stderr
    assert page_of(tmp_path / "c.html")["rows"]["path"][0].startswith("s3://bucket/000-")


def test_labels_are_written_with_their_places_in_an_output(moved: tuple[World, Path, Path], tmp_path: Path) -> None:
    made, out, _ = moved
    done = run("labels", "--db", made.db, "--scan", out, "--export", tmp_path / "l.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "l.csv").open(encoding="utf-8", newline="") as file:
        paths = {line["content"]: line["path"] for line in csv.DictReader(file)}
    assert paths == {one: f"s3://bucket/{n:03d}-{one[:4]}.png" for n, one in enumerate(made.contents)}
    with Store(made.db) as store:
        assert len(MarkStore(store).current()) == 160


def test_verdicts_of_an_output_that_are_not_final_are_told(tmp_path: Path) -> None:
    rows = [row(n, said(FULL, 0.9, 0.1), unsure=("nice",) if n < 2 else ()) for n in range(5)]
    output = write(tmp_path / "out", rows, (FULL,))
    output.write(b"{}", "summary.json")
    judge, wish = Judge(REGISTRY, WeightStore([tmp_path])), Wish(tmp_path, pictures=False)
    note = from_output(output, None, judge, None, wish).note
    assert note == "2 verdicts are not final: the next scan looks at them again."
    assert from_output(output, Gate.parse("accept: nice.bad >= 0"), judge, None, wish).note == ""
