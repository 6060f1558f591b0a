"""Sources on this machine and in memory: the walk's order, lists, Parquet and tars, and what is wrong with them."""

from __future__ import annotations

import io
import os
import pickle
import random
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

import pyarrow.parquet as pq  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from keepers.cluster.item import Item, path_of, uri_of  # noqa: E402
from keepers.cluster.read_item import Reader  # noqa: E402
from keepers.cluster.source_address import quoted, without_secrets  # noqa: E402
from keepers.cluster.source_trouble import Patience, StorageTrouble  # noqa: E402
from keepers.cluster.sources import SourceError, list_items  # noqa: E402
from keepers.core.errors import UnreadableImage  # noqa: E402
from keepers.core.open_image import read_image_file  # noqa: E402
from keepers.core.walk import Found, Search, walk  # noqa: E402

NOT_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="names and links of POSIX")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))


def below(folder: Path, items: list[Item]) -> list[str]:
    return [f"{os.path.relpath(path_of(i.uri) or i.uri, folder)}{'#' if i.member else ''}{i.member}" for i in items]


def refusal(item: Item, reader: Reader | None = None) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        (reader or Reader()).read(item)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, again.code, again.detail) == (caught.value.path, caught.value.code, caught.value.detail)
    return caught.value


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


# Files and folders


@NOT_WINDOWS
def test_a_folder_is_listed_as_the_walk_walks_it(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a/2.jpg", "a/1.webp", "a.b/x.PNG", "ü.png", "notes.txt", "sub/grid.png", ".keepers-ab.tmp")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.png")).write_bytes(b"odd")
    (tmp_path / "link.png").symlink_to("b.png")
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    for search in (None, Search(follow=True), Search(include=["*.png"], exclude=["grid*"]), Search(recursive=False)):
        walked = list(walk([tmp_path], search))
        items = list(list_items([str(tmp_path)], search))
        assert [path_of(i.uri) for i in items] == [entry.path for entry in walked]
        for item, entry in zip(items, walked, strict=True):
            if isinstance(entry, Found):
                assert (item.size, item.mtime_ns, item.code) == (entry.size, entry.mtime_ns, "")
                assert Reader().read(item) == entry.path.read_bytes()
            else:
                assert (item.code, item.flaw) == (entry.code, entry.reason)
                assert refusal(item).code == entry.code
    assert any(item.uri.startswith("file://") for item in list_items([str(tmp_path)]))


def test_what_is_named_twice_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png", "c.dat")
    sources = [tmp_path / "a.png", tmp_path, tmp_path / "sub", tmp_path / "c.dat", tmp_path / "no", tmp_path / "no"]
    items = list(list_items([str(path) for path in sources] + [(tmp_path / "a.png").as_uri()]))
    assert below(tmp_path, items) == ["a.png", "sub/b.png", "c.dat", "no"]
    assert items[-1].code == "not_a_file"


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "in/a.png")
    monkeypatch.chdir(tmp_path)
    assert [item.uri for item in list_items(["in"])] == [uri_of(tmp_path / "in" / "a.png")]
    with pytest.raises(SourceError, match="without a name"):
        list(list_items([""]))


