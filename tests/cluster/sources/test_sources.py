"""Sources on this machine and in memory: the walk's order, lists, Parquet and tars, and what is wrong with them."""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from keepers.cluster.sources.address import quoted_path, without_secrets  # noqa: E402
from keepers.cluster.sources.item import path_of, uri_of  # noqa: E402
from keepers.cluster.sources.read_item import ItemReader  # noqa: E402
from keepers.cluster.sources.sources import SourceError, list_items  # noqa: E402
from keepers.cluster.sources.trouble import Patience, StorageTrouble, kind_of  # noqa: E402
from keepers.core.errors import UnreadableImage  # noqa: E402
from keepers.core.pictures.open import read_image_file  # noqa: E402
from keepers.core.pictures.walk import Found, Search, walk  # noqa: E402
from keepers.tests.cluster.sources.files import below, make, refusal  # noqa: E402

NOT_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="names and links of POSIX")


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
                assert ItemReader().read(item) == entry.path.read_bytes()
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
    assert below(tmp_path / "set", items) == ["deep/b.png", "a.png", "../other.png", "gone.png", "# odd.png"]
    assert [item.code for item in items] == ["", "", "", "not_a_file", ""]
    assert all(ItemReader().read(item) for item in items if not item.code)


@NOT_WINDOWS
def test_a_list_may_name_what_is_no_unicode(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/odd\xff.png"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    (tmp_path / "list").write_bytes(odd + b"\n")
    (item,) = list_items([f"@{tmp_path}/list"])
    assert ItemReader().read(item) == b"odd"


def test_a_list_is_read_as_it_is_asked_for(tmp_path: Path, memory: Any) -> None:
    make(tmp_path, "a.png")
    memory.pipe_file("/set/list.txt", f"b.png\n{tmp_path}/a.png\nmemory://set/c.png\nb.png\nsub\n".encode())
    for name in ("b.png", "c.png", "sub/d.png"):
        memory.pipe_file(f"/set/{name}", name.encode())
    items = list(list_items(["@memory://set/list.txt"]))
    assert [item.uri.rpartition("/")[2] for item in items] == ["b.png", "a.png", "c.png", "d.png"]
    assert [ItemReader().read(item) for item in items] == [b"b.png", b"a.png", b"c.png", b"sub/d.png"]
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
    ]
    reader = ItemReader(Patience(attempts=1))
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
        ("s3://KEY:SEC/RETSECRET@bucket/a", "the address holds credentials"),
        ("s3://KEY:SEC?RETSECRET@bucket/a", "the address holds credentials"),
        ("s3://bucket/a?endpoint_override=http://KEY:SECRET@host", "the address holds credentials"),
        ("https://host/a.png?pwd=SECRET", "the address holds credentials"),
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
        "hdfs://host:9000/a@b.png",
        "https://host/a?author=me",
    ):
        assert without_secrets(uri) == uri
    assert quoted_path("/a b/ü%#?[1].png") == "/a%20b/ü%25%23%3F%5B1%5D.png"


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


def test_names_of_files_tell_nothing_about_trouble() -> None:
    said = (
        "When reading key '403 SlowDown.png' in bucket 'NoSuchBucket': AWS Error NETWORK_CONNECTION during HeadObject"
    )
    assert kind_of(OSError(said)) == "network"
    assert kind_of(OSError("404 Not Found for url https://host/403/x.png")) == "other"
    assert kind_of(OSError("403 Client Error: Forbidden for url: https://host/x.png")) == "denied"
