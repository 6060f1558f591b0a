"""Sources on S3, asked over real connections: the disk's order and bytes, throttling, cut connections and refusals."""

from __future__ import annotations

import io
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("moto")

import pyarrow.parquet as pq  # noqa: E402

from keepers.cluster.sources.item import SourceItem  # noqa: E402
from keepers.cluster.sources.read_item import ItemReader  # noqa: E402
from keepers.cluster.sources.sources import SourceError, list_items  # noqa: E402
from keepers.cluster.sources.trouble import Patience  # noqa: E402
from keepers.core.errors import UnreadableImage  # noqa: E402
from keepers.core.pictures.walk import Found, Search, walk  # noqa: E402
from keepers.tests.cluster.sources.s3_server import CLEARED, ENVIRONMENT, Request, S3Server, serving  # noqa: E402

QUICK = Patience(attempts=2, wait=0.01, limit=30)
NAMES = (
    "b.png",
    "a/2.jpg",
    "a/1.webp",
    "a.b/x.PNG",
    "a-b/y.png",
    "ü/[1] 100%#?.png",
    "notes.txt",
    "a/deep/er/z.gif",
    "A.png",
)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with serving() as running:
        yield running


@pytest.fixture
def s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield server
    server.reset()


def listed(s3: S3Server, path: str, search: Search | None = None) -> list[SourceItem]:
    return list(list_items([s3.uri(path)], search, patience=QUICK))


def refusal(item: SourceItem) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        ItemReader(QUICK).read(item)
    return caught.value


def test_a_folder_there_is_as_the_folder_here(s3: S3Server, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 5)
    s3.fill("pictures", {f"set/{name}": name.encode() * 5 for name in NAMES})
    reader = ItemReader(QUICK)
    for search in (Search(), Search(include=["*.png"], exclude=["a*"]), Search(recursive=False)):
        walked = [entry for entry in walk([tmp_path], search) if isinstance(entry, Found)]
        for path in ("pictures/set", "pictures/set/"):
            items = listed(s3, path, search)
            assert [reader.read(item) for item in items] == [entry.path.read_bytes() for entry in walked]
            assert all(item.mtime_ns and not item.code for item in items)
    again = [one for item in items for one in list_items([item.uri])]
    assert again == items  # what is written into results opens the same object again
    assert [item.key for item in again] == [item.key for item in items]


def test_one_picture_costs_two_requests(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"x" * 300_000, "b.png": b"y"})
    first, second = listed(s3, "pictures")
    s3.requests.clear()
    reader = ItemReader(QUICK)
    assert (reader.read(first), reader.read(second)) == (b"x" * 300_000, b"y")
    assert [(request.method, request.path) for request in s3.requests] == [
        (method, f"/pictures/{name}.png") for name in "ab" for method in ("HEAD", "GET")
    ]


def test_what_is_named_twice_comes_once(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"a", "sub/b.png": b"b"})
    sources = [s3.uri(f"pictures/{path}") for path in ("sub/b.png", "", "sub", "a.png", "no.png")]
    items = list(list_items(sources, patience=QUICK))
    assert [item.uri.partition("?")[0] for item in items] == [
        f"s3://pictures/{name}" for name in ("sub/b.png", "a.png", "no.png")
    ]
    assert (items[-1].code, items[-1].flaw) == ("not_a_file", "there is no such file or folder")


def test_the_endpoint_may_stand_in_the_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.fill("pictures", {"a.png": b"a"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3.port}")
    (item,) = list_items(["s3://pictures"], patience=QUICK)
    assert item.uri == "s3://pictures/a.png"
    assert ItemReader(QUICK).read(item) == b"a"


def test_names_that_cannot_be_asked_for_are_told(s3: S3Server) -> None:
    s3.fill("pictures", {"d/a.png": b"a", "d//b.png": b"b", "d/../c.png": b"c", "e/f.png": b"f", "dir/": b""})
    found = [(item.uri.partition("?")[0], item.code) for item in listed(s3, "pictures")]
    assert found == [
        ("s3://pictures/d/../", "not_a_file"),
        ("s3://pictures/d/a.png", ""),
        ("s3://pictures/d/", "not_a_file"),
        ("s3://pictures/e/f.png", ""),
    ]


def test_passing_trouble_is_outlived(s3: S3Server) -> None:
    bodies = {f"{n}.png": bytes([n]) * 50_000 for n in range(6)}
    s3.fill("pictures", bodies)
    s3.throttle(1)
    items = listed(s3, "pictures")
    reader = ItemReader(Patience(attempts=3, wait=0.01))
    s3.throttle(2, lambda request: request.path.endswith("/1.png"))
    s3.throttle(1, lambda request: request.method == "GET")
    s3.cut(1, lambda request: request.method == "GET" and request.path.endswith("/3.png"))
    assert [reader.read(item) for item in items] == list(bodies.values())
    assert s3.count("GET", "3.png") == 2


@pytest.mark.parametrize(
    ("fault", "said"), [("throttle", "fewer requests after 2 attempts"), ("cut", "connection broke after 2 attempts")]
)
def test_lasting_trouble_ends_in_an_error(s3: S3Server, fault: str, said: str) -> None:
    s3.fill("pictures", {"a.png": b"x" * 50_000})
    (item,) = listed(s3, "pictures")
    getattr(s3, fault)()
    s3.requests.clear()
    error = refusal(item)
    assert error.code == "io" and said in error.detail and "\n" not in str(error)
    with pytest.raises(SourceError, match=said):
        listed(s3, "pictures")
    asked = Counter((request.method, request.path, request.query) for request in s3.requests)
    assert max(asked.values()) <= 2 * QUICK.attempts, "the client's own library asks twice each time"


def test_trouble_in_the_middle_of_a_listing(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"a", "m/b.png": b"b", "z/c.png": b"c"})
    inside = lambda request: "prefix=m%2F" in request.query  # noqa: E731
    s3.throttle(matches=inside)
    items = list_items([s3.uri("pictures")], patience=QUICK)
    assert next(items).uri.startswith("s3://pictures/a.png")
    with pytest.raises(SourceError, match="fewer requests"):
        next(items)