@given(
    names=st.lists(st.text("abz.-_~ \u00e9\U0001f600", min_size=1, max_size=6), min_size=1, max_size=12),
    seed=st.integers(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_depends_on_the_names_alone(
    names: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory, memory: Any
) -> None:
    folder = tmp_path_factory.mktemp("order")
    files = sorted({f"{name}.png" if i % 2 else f"{name}d/{i}.png" for i, name in enumerate(names)})
    random.Random(seed).shuffle(files)
    memory.store.clear()
    for name in files:
        make(folder, name)
        memory.pipe_file(f"/set/{name}", name.encode())
    local = below(folder, list(list_items([str(folder)])))
    assert local == below(folder, list(list_items([str(folder)])))
    assert local == [path.path.relative_to(folder).as_posix() for path in walk([folder])]
    assert [item.uri.removeprefix("memory://set/") for item in list_items(["memory://set"])] == local


def test_a_file_that_changed_or_vanished_is_not_read(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "c.png")
    first, second, third = list_items([str(tmp_path)])
    (tmp_path / "a.png").write_bytes(b"longer than it was")
    (tmp_path / "b.png").unlink()
    os.utime(tmp_path / "c.png", ns=(1, 1))
    assert refusal(first).code == "changed"
    assert refusal(third).code == "changed"
    assert refusal(second).code == "not_a_file"
    with pytest.raises(UnreadableImage) as plain:
        read_image_file(tmp_path / "b.png")
    assert str(plain.value) == str(refusal(second))


def test_a_file_beyond_every_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate((1 << 30) + 1)
    (item,) = list_items([str(tmp_path)])
    assert refusal(item).code == "too_large"


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    make(tmp_path, *(f"{n:03}.png" for n in range(64)))
    write_tar(tmp_path / "t.tar", {f"{n}.png": bytes([n]) * (n + 1) for n in range(64)})
    write_parquet(tmp_path / "p.parquet", [bytes([n]) * (n + 1) for n in range(64)], rows=16)
    items = [*list_items([str(tmp_path)]), *list_items([str(tmp_path / "t.tar"), str(tmp_path / "p.parquet")])]
    items = items[0::3] + items[1::3] + items[2::3]
    reader = Reader(groups=2)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(reader.read, items))
    assert read == [Reader().read(item) for item in items]
    assert len(read) == 192 and all(read)


# Lists


def test_a_list_names_paths_beside_it(tmp_path: Path) -> None:
    make(tmp_path, "set/a.png", "set/deep/b.png", "other.png", "set/# odd.png")
    lines = [
        "\ufeff# the good ones",
        "",
        "deep",
        "a.png",
        "../other.png",
        str(tmp_path / "set" / "a.png"),
        "gone.png",
        "./# odd.png",
    ]
    (tmp_path / "set" / "list.txt").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    items = list(list_items([f"@{tmp_path}/set/list.txt"]))
    assert below(tmp_path / "set", items) == ["deep/b.png", "a.png", "../other.png", "gone.png", "# odd.png"] or [
        Path(os.path.normpath(item.uri)) for item in items
    ] == [
        tmp_path / "set/deep/b.png",
        tmp_path / "set/a.png",
        tmp_path / "other.png",
        tmp_path / "set/gone.png",
        tmp_path / "set/# odd.png",
    ]
    assert [item.code for item in items] == ["", "", "", "not_a_file", ""]
    assert all(Reader().read(item) for item in items if not item.code)


@NOT_WINDOWS
def test_a_list_may_name_what_is_no_unicode(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/odd\xff.png"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    (tmp_path / "list").write_bytes(odd + b"\n")
    (item,) = list_items([f"@{tmp_path}/list"])
    assert Reader().read(item) == b"odd"


def test_a_list_is_read_as_it_is_asked_for(tmp_path: Path, memory: Any) -> None:
    make(tmp_path, "a.png")
    memory.pipe_file("/set/list.txt", f"b.png\n{tmp_path}/a.png\nmemory://set/c.png\nb.png\nsub\n".encode())
    for name in ("b.png", "c.png", "sub/d.png"):
        memory.pipe_file(f"/set/{name}", name.encode())
    items = list(list_items(["@memory://set/list.txt"]))
    assert [item.uri.rpartition("/")[2] for item in items] == ["b.png", "a.png", "c.png", "d.png"]
    assert [Reader().read(item) for item in items] == [b"b.png", b"a.png", b"c.png", b"sub/d.png"]
    (tmp_path / "long").write_text("a.png\n" * 3 + "unknown://x/y.png\n")
    listed = list_items([f"@{tmp_path}/long"])
    assert next(listed).uri == uri_of(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"long, line 4: unknown://x/y\.png: nothing here can open"):
        next(listed)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    for source in (f"@{tmp_path}/none.txt", "@memory://nothing/none.txt"):
        with pytest.raises(SourceError, match=r"none\.txt: the list cannot be read: there is no such file"):
            list(list_items([source]))


# Addresses


def test_another_scheme_goes_through_fsspec(memory: Any) -> None:
    for name in ("b.png", "a/1.png", "a b#?%.png", "notes.txt"):
        memory.pipe_file(f"/set/{name}", name.encode())
    items = list(list_items(["memory://set/"]))
    assert [item.uri for item in items] == [
        "memory://set/a/1.png",
        "memory://set/a b#?%.png",
        "memory://set/b.png",
    ] or [item.uri for item in items] == ["memory://set/a b#?%.png", "memory://set/a/1.png", "memory://set/b.png"]
    reader = Reader(Patience(attempts=1))
    assert [reader.read(item).decode() for item in items] == [item.uri.removeprefix("memory://set/") for item in items]
    memory.pipe_file("/set/b.png", b"another size")
    memory.rm_file("/set/a/1.png")
    found = {item.uri.rpartition("/")[2]: item for item in items}
    assert refusal(found["b.png"], reader).code == "changed"
    assert refusal(found["1.png"], reader).code == "not_a_file"
    (gone,) = list_items(["memory://set/nothing.png"])
    assert (gone.code, gone.flaw) == ("not_a_file", "there is no such file or folder")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("unknown://a/b", "nothing here can open this address"),
        ("s3://KEY:SECRET@bucket/a", "the address holds credentials"),
        ("s3://KEY@bucket/a", "the address holds credentials"),
        ("https://host/a.png?X-Amz-Signature=SECRET", "the address holds credentials"),
        ("abfs://c@acc.dfs.core.windows.net/a?account_key=SECRET", "the address holds credentials"),
        ("zip://a.png::memory://x.zip", "chained"),
        ("s3://", "no bucket is named"),
        ("dropbox://x/y", "needs a package that is not installed"),
    ],
)
def test_addresses_that_cannot_be_used(source: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        list(list_items([source]))
    assert "SECRET" not in str(caught.value) and "KEY" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == "source"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_no_secret_stays_in_an_address() -> None:
    for uri in (
        "s3://anonymous@b/k",
        "sftp://me@host/a",
        "s3://b/k?region=x&endpoint_override=h:1",
        "gs://b/a:b@c.png",
    ):
        assert without_secrets(uri) == uri
    assert quoted("/a b/ü%#?[1].png") == "/a%20b/ü%25%23%3F%5B1%5D.png"


def test_patience_ends() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise OSError("AWS Error SLOW_DOWN during GetObject operation")

    with pytest.raises(StorageTrouble) as caught:
        Patience(attempts=3, wait=0.001).ask(fail)
    assert len(tries) == 3
    assert (caught.value.kind, caught.value.code) == ("throttled", "io")
    with pytest.raises(StorageTrouble):
        Patience(attempts=100, wait=0.05, limit=0.1).ask(fail)
    assert len(tries) < 10
    with pytest.raises(StorageTrouble, match="denies"):
        Patience().ask(lambda: (_ for _ in ()).throw(PermissionError("no")))


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
    reader = Reader()
    assert [reader.read(item) for item in items] == PICTURES
    assert [reader.read(item) for item in reversed(items)] == PICTURES[::-1]
    assert asked == [[0], [1], [2]]


def test_a_row_group_larger_than_memory_is_gone_through(tmp_path: Path) -> None:
    cells = [os.urandom(1 << 20) for _ in range(40)]
    write_parquet(tmp_path / "set.parquet", cells, rows=40)
    items = list(list_items([str(tmp_path / "set.parquet")]))
    reader = Reader(window=1 << 20)
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
    reader = Reader()
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
    assert (Reader().read(first), first.code, second.code) == (b"a", "", "")
    assert (refusal(second).code, refusal(second).detail) == ("empty", "the cell is empty (null)")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_column_of_paths_names_files(tmp_path: Path, memory: Any, kind: Any) -> None:
    make(tmp_path, "in/a.png", "b.png")
    memory.pipe_file("/x/c.png", b"c")
    cells = ["in/a.png", None, "b.png", "memory://x/c.png", "b.png", "gone.png", "set.parquet"]
    write_parquet(tmp_path / "set.parquet", cells, column="path", kind=kind)
    items = list(list_items([str(tmp_path / "set.parquet")], column="path"))
    assert [item.name.rpartition("/")[2] for item in items] == [
        *("a.png", "set.parquet#1", "b.png", "c.png", "gone.png", "set.parquet")
    ]
    assert [item.code for item in items] == ["", "empty", "", "", "not_a_file", "format_not_allowed"]
    assert Reader().read(items[0]) == b"in/a.png"


def test_the_column_is_found_or_asked_for(tmp_path: Path) -> None:
    table = pa.table({"a": [b"1"], "jpg": [b"2"], "png": [b"3"], "n": [1], "text": ["x"]})
    pq.write_table(table, tmp_path / "set.parquet")
    source = str(tmp_path / "set.parquet")
    assert [Reader().read(item) for item in list_items([source])] == [b"2"]
    assert [Reader().read(item) for item in list_items([source], column="a")] == [b"1"]
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
    assert [Reader().read(item) for item in list_items([str(tmp_path)])] == [b"0c", b"1a", b"1b"]
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
    reader = Reader()
    assert {refusal(found[0], reader).code, refusal(found[0], reader).code} <= {"corrupt", "io"}
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
    assert [Reader().read(item) for item in items] == [MEMBERS[item.member] for item in items]
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

    monkeypatch.setattr("keepers.cluster.sources.open_source", lambda *_: Counted(io.FileIO(tmp_path / "set.tar")))
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
    assert [Reader().read(item) for item in items] == [b"first", b"second"]


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
    assert Reader().read(items[0]) == bytes(1000)


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
