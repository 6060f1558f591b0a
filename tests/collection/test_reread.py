"""Metadata that an older reader read is read anew, once, and only from a file that is still the same."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.collection.reread import known_images
from keepers.collection.store import SeenFile, SeenImage, Store
from keepers.collection.store_schema import MIGRATIONS, READERS
from keepers.core.metadata.generation import READER

INFOTEXT = "a heron at dusk\nNegative prompt: fog\nSteps: 9, Sampler: Euler, CFG scale: 3, Seed: 31, Model: marsh"


def written(path: Path) -> SeenFile:
    info = PngInfo()
    info.add_text("parameters", INFOTEXT)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    found = path.stat()
    return SeenFile(path, found.st_size, found.st_mtime_ns, "c")


def test_an_old_row_is_read_anew_and_kept(tmp_path: Path) -> None:
    old = SeenImage("c", 8, 8, "Steps: 9", "", "", notes=("EXIF ignored: x", "16 bits a channel"), reader=READER - 1)
    with Store(tmp_path / "k.db") as store:
        store.add(files=[written(tmp_path / "a.png")], images=[old, SeenImage("d", positive="as it was", reader=1)])
        found = known_images(store, ["c", "d"])
        wanted = SeenImage("c", 8, 8, "a heron at dusk", "fog", "31", "Euler", "marsh", "a1111", ("16 bits a channel",))
        assert found["c"] == wanted
        assert found["d"].positive == "as it was", "its file is gone: what is known stays"
        assert store.images(["c"]) == {"c": wanted}


def test_a_changed_file_says_nothing_of_the_old_image(tmp_path: Path) -> None:
    with Store(tmp_path / "k.db") as store:
        store.add(files=[written(tmp_path / "a.png")], images=[SeenImage("c", positive="old", reader=1)])
        os.utime(tmp_path / "a.png", ns=(1, 1))
        assert known_images(store, ["c"])["c"].positive == "old"


def test_what_the_present_reader_read_stays(tmp_path: Path) -> None:
    with Store(tmp_path / "k.db") as store:
        store.add(files=[written(tmp_path / "a.png")], images=[SeenImage("c", positive="known")])
        assert known_images(store, ["c"])["c"].positive == "known"


def test_rows_of_an_older_store_count_as_read_by_the_first_reader(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "k.db") as db:
        before = MIGRATIONS.index(READERS)
        db.executescript("".join(MIGRATIONS[:before]) + f"PRAGMA user_version = {before};")
        db.execute("INSERT INTO image VALUES ('c', 1, 1, 'p', '', '', '', '', '', '[]')")
    db.close()
    with Store(tmp_path / "k.db") as store:
        assert store.images(["c"])["c"].reader == 1
