"""Sources that were made to do harm: each ends in rows that say what is wrong, or in one error, and soon."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

import pyarrow.parquet as pq  # noqa: E402

from keepers.cluster.output.manifest import write_manifest  # noqa: E402
from keepers.cluster.output.output import IMAGES, MANIFEST, SETTINGS, Output  # noqa: E402
from keepers.cluster.sources.read_item import ItemReader  # noqa: E402
from keepers.cluster.sources.sources import SourceError, list_items  # noqa: E402
from keepers.core.pictures.walk import PassedBy, Search  # noqa: E402
from keepers.tests.cluster.sources.files import below, make, refusal  # noqa: E402

NOT_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="pipes and names of POSIX")
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


# Tars


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header that may say any size."""
    raw = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    raw[124:136] = bytes([0xFF if size < 0 else 0x80]) + (size & ((1 << 88) - 1)).to_bytes(11, "big")
    raw[156:157] = kind
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def member(name: str, data: bytes = b"picture", kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + data + bytes(-len(data) % BLOCK)


def words(*records: tuple[str, str]) -> bytes:
    """What pax says of the member that follows."""
    lines = [f" {name}={value}\n" for name, value in records]
    return member(
        "pax", "".join(f"{len(one) + 2 if len(one) < 8 else len(one) + 3}{one}" for one in lines).encode(), b"x"
    )


HEADERS = {
    "size that leads back to the member": header("b.png", -BLOCK),
    "size that leads back to the one before": header("b.png", -3 * BLOCK),
    "size below nothing": header("b.png", -1),
    "size of pax below nothing": words(("size", "-2048")) + member("b.png"),
    "sparse file that leads back": header("b.png", -BLOCK, b"S"),
    "long name longer than memory": header("././@LongLink", 1 << 40, b"L"),
    "long name longer than numbers": header("././@LongLink", 1 << 70, b"L"),
    "long name below nothing": header("././@LongLink", -BLOCK, b"L"),
    "pax longer than memory": header("pax", 1 << 40, b"x"),
    "headers upon headers": words(("comment", "x")) * 3000,
    "sparse map of words": words(("GNU.sparse.map", "x,y"), ("GNU.sparse.size", "9")) + member("b.png"),
    "sparse size of words": words(("GNU.sparse.size", "z")) + member("b.png"),
    "number without end": member("pax", b"1" * 500_000, b"x"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_headers_that_lead_nowhere_end_a_tar(tmp_path: Path, what: str) -> None:
    (tmp_path / "set.tar").write_bytes(member("a.png") + HEADERS[what] + member("c.png") + END)
    first, second = list_items([str(tmp_path / "set.tar")])
    assert (first.member, second.member, second.code) == ("a.png", "", "corrupt")
    assert ItemReader().read(first) == b"picture"
    (tmp_path / "alone.tar").write_bytes(HEADERS[what] + END)
    assert [item.code for item in list_items([str(tmp_path / "alone.tar")])] == ["corrupt"]


@pytest.mark.parametrize("size", [1 << 40, 1 << 80])
def test_a_size_that_no_column_holds_is_told(tmp_path: Path, size: int) -> None:
    (tmp_path / "set.tar").write_bytes(member("a.png") + header("b.png", size) + END)
    _, item = list_items([str(tmp_path / "set.tar")])
    assert (item.code, item.length) == ("truncated", 0)


def test_members_are_told_apart_whatever_they_are_called(tmp_path: Path) -> None:
    names = (f"a.png (at byte {5 * BLOCK})", "a.png", "a.png")
    (tmp_path / "set.tar").write_bytes(b"".join(member(name, name.encode()) for name in names) + END)
    items = list(list_items([str(tmp_path / "set.tar")], Search(include=["*"])))
    assert len({item.key for item in items}) == 3
    assert [ItemReader().read(item) for item in items] == [name.encode() for name in names]


def test_what_a_tar_names_elsewhere_is_read_from_the_tar(tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(member("/etc/a.png") + member("../../b.png") + END)
    assert [ItemReader().read(item) for item in list_items([str(tmp_path / "set.tar")])] == [b"picture"] * 2


# Parquet


def write(path: Path, columns: list[tuple[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_arrays([pa.array(cells) for _, cells in columns], [name for name, _ in columns]), path)
    return path


PICTURES, OTHERS = [b"picture"], [b"other"]
PACKED = [{"bytes": b"picture"}]


@pytest.mark.parametrize(
    "columns",
    [
        [("image.png", OTHERS), ("image", PICTURES)],
        [("image.bytes", OTHERS), ("image", PICTURES)],
        [("image", PICTURES), ("image.png", OTHERS)],
    ],
)
def test_a_dot_in_a_name_is_part_of_the_name(tmp_path: Path, columns: list[tuple[str, Any]]) -> None:
    (item,) = list_items([str(write(tmp_path / "a.parquet", columns))])
    assert ItemReader().read(item) == b"picture"


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        ([("image.bytes", OTHERS), ("image", PACKED)], ""),
        ([("image", PACKED), ("image.bytes", OTHERS)], "image.bytes"),
        ([("image", [1]), ("image", PICTURES)], ""),
        ([("image", ["a.png"]), ("image", PICTURES)], "image"),
    ],
)
def test_columns_of_one_name_are_refused(tmp_path: Path, columns: list[tuple[str, Any]], asked: str) -> None:
    path = write(tmp_path / "a.parquet", columns)
    with pytest.raises(SourceError, match=r"'image(\.bytes)?' cannot be told from another column"):
        list(list_items([str(path)], column=asked))


def test_a_column_without_a_name_is_none(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column can be told"):
        list(list_items([str(write(tmp_path / "a.parquet", [("", PICTURES)]))]))


def test_one_value_for_all_rows_is_in_memory_a_few_times_only(tmp_path: Path) -> None:
    cells = [bytes(1 << 20)] * 512
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("image", pa.binary())]), compression="zstd") as file:
        file.write_table(pa.table({"image": cells}), row_group_size=len(cells))
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    (first, *_) = list_items([str(tmp_path / "a.parquet")])
    before = pa.default_memory_pool().max_memory()
    assert ItemReader().read(first) == cells[0]
    assert pa.default_memory_pool().max_memory() - before < 128 << 20


def test_a_table_that_names_itself_in_other_words_is_read_once(tmp_path: Path) -> None:
    make(tmp_path, "set/a.png")
    names = ["a.png", "./t.parquet", "../set/t.parquet", "../set/../set/t.parquet"]
    path = write(tmp_path / "set" / "t.parquet", [("path", names)])
    items = list(list_items([str(path)], column="path"))
    assert below(tmp_path, items) == ["set/a.png", "set/t.parquet", "set/t.parquet"]
    assert [item.code for item in items] == ["", "format_not_allowed", "format_not_allowed"]
    assert "names itself" in items[1].flaw and len({item.key for item in items}) == 3


def test_a_tar_that_a_table_beside_it_names_comes_once(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(member("a.png") + END)
    write(tmp_path / "b.parquet", [("image", ["a.tar"])])
    assert below(tmp_path, list(list_items([str(tmp_path)]))) == ["a.tar#a.png"]


def test_a_cell_that_names_nothing_possible_is_a_row_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    path = write(tmp_path / "t.parquet", [("image", ["a.png", "x" * 5000, "\0", "b.png"])])
    assert [item.code for item in list_items([str(path)])] == ["", "not_a_file", "not_a_file", ""]


def test_an_item_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [("image", PICTURES)])
    (item,) = list_items([str(path)])
    for odd in (
        replace(item, member="x"),
        replace(item, member="-1"),
        replace(item, offset=-1),
        replace(item, offset=7),
        replace(item, column="", offset=512, length=-513),
        replace(item, column="", offset=-512, length=9),
    ):
        assert refusal(odd).code == "corrupt"


# Pipes, and lists


@NOT_WINDOWS
def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(member("a.png") + END)
    write(tmp_path / "b.parquet", [("image", PICTURES)])
    items = list(list_items([str(tmp_path)]))
    for item in items:
        Path(item.uri).unlink()
        os.mkfifo(item.uri)
        assert refusal(item).code == "not_a_file"
    os.mkfifo(tmp_path / "list")
    for source in (f"@{tmp_path}/list", "@/dev/zero"):
        with pytest.raises(SourceError, match="the list cannot be read: this is not a regular file"):
            list(list_items([source]))


@NOT_WINDOWS
def test_files_here_that_may_not_be_read_are_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").write_bytes(member("a.png") + END)
    make(tmp_path, "list")
    (item,) = list_items([str(tmp_path / "a.tar")])

    def denied(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert (refusal(item).code, refusal(item).detail) == ("io", "no permission to read it")
    assert [one.flaw for one in list_items([str(tmp_path / "a.tar")])] == ["no permission to read it"]
    with pytest.raises(SourceError, match="the list cannot be read: no permission to read it"):
        list(list_items([f"@{tmp_path}/list"]))


def test_a_list_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("a.png\r\nb.png".encode("utf-16"))
    with pytest.raises(SourceError, match="line 1 holds a zero byte: a list is plain text; save it as UTF-8"):
        list(list_items([f"@{tmp_path}/list"]))


@NOT_WINDOWS
def test_a_name_that_is_too_long_is_a_row(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    (tmp_path / "list").write_text("x" * 5000 + "\na.png\n")
    items = list(list_items([f"@{tmp_path}/list"]))
    assert [item.code for item in items] == ["not_a_file", ""]


# The output among the sources


@pytest.mark.parametrize("name", ["out", "day=results"])
def test_what_is_written_into_the_sources_is_no_source(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.parquet", [("image", PICTURES)])
    output = Output.at(str(tmp_path / name))
    output.write(b"{}", SETTINGS)
    for _ in range(2):
        output.write_table(pa.table({"image": PICTURES}), IMAGES, "part-0.parquet")
        assert {one.inputs for one in write_manifest(output, [str(tmp_path)], Search(), "")} == {1}
    (part,) = output.parts(MANIFEST)
    assert output.part(part, None, MANIFEST)["uri"].to_pylist() == [str(tmp_path / "a.parquet")]


@pytest.mark.parametrize("name", ["out", "day=results"])
def test_nor_is_what_is_written_into_sources_elsewhere(name: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    given, output = Output.at("memory://set"), Output.at(f"memory://set/{name}")
    given.write_table(pa.table({"image": PICTURES}), "a.parquet")
    output.write(b"{}", SETTINGS)
    for source in ("memory://set", "memory://set/"):
        output.write_table(pa.table({"image": PICTURES}), IMAGES, "part-0.parquet")
        assert {one.inputs for one in write_manifest(output, [source], Search(), "")} == {1}, source
    (part,) = output.parts(MANIFEST)
    assert output.part(part, None, MANIFEST)["uri"].to_pylist() == ["memory://set/a.parquet"]


# What is hidden

HIDDEN = ["b.png", "@eaDir/b.png/x.jpg", ".thumbnails/b.png", "._b.png", "s/keepers-sort-1.jsonl", "s/accepted/c.png"]
TOLD = "skipped 2 in 2 hidden folders and 1 in 1 folder of an earlier --sort and 1 hidden file"


def test_hidden_files_of_every_source_are_passed_by_and_counted(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    for name in HIDDEN:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"x")
        memory.pipe_file(f"/set/{name}", b"x")
    for source in (str(tmp_path / "set"), "memory://set"):
        output = Output.at(str(tmp_path / "out"))
        last = list(write_manifest(output, [source], Search(), ""))[-1]
        assert (last.inputs, last.passed_by) == (1, TOLD), source
        assert list(write_manifest(output, [source], Search(hidden=True), ""))[-1] == (5, ""), source


def test_hidden_members_of_a_tar_are_passed_by(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name in ("./a.png", "b/._c.png", ".thumbnails/a.png"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    passed_by = PassedBy()
    found = list(list_items([str(tmp_path / "set.tar")], Search(passed_by=passed_by)))
    assert [item.member for item in found] == ["./a.png"]
    assert str(passed_by) == "skipped 2 hidden files"