def test_a_folder_that_is_denied_is_told_as_on_a_disk(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"a", "m/b.png": b"b", "z/c.png": b"c"})

    def inside(request: Request) -> bool:
        return "prefix=m%2F" in request.query

    s3.refuse("AccessDenied", inside)
    found = [(item.uri.partition("?")[0], item.code) for item in listed(s3, "pictures")]
    assert found == [("s3://pictures/a.png", ""), ("s3://pictures/m", "io"), ("s3://pictures/z/c.png", "")]


def test_a_bucket_that_denies(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"a"})
    (item,) = listed(s3, "pictures")
    s3.deny("pictures")
    for path in ("pictures", "pictures/a.png", "pictures/none.png"):
        with pytest.raises(
            SourceError, match=r"^s3://pictures.*: the storage denies access with the credentials"
        ) as caught:
            listed(s3, path)
        assert "s3://anonymous@BUCKET" in str(caught.value)
    s3.requests.clear()
    assert (refusal(item).code, len(s3.requests)) == ("io", 1)  # asking again would not help


def test_a_bucket_that_is_not_there(s3: S3Server) -> None:
    for path in ("nowhere", "nowhere/a.png", "nowhere/sub/"):
        with pytest.raises(SourceError, match="there is no such bucket; check its name"):
            listed(s3, path)


