"""Parquet and tars as sources: their pictures, their order, and what is wrong with them."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

import pyarrow.parquet as pq  # noqa: E402

from keepers.cluster.sources.read_item import ItemReader  # noqa: E402
from keepers.cluster.sources.sources import SourceError, list_items  # noqa: E402
from keepers.core.pictures.walk import Search  # noqa: E402
from keepers.tests.cluster.sources.files import below, make, refusal  # noqa: E402

# Parquet


def write_parquet(path: Path, cells: list[Any], *, rows: int = 4, column: str = "image", kind: Any = None) -> None:
    table = pa.table({"id": list(range(len(cells))), column: pa.array(cells, kind or pa.binary())})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows)


PICTURES = [f"picture {n}".encode() * (n + 1) for n in range(10)]


def test_every_row_is_an_item_and_a_row_group_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "set.parquet", PICTURES)
    items = list(list_items([str(tmp_path / "set.parquet")]))
    assert [(i.member, i.offset, i.column, i.code) for i in items] == [(str(n), n // 4, "image", "") for n in range(10)]
    assert len({item.key for item in items}) == 10
    asked: list[list[int]] = []
    iter_batches = pq.ParquetFile.iter_batches

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        asked.append(options["row_groups"])
        return iter_batches(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    reader = ItemReader()
    assert [reader.read(item) for item in items] == PICTURES
    assert [reader.read(item) for item in reversed(items)] == PICTURES[::-1]
    assert asked == [[0], [1], [2]]


def test_a_row_group_larger_than_memory_is_gone_through(tmp_path: Path) -> None:
    cells = [os.urandom(1 << 20) for _ in range(40)]
    write_parquet(tmp_path / "set.parquet", cells, rows=40)
    items = list(list_items([str(tmp_path / "set.parquet")]))
    reader = ItemReader(window=1 << 20)
    assert [reader.read(item) for item in items] == cells
    assert reader.read(items[0]) == cells[0]  # it starts anew for who goes back
    (group,) = [entry.made for entry in reader._groups._entries.values()]
    assert group is not None and sum(kept.nbytes for _, kept in group._kept) < 20 << 20


def test_hugging_face_stores_structs(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [
        {"bytes": b"one", "path": "1.png"},
        None,
        {"bytes": None, "path": "3.png"},
        {"bytes": b"four", "path": None},
    ]
    write_parquet(tmp_path / "set.parquet", cells, rows=10, kind=kind)
    items = list(list_items([str(tmp_path)]))
    assert [item.code for item in items] == ["", "empty", "empty", ""]
    reader = ItemReader()
    assert (reader.read(items[0]), reader.read(items[3])) == (b"one", b"four")
    assert refusal(items[1]).detail == "the cell is empty (null)"


def test_empty_cells_are_told(tmp_path: Path) -> None:
    write_parquet(tmp_path / "some.parquet", [b"a", None, b"c", b"d", None, None, b"g"], rows=3)
    write_parquet(tmp_path / "all.parquet", [None, None])
    items = list(list_items([str(tmp_path / "some.parquet"), str(tmp_path / "all.parquet")]))
    assert [item.code for item in items] == ["", "empty", "", "", "empty", "empty", "", "empty", "empty"]
    table = pa.table({"image": pa.array([b"a", None])})
    pq.write_table(table, tmp_path / "untold.parquet", write_statistics=False)
    first, second = list_items([str(tmp_path / "untold.parquet")])
    assert (ItemReader().read(first), first.code, second.code) == (b"a", "", "")
    assert (refusal(second).code, refusal(second).detail) == ("empty", "the cell is empty (null)")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_column_of_paths_names_files(tmp_path: Path, kind: Any) -> None:
    make(tmp_path, "in/a.png", "b.png")
    fsspec.filesystem("memory").pipe_file("/x/c.png", b"c")
    cells = ["in/a.png", None, "b.png", "memory://x/c.png", "b.png", "gone.png", "set.parquet"]
    write_parquet(tmp_path / "set.parquet", cells, column="path", kind=kind)
    items = list(list_items([str(tmp_path / "set.parquet")], column="path"))
    assert [item.name.rpartition("/")[2] for item in items] == [
        *("a.png", "set.parquet#1", "b.png", "c.png", "gone.png")
    ]
    assert [item.code for item in items] == ["", "empty", "", "", "not_a_file"]
    assert ItemReader().read(items[0]) == b"in/a.png"


def test_the_column_is_found_or_asked_for(tmp_path: Path) -> None:
    table = pa.table({"a": [b"1"], "jpg": [b"2"], "png": [b"3"], "n": [1], "text": ["x"]})
    pq.write_table(table, tmp_path / "set.parquet")
    source = str(tmp_path / "set.parquet")
    assert [ItemReader().read(item) for item in list_items([source])] == [b"2"]
    assert [ItemReader().read(item) for item in list_items([source], column="a")] == [b"1"]
    with pytest.raises(SourceError, match=r"'nope' does not exist; name one of these with --column: a, jpg, png, text"):
        list(list_items([source], column="nope"))
    with pytest.raises(SourceError, match="'n' holds neither images nor paths"):
        list(list_items([source], column="n"))
    pq.write_table(pa.table({"a": [b"1"], "b": [b"1"]}), tmp_path / "two.parquet")
    with pytest.raises(SourceError, match="no column can be told"):
        list(list_items([str(tmp_path / "two.parquet")]))
    pq.write_table(pa.table({"only": [b"1"], "b": [1]}), tmp_path / "one.parquet")
    assert [item.column for item in list_items([str(tmp_path / "one.parquet")])] == ["only"]


def test_a_folder_of_parquet_alone_is_a_data_set(tmp_path: Path) -> None:
    write_parquet(tmp_path / "p=1" / "b.parquet", [b"1b"])
    write_parquet(tmp_path / "p=1" / "a.parquet", [b"1a"])
    write_parquet(tmp_path / "p=0" / "c.parquet", [b"0c"])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "p=0" / ".c.parquet.crc").touch()
    assert [ItemReader().read(item) for item in list_items([str(tmp_path)])] == [b"0c", b"1a", b"1b"]
    make(tmp_path, "picture.png")  # now it is a folder of pictures, as it is for the plain scan
    assert below(tmp_path, list(list_items([str(tmp_path)]))) == ["picture.png"]


def test_parquet_that_is_damaged_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": PICTURES}), tmp_path / "cut.parquet", row_group_size=4)
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "empty.parquet").touch()
    items = list(list_items([str(tmp_path)]))
    assert [(item.code, item.member) for item in items] == [("corrupt", ""), ("corrupt", "")]
    assert "not written to its end" in items[0].flaw
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.parquet").write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    found = list(list_items([str(tmp_path / "bad")]))
    reader = ItemReader()
    assert [refusal(found[0], reader).code, refusal(found[0], reader).code] == ["corrupt", "corrupt"]
    assert reader.read(found[9]) == PICTURES[9]


def test_parquet_that_was_written_anew_is_not_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set.parquet", PICTURES)
    items = list(list_items([str(tmp_path / "set.parquet")]))
    write_parquet(tmp_path / "set.parquet", PICTURES[::-1] * 2)
    assert refusal(items[0]).code == "changed"


# Tars


def write_tar(path: Path, files: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> None:  # noqa: A002
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


MEMBERS = {
    "001.jpg": b"j" * 700,
    "001.json": b"{}",
    "../002.png": b"p" * 512,
    "/abs/003.png": b"",
    "ünï/" + "x" * 150 + ".webp": b"w" * 3,
}


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_is_indexed_by_its_headers(tmp_path: Path, format: int) -> None:  # noqa: A002
    write_tar(tmp_path / "set.tar", MEMBERS, format)
    items = list(list_items([str(tmp_path / "set.tar")]))
    assert [item.member for item in items] == [name for name in MEMBERS if not name.endswith("json")]
    assert [ItemReader().read(item) for item in items] == [MEMBERS[item.member] for item in items]
    assert items[0].name == f"{tmp_path}/set.tar#001.jpg"
    only = list_items([str(tmp_path / "set.tar")], Search(include=["*.png"], exclude=["abs"]))
    assert [item.member for item in only] == ["../002.png"]


def test_the_pictures_are_not_read_for_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "set.tar", {f"{n}.png": bytes(1 << 20) for n in range(8)})
    read: list[int] = []
    readinto = io.BufferedReader.read

    class Counted(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            data = readinto(self, size)
            read.append(len(data))
            return data

    monkeypatch.setattr(
        "keepers.cluster.sources.sources.open_source", lambda *_: Counted(io.FileIO(tmp_path / "set.tar"))
    )
    assert len(list(list_items([str(tmp_path / "set.tar")]))) == 8
    assert sum(read) < 8 * 2048


def test_links_in_a_tar_are_told(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name, kind in (
            ("a.png", tarfile.SYMTYPE),
            ("b.png", tarfile.LNKTYPE),
            ("c.png", tarfile.FIFOTYPE),
            ("d", tarfile.DIRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    items = list(list_items([str(tmp_path / "set.tar")]))
    assert [(i.member, i.code) for i in items] == [
        ("a.png", "not_followed"),
        ("b.png", "not_followed"),
        ("c.png", "not_a_file"),
    ]
    assert refusal(items[0]).code == "not_followed"


def test_two_members_of_one_name_are_two_pictures(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for data in (b"first", b"second"):
            member = tarfile.TarInfo("a.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    items = list(list_items([str(tmp_path / "set.tar")]))
    assert [item.member for item in items] == ["a.png", "a.png (at byte 1536)"]
    assert [ItemReader().read(item) for item in items] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("kept", "members", "code"),
    [
        (512 + 1024 + 512 + 300, ["0.png", "1.png"], "truncated"),  # in the middle of a picture
        (512 + 1024 + 100, ["0.png", ""], "truncated"),  # in the middle of a header
        (512 + 1024, ["0.png", ""], "truncated"),  # between two, without an end
    ],
)
def test_a_tar_that_is_cut_off_gives_what_it_has(tmp_path: Path, kept: int, members: list[str], code: str) -> None:
    write_tar(tmp_path / "set.tar", {f"{n}.png": bytes(1000) for n in range(4)})
    os.truncate(tmp_path / "set.tar", kept)
    items = list(list_items([str(tmp_path / "set.tar")]))
    assert [item.member for item in items] == members
    assert [item.code for item in items] == ["", code]
    assert ItemReader().read(items[0]) == bytes(1000)


def test_a_tar_cut_off_in_what_is_no_picture_is_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "set.tar", {"a.png": b"a", "a.json": bytes(5000)})
    os.truncate(tmp_path / "set.tar", 2000)
    assert [(i.member, i.code) for i in list_items([str(tmp_path / "set.tar")])] == [("a.png", ""), ("", "truncated")]


def test_a_damaged_tar_gives_what_comes_before(tmp_path: Path) -> None:
    write_tar(tmp_path / "set.tar", {f"{n}.png": bytes(1000) for n in range(4)})
    data = bytearray((tmp_path / "set.tar").read_bytes())
    data[1536 : 1536 + 300] = b"\xff" * 300
    (tmp_path / "set.tar").write_bytes(data)
    (tmp_path / "none.tar").write_bytes(b"this is no tar at all" * 100)
    (tmp_path / "empty.tar").touch()
    found = [(i.uri.rpartition("/")[2], i.member, i.code) for i in list_items([str(tmp_path)])]
    assert found == [
        ("empty.tar", "", "corrupt"),
        ("none.tar", "", "corrupt"),
        ("set.tar", "0.png", ""),
        ("set.tar", "", "corrupt"),
    ]


def test_a_compressed_tar_is_refused_with_its_reason(tmp_path: Path) -> None:
    for name in ("a.tar.gz", "b.tgz"):
        (tmp_path / name).write_bytes(b"\x1f\x8b")
        (item,) = list_items([str(tmp_path / name)])
        assert item.code == "format_not_allowed" and "unpack it" in item.flaw


def test_a_tar_that_was_written_anew_is_not_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "set.tar", {"a.png": b"a" * 600, "b.png": b"b"})
    before = (tmp_path / "set.tar").stat()
    items = list(list_items([str(tmp_path / "set.tar")]))
    write_tar(tmp_path / "set.tar", {"a.png": b"a", "b.png": b"b" * 600})
    os.utime(tmp_path / "set.tar", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "set.tar").stat().st_size == before.st_size  # only its headers tell
    assert refusal(items[0]).code == "changed"
    assert refusal(items[1]).code == "changed"


# Both


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    make(tmp_path, *(f"{n:03}.png" for n in range(64)))
    write_tar(tmp_path / "t.tar", {f"{n}.png": bytes([n]) * (n + 1) for n in range(64)})
    write_parquet(tmp_path / "p.parquet", [bytes([n]) * (n + 1) for n in range(64)], rows=16)
    items = [*list_items([str(tmp_path)]), *list_items([str(tmp_path / "t.tar"), str(tmp_path / "p.parquet")])]
    items = items[0::3] + items[1::3] + items[2::3]
    reader = ItemReader(groups=2)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(reader.read, items))
    assert read == [ItemReader().read(item) for item in items]
    assert len(read) == 192 and all(read)
