"""The user's labels: in the store, from folders, tables and sorted folders, and out again."""

from __future__ import annotations

import csv
import os
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from keepers.cli.taste.mark_sources import from_folders, from_sorted, from_table
from keepers.collection.mark_store import MarkStore
from keepers.collection.marks import LEAST, Count, Mark, UserMark, count, settle
from keepers.collection.sorting.sort import Sorter
from keepers.collection.store import SeenFile, Store
from keepers.collection.store_schema import FIRST
from keepers.core.errors import KeepersError, StoreError
from keepers.core.files import content_hash
from keepers.tests.cli.scan.test_scan import keepers

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def label(content: str, mark: Mark = "keep", source: str = "test", time: float = 1.0) -> UserMark:
    return UserMark(content, mark, source, time)


@pytest.fixture
def labels(tmp_path: Path):
    with Store(tmp_path / "k.db") as store:
        yield MarkStore(store)


def picture(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (shade, 0, 0)).save(path)
    return path


def test_the_last_label_counts_and_all_are_kept(labels: MarkStore) -> None:
    assert labels.add([label(A), label(B, "reject")]).new == 2
    taken = labels.add([label(A, "reject", time=2.0), label(B, "reject", time=2.0)])
    assert (taken.new, taken.same, taken.changed) == (0, 1, (A,))
    assert {one.content: one.mark for one in labels.current().values()} == {A: "reject", B: "reject"}
    assert [one.mark for one in labels.history()] == ["keep", "reject", "reject"]
    assert labels.current([A, C]).keys() == {A}


def test_contradictions_among_those_given_are_told(labels: MarkStore) -> None:
    fresh, taken = settle([label(A), label(B), label(A, "reject")], {})
    assert {one.content: one.mark for one in fresh} == {A: "reject", B: "keep"}
    assert taken.changed == (A,) and taken.new == 2
    assert labels.add([label(A), label(A, "reject")]).changed == (A,)


def test_taking_back_brings_the_earlier_label_again(labels: MarkStore) -> None:
    first = labels.say(A, "keep", "review", 1.0)
    second = labels.say(A, "reject", "review", 2.0)
    before = labels.version()
    assert labels.take_back(second.id) == second
    assert labels.current()[A] == first
    assert labels.take_back(second.id) is None
    assert labels.version() != before
    again = labels.say(A, "reject", "review", 3.0)
    assert again.id > second.id, "numbers are never used twice"


def test_forgetting(labels: MarkStore) -> None:
    labels.add([label(A), label(B)])
    labels.say(A, "reject", "review", 2.0)
    assert labels.forget([A, C]) == 2
    assert set(labels.current()) == {B}


def test_two_processes_share_the_labels(tmp_path: Path, labels: MarkStore) -> None:
    with Store(tmp_path / "k.db") as other:
        seen = labels.version()
        MarkStore(other).say(A, "keep", "review", 1.0)
        assert labels.version() != seen
        assert labels.current()[A].mark == "keep"


def test_a_store_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(FIRST + "PRAGMA user_version = 1;")
    old.execute("INSERT INTO file VALUES (?, 1, 1, ?)", (os.fsencode("/x.png"), A))
    old.commit()
    old.close()
    with Store(tmp_path / "old.db") as store:
        known = MarkStore(store)
        known.add([label(A)])
        assert known.paths([A]) == {A: [Path("/x.png")]}