@pytest.mark.parametrize("path", ["pictures", "pictures/a.png"])
def test_credentials_that_are_missing_or_wrong(s3: S3Server, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    s3.fill("pictures", {"a.png": b"a"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER")
    with pytest.raises(SourceError, match="does not accept the credentials") as wrong:
        listed(s3, path)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        SourceError, match="none were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ) as missing:
        listed(s3, path)
    for caught in (wrong, missing):
        assert "AKIA" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_bucket_that_lets_everybody_in(s3: S3Server) -> None:
    s3.fill("public", {"a.png": b"a"})
    s3.publish("public")
    (item,) = listed(s3, "anonymous@public")
    assert item.uri.startswith("s3://anonymous@public/a.png")
    assert ItemReader(QUICK).read(item) == b"a"
    s3.public.clear()
    with pytest.raises(SourceError, match="denies access"):
        listed(s3, "anonymous@public")


def test_a_service_that_is_not_there(s3: S3Server) -> None:
    uri = "s3://pictures/a.png?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(SourceError, match="cannot be reached"):
        list(list_items([uri], patience=Patience(attempts=1)))
    with pytest.raises(UnreadableImage, match="cannot be reached"):
        ItemReader(Patience(attempts=1)).read(SourceItem(uri, size=1))


def put_later(s3: S3Server, bucket: str, key: str, body: bytes) -> None:
    """Writes an object until its time is another one: S3 tells times to the second."""
    place = {"Bucket": bucket, "Key": key}
    before, end = s3.client.head_object(**place)["LastModified"], time.monotonic() + 60
    while s3.client.head_object(**place)["LastModified"] == before:
        assert time.monotonic() < end, "the time of the object stands still"
        time.sleep(0.05)
        s3.client.put_object(**place, Body=body)


def test_objects_that_vanish_or_change(s3: S3Server) -> None:
    s3.fill("pictures", {"a.png": b"a", "b.png": b"b", "c.png": b"c"})
    first, second, third = listed(s3, "pictures")
    s3.client.delete_object(Bucket="pictures", Key="a.png")
    s3.client.put_object(Bucket="pictures", Key="b.png", Body=b"longer")
    put_later(s3, "pictures", "c.png", b"C")
    assert (refusal(first).code, refusal(first).detail) == ("not_a_file", "the object is not there (any more)")
    assert refusal(second).code == "changed"
    assert refusal(third).code == "changed"


def test_a_list_there_names_objects(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepers.cluster.sources.sources.WINDOW", 8)
    names = [f"{n:03}.png" for n in range(20)]
    lines = "\n".join(["# all", *names, "sub", s3.uri("pictures/000.png"), "../else.png", s3.uri("nowhere/x.png")])
    s3.fill("pictures", {"set/list.txt": lines.encode(), "set/sub/x.png": b"x", "else.png": b"e", "000.png": b"0"})
    for name in names[1:]:
        s3.client.put_object(Bucket="pictures", Key=f"set/{name}", Body=name.encode())
    items = list(list_items(["@" + s3.uri("pictures/set/list.txt")], patience=QUICK))
    found = [item.uri.partition("?")[0].removeprefix("s3://pictures/") for item in items]
    assert found == [*(f"set/{name}" for name in names), "set/sub/x.png", "000.png", "else.png", "s3://nowhere/x.png"]
    assert [item.code for item in items if item.code] == ["not_a_file", "not_a_file"]  # the first and the last
    s3.deny("pictures")
    with pytest.raises(SourceError, match="the list cannot be read: the storage denies access"):
        list(list_items(["@" + s3.uri("pictures/set/list.txt")], patience=QUICK))


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def tabled(cells: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary())}), buffer, row_group_size=3)
    return buffer.getvalue()


def test_tars_are_read_by_ranges(s3: S3Server) -> None:
    pictures = {f"{n}.jpg": bytes([n]) * 400_000 for n in range(5)}
    s3.fill("shards", {"0.tar": packed(pictures), "1.tar": packed({"a.png": b"a"})})
    items = listed(s3, "shards")
    assert [item.member for item in items] == [*pictures, "a.png"]
    asked = [request.range for request in s3.requests if request.path == "/shards/0.tar" and request.method == "GET"]
    assert 5 <= len(asked) <= 8 and all(size(one) <= 1 << 16 for one in asked)
    s3.requests.clear()
    reader = ItemReader(Patience(attempts=3, wait=0.01))
    s3.cut(2)
    assert [reader.read(item) for item in items] == [*pictures.values(), b"a"]
    assert s3.count("HEAD") == 2 + 1  # each tar once, and one again after the library had given up
    assert s3.count("GET") == 6 + 2


def size(range_header: str) -> int:
    first, _, last = range_header.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1


def test_parquet_is_read_by_row_groups(s3: S3Server) -> None:
    cells = [bytes([n]) * 30_000 if n != 4 else None for n in range(9)]
    s3.fill("tables", {"part-0.parquet": tabled(cells), "_SUCCESS": b""})
    items = listed(s3, "tables")
    assert [item.code for item in items] == ["", "", "", "", "empty", "", "", "", ""]
    s3.requests.clear()
    reader = ItemReader(Patience(attempts=3, wait=0.01))
    whole = [item for item in items if not item.code]
    s3.throttle(1, lambda request: request.method == "GET")
    assert [reader.read(item) for item in whole] == [cell for cell in cells if cell]
    first = s3.count("GET")
    assert [reader.read(item) for item in whole] == [cell for cell in cells if cell]
    assert s3.count("GET") == first <= 3 * 3 + 2
    s3.client.put_object(Bucket="tables", Key="part-0.parquet", Body=tabled(cells[::-1]) + b"x")
    assert refusal(items[0]).code == "changed"


def test_a_container_that_breaks_off_is_told(s3: S3Server) -> None:
    s3.fill(
        "shards", {"0.tar": packed({f"{n}.jpg": bytes(200_000) for n in range(3)}), "1.tar": packed({"a.png": b"a"})}
    )
    s3.cut(
        matches=lambda request: (
            request.path.endswith("0.tar") and request.method == "GET" and "bytes=200" in request.range
        )
    )
    items = listed(s3, "shards")
    assert [(item.member, item.code) for item in items] == [("0.jpg", ""), ("", "io"), ("a.png", "")]


def test_a_table_that_is_not_to_be_had_is_no_damaged_table(s3: S3Server) -> None:
    s3.fill("tables", {"0.parquet": tabled([b"a" * 1000, b"b"])})
    items = listed(s3, "tables")
    s3.cut()
    assert refusal(items[0]).code == "io"
    (only,) = listed(s3, "tables/0.parquet")
    assert (only.code, only.member) == ("io", "")


def test_many_tars_keep_their_order(s3: S3Server) -> None:
    s3.fill("shards", {f"{n:02}.tar": packed({f"{n}-{i}.png": b"x" for i in range(n % 4)}) for n in range(20)})
    s3.client.put_object(Bucket="shards", Key="05b.parquet", Body=tabled([b"row"]))
    expected = [f"{n}-{i}.png" for n in range(20) for i in range(n % 4)]
    found = [item.member for item in listed(s3, "shards")]
    assert found.pop(expected.index("6-0.png")) == "0"
    assert found == expected