def test_a_locked_store_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "k.db", wait=0.05) as store:
        other = sqlite3.connect(tmp_path / "k.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            MarkStore(store).say(A, "keep", "review", 1.0)
        other.close()
        assert MarkStore(store).say(A, "keep", "review", 1.0).id


def test_what_is_missing_is_said() -> None:
    assert count([label(A), label(B, "reject"), label(C)]) == Count(2, 1)
    assert "18 more keeps and 19 more rejects" in Count(2, 1).missing()
    assert "keeps" not in Count(LEAST, 3).missing().partition(":")[2]
    assert Count(LEAST, LEAST).enough and not Count(LEAST, LEAST).missing()


def test_labels_from_two_folders(tmp_path: Path) -> None:
    good = picture(tmp_path / "good" / "deep" / "a.png", 1)
    bad = picture(tmp_path / "bad" / "b.png", 2)
    (tmp_path / "bad" / "note.txt").write_text("no image")
    found = from_folders([tmp_path / "good"], [tmp_path / "bad", tmp_path / "gone"])
    assert {(one.content, one.mark) for one in found.marks} == {
        (content_hash(good), "keep"),
        (content_hash(bad), "reject"),
    }
    assert {file.path for file in found.files} == {good, bad}
    assert "gone" in found.told[0]


def test_labels_from_a_table(tmp_path: Path) -> None:
    picture(tmp_path / "pics" / "a, b.png", 1)
    table = tmp_path / "labels.csv"
    table.write_text(
        f'\ufeffPath,Label,content\n"pics/a, b.png",Keep,\n,rejected,{A.upper()}\n'
        f"pics/gone.png,1,\n,perhaps,{B}\n,no,xyz\n",
        encoding="utf-8",
    )
    found = from_table(table)
    assert [one.mark for one in found.marks] == ["keep", "reject"]
    assert found.marks[1].content == A
    assert len(found.told) == 3
    assert "gone.png" in found.told[0] and "line 5" in found.told[1] and "line 6" in found.told[2]


@pytest.mark.parametrize("text", ["", "name,verdict\na,b\n", "path\nx.png\n"])
def test_a_table_without_its_columns_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(KeepersError, match="column label"):
        from_table(tmp_path / "t.csv")
    with pytest.raises(KeepersError, match="cannot be read"):
        from_table(tmp_path / "none.csv")


def sorted_folder(tmp_path: Path) -> Path:
    names = {"a": "accept", "b": "accept", "c": "review", "d": "reject"}
    with Sorter(tmp_path / "out", roots=[tmp_path / "in"]) as sorter:
        for shade, (name, verdict) in enumerate(names.items()):
            sorter.place(picture(tmp_path / "in" / f"{name}.png", shade), verdict)
    return tmp_path / "out"


def test_only_what_was_moved_by_hand_is_a_label(tmp_path: Path) -> None:
    out = sorted_folder(tmp_path)
    assert from_sorted(out, everything=False).marks == []
    (out / "accepted" / "b.png").rename(out / "rejected" / "b.png")
    (out / "review" / "c.png").rename(out / "accepted" / "c.png")
    found = {one.content: one.mark for one in from_sorted(out, everything=False).marks}
    contents = {name: content_hash(tmp_path / "in" / f"{name}.png") for name in "abcd"}
    assert found == {contents["b"]: "reject", contents["c"]: "keep"}
    everything = {one.content: one.mark for one in from_sorted(out, everything=True).marks}
    assert everything == {**found, contents["a"]: "keep", contents["d"]: "reject"}


def test_a_folder_that_is_not_sorted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeepersError, match="sorts into"):
        from_sorted(tmp_path, everything=False)


def test_the_command_takes_labels_in_and_out(tmp_path: Path) -> None:
    good, bad = picture(tmp_path / "good" / "ä.png", 1), picture(tmp_path / "bad" / "b.png", 2)
    db = ["--db", tmp_path / "k.db"]
    done = keepers("labels", "--keep", good.parent, "--reject", bad.parent, *db)
    assert done.returncode == 0 and "2 new" in done.stderr, done.stderr
    done = keepers("labels", "--reject", good.parent, *db)
    assert "1 changed" in done.stderr and "ä.png" in done.stderr
    assert keepers("labels", "--export", tmp_path / "out.csv", *db).returncode == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["label"], row["content"]) for row in rows} == {
        ("reject", content_hash(good)),
        ("reject", content_hash(bad)),
    }
    other = ["--db", tmp_path / "other.db"]
    assert "2 new" in keepers("labels", "--import", tmp_path / "out.csv", *other).stderr
    assert "1 labels forgotten" in keepers("labels", "--forget", good, *other).stderr
    shown = keepers("labels", *other).stderr
    assert "0 keeps, 1 rejects" in shown and "19 more rejects" in shown


def test_paths_that_were_seen(labels: MarkStore) -> None:
    odd = Path(os.fsdecode(b"/caf\xe9.png"))
    labels.store.add(files=[SeenFile(odd, 1, 1, A), SeenFile(Path("/b.png"), 1, 1, A)])
    assert labels.paths([A, B]) == {A: [Path("/b.png"), odd]}
