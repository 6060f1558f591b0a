"""The review's server: what it serves, to whom, and what it writes down."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepers.cli.review.items import items, page_data, score_names
from keepers.cli.review.pictures import Pictures
from keepers.cli.review.server import PARTS, Review, ReviewServer
from keepers.collection.mark_store import MarkStore
from keepers.collection.marks import UserMark
from keepers.collection.scan import Scanned
from keepers.collection.store import SeenImage, Store
from keepers.core.errors import UnreadableImage
from keepers.core.gates.gate import Gate, Verdict
from keepers.core.prediction import Labels, Prediction
from keepers.tests.cli.scan.test_scan import keepers, surroundings

GATE = Gate.parse("accept: m.good >= 0.5")


def scanned(path: Path, good: float, content: str = "", **more: object) -> Scanned:
    answer = Prediction("m", Labels(("good", "odd name")), np.array([good, 0.1], np.float32), "good")
    image = SeenImage(content or path.stem.ljust(64, "0"), 60, 40, "a <b>prompt</b>", "hands", "7")
    return Scanned(path, Verdict("accept", "accept: because"), image, {"m": answer}, mtime=1.0, **more)  # pyright: ignore[reportArgumentType]


@dataclass
class Client:
    """Talks to the server as a browser does, or as one should not."""

    server: ReviewServer

    def ask(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        host = f"127.0.0.1:{self.server.server_port}"
        sent = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json", **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        try:
            data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
            connection.putrequest(method or ("POST" if data is not None else "GET"), path, skip_host=True)
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value)
            if data is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> dict[str, object]:
        status, _, data = self.ask(f"/{self.server.token}/{path}")
        assert status == 200, data
        return json.loads(data)

    def post(self, path: str, body: object) -> tuple[int, dict[str, object]]:
        status, _, data = self.ask(f"/{self.server.token}/{path}", body)
        return status, json.loads(data)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    results: list[Scanned] = []
    for index in range(4):
        path = tmp_path / f"{index}.png"
        size = (2400, 1200) if index == 2 else (60, 40)
        Image.new("RGB", size, (60 * index, 0, 0)).save(path)
        results.append(scanned(path, index / 4))
    found = items(results, GATE)
    with Store(tmp_path / "k.db", wait=0.05) as store:
        review = Review(
            MarkStore(store),
            [item.content for item in found],
            Pictures([item.path for item in found]),
            page_data(found, GATE, "test"),
        )
        with ReviewServer(review) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield Client(server)
            server.shutdown()
            thread.join()


def test_it_listens_on_the_loopback_alone(client: Client) -> None:
    assert client.server.server_address[0] == "127.0.0.1"
    assert len(client.server.token) >= 30
    assert client.server.address.endswith(f"/{client.server.token}/")


def test_the_page_and_all_its_parts_are_there(client: Client) -> None:
    status, headers, page = client.ask(f"/{client.server.token}/", headers={"Origin": ""})
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers
    named = {part.split('"')[0] for part in page.decode().split('"part/')[1:]}
    assert named == set(PARTS)
    for part in named:
        status, headers, data = client.ask(f"/{client.server.token}/part/{part}")
        assert status == 200 and data and headers["X-Content-Type-Options"] == "nosniff"
    assert b"innerHTML" not in b"".join(path.read_bytes() for path in PARTS.values()).replace(b"no innerHTML", b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_foreign_requests_are_refused(client: Client, headers: dict[str, str]) -> None:
    for path, body in (("start", None), ("label", {"index": 0, "mark": "keep"}), ("picture/large/0", None)):
        status, _, data = client.ask(f"/{client.server.token}/{path}", body, headers)
        assert status == 403, path
        assert b"prompt" not in data
    assert client.get("start")["labels"] == []


def test_a_label_needs_an_origin(client: Client) -> None:
    assert client.ask(f"/{client.server.token}/label", {"index": 0, "mark": "keep"}, {"Origin": ""})[0] == 403


@pytest.mark.parametrize("token", ["", "wrong", "%00", "../", "a" * 32])
def test_nothing_without_the_token(client: Client, token: str) -> None:
    for path in ("", "start", "part/main.js", "picture/small/0"):
        assert client.ask(f"/{token}/{path}")[0] == 404
    assert client.ask("/")[0] == 404
    assert client.ask(f"/{token}/label", {"index": 0, "mark": "keep"})[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        *("picture/large/4", "picture/large/-1", "picture/large/0.png", "picture/huge/0", "picture/large/" + "9" * 40),
        *("picture/large/../../etc/passwd", "part/../review.py", "part/review.py", "part/", "../../etc/passwd"),
        *("picture/large/%2e%2e%2f", "label", "undo", "x"),
    ],
)
def test_nothing_but_the_listed_files_is_served(client: Client, path: str) -> None:
    assert client.ask(f"/{client.server.token}/{path}")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"x"', b"{}", b"[" * 4000),
        *({"index": 9, "mark": "keep"}, {"index": -1, "mark": "keep"}, {"index": True, "mark": "keep"}),
        *({"index": 0, "mark": "maybe"}, {"index": "0", "mark": "keep"}, {"index": 0, "mark": "keep", "seen": "x"}),
        {"index": 0, "mark": "keep", "more": "x" * 5000},
    ],
)
def test_what_is_no_label_is_refused(client: Client, body: object) -> None:
    status, _ = client.post("label", body)
    assert status in (400, 404)
    assert client.get("start")["labels"] == []


def test_bodies_of_other_kinds_and_lengths(client: Client) -> None:
    path, body = f"/{client.server.token}/label", {"index": 0, "mark": "keep"}
    assert client.ask(path, body, {"Content-Type": "text/plain"})[0] == 400
    assert client.ask(path, body, {"Content-Length": "99999999"})[0] == 400
    assert client.ask(path, b"", {"Content-Length": "-1"})[0] == 400
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert client.ask(f"/{client.server.token}/", method=method)[0] == 501


def test_a_label_is_stored_and_can_be_taken_back(client: Client, tmp_path: Path) -> None:
    status, told = client.post("label", {"index": 2, "mark": "reject", "seen": 0})
    assert (status, told["mark"], told["contradicts"]) == (200, "reject", "")
    with Store(tmp_path / "k.db") as other:
        [label] = MarkStore(other).current().values()
        assert (label.mark, label.source, label.content[0]) == ("reject", "review", "2")
        assert label.time > 1.7e9
    start = client.get("start")
    assert start["labels"] == [[2, "reject", told["id"]]] and start["recent"] == [[2, told["id"]]]
    assert client.post("undo", {"id": told["id"]}) == (200, {"index": 2, "mark": "", "id": 0})
    status, answer = client.post("undo", {"id": told["id"]})
    assert status == 409 and "already" in str(answer["error"])
    assert client.get("start")["labels"] == []


def test_two_pages_see_each_other(client: Client) -> None:
    version = client.get("start")["version"]
    assert client.get(f"changes/{version}") == {"version": version}
    _, first = client.post("label", {"index": 1, "mark": "keep", "seen": 0})
    changes = client.get(f"changes/{version}")
    assert changes["labels"] == [[1, "keep", first["id"]]]
    _, second = client.post("label", {"index": 1, "mark": "reject", "seen": 0})
    assert second["contradicts"] == "keep", "the other page did not know"
    _, third = client.post("label", {"index": 1, "mark": "keep", "seen": second["id"]})
    assert third["contradicts"] == "", "this page changed its mind knowingly"
    assert client.post("undo", {"id": third["id"]})[1] == {"index": 1, "mark": "reject", "id": second["id"]}


def test_another_process_is_seen_too(client: Client, tmp_path: Path) -> None:
    version = client.get("start")["version"]
    with Store(tmp_path / "k.db") as other:
        MarkStore(other).add([UserMark("3".ljust(64, "0"), "keep", "folder good", 1.0)])
    assert client.get(f"changes/{version}")["labels"] == [[3, "keep", 1]]
    assert client.get("start")["recent"] == [], "only what was said here can be taken back here"


def test_many_requests_at_once(client: Client) -> None:
    statuses: list[int] = []

    def work(number: int) -> None:
        statuses.append(client.post("label", {"index": number % 4, "mark": ("keep", "reject")[number % 2]})[0])
        statuses.append(client.ask(f"/{client.server.token}/picture/small/{number % 4}")[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 24
    assert len(client.get("start")["labels"]) == 4  # pyright: ignore[reportArgumentType]


def test_a_busy_store_is_told_and_may_be_asked_again(client: Client, tmp_path: Path) -> None:
    label = {"index": 0, "mark": "keep"}
    with Store(tmp_path / "k.db") as other, other.writing():
        status, headers, data = client.ask(f"/{client.server.token}/label", label)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert json.loads(data)["error"].startswith("Another program is writing to the store.")
        assert client.get("start")["labels"] == [], "reading goes on"
    assert client.post("label", label)[0] == 200


def test_who_kept_the_connection_is_told_that_the_review_ended(client: Client) -> None:
    server = client.server
    kept = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    kept.request("GET", f"/{server.token}/changes/0")
    kept.getresponse().read()
    server.shutdown()
    server.server_close()
    server.review._labels.store.close()  # pyright: ignore[reportPrivateUsage]
    kept.request("GET", f"/{server.token}/changes/0")
    answer = kept.getresponse()
    assert answer.status == 503 and "start keepers review again" in json.loads(answer.read())["error"]
    assert answer.headers["Connection"] == "close"
    kept.close()


def test_what_is_being_written_is_finished_before_the_store_may_be_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def say(store: MarkStore, *given: object) -> UserMark:
        begun.set()
        assert go_on.wait(60)
        label = write(store, *given)  # pyright: ignore[reportArgumentType]
        order.append("written")
        return label

    def end() -> None:
        client.server.shutdown()
        client.server.server_close()
        order.append("closed")

    write = MarkStore.say
    monkeypatch.setattr(MarkStore, "say", say)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(client.post("label", {"index": 0, "mark": "keep"})[0]))
    ending = threading.Thread(target=end)
    asking.start()
    assert begun.wait(60)
    ending.start()
    go_on.set()
    for thread in (asking, ending):
        thread.join(60)
    assert order == ["written", "closed"] and answers == [200]


def test_pictures_are_made_small(client: Client) -> None:
    status, headers, data = client.ask(f"/{client.server.token}/picture/large/2")
    assert status == 200 and headers["Content-Type"] == "image/jpeg"
    picture = Image.open(BytesIO(data))
    assert picture.size == (1600, 800) and not picture.info.get("exif")
    assert abs(np.asarray(picture)[400, 800].astype(int) - (120, 0, 0)).max() < 6
    assert Image.open(BytesIO(client.ask(f"/{client.server.token}/picture/small/2")[2])).size == (200, 100)


def test_a_file_that_vanished_or_changed_kind(client: Client, tmp_path: Path) -> None:
    (tmp_path / "0.png").unlink()
    status, _, data = client.ask(f"/{client.server.token}/picture/large/0")
    assert status == 410 and "0.png" in json.loads(data)["error"]
    (tmp_path / "1.png").write_text("secret words")
    status, _, data = client.ask(f"/{client.server.token}/picture/large/1")
    assert status == 410 and b"secret" not in data
    assert client.post("label", {"index": 0, "mark": "keep"})[0] == 200, "it can still be labelled"


def test_transparency_rotation_and_memory(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "b.jpg", exif=exif)
    pictures = Pictures([tmp_path / "a.png", tmp_path / "b.jpg"], budget=1)
    clear = Image.open(BytesIO(pictures.jpeg(0, "large")))
    assert np.abs(np.asarray(clear).astype(int) - 128).max() < 4
    assert Image.open(BytesIO(pictures.jpeg(1, "large"))).size == (20, 40)
    (tmp_path / "b.jpg").unlink()
    pictures.jpeg(1, "large")  # is kept
    pictures.jpeg(0, "large")
    with pytest.raises(UnreadableImage):  # was dropped to keep within the budget
        pictures.jpeg(1, "large")


def test_items_are_told_once_and_in_order(tmp_path: Path) -> None:
    results = [
        scanned(tmp_path / "a.png", 0.9),
        scanned(tmp_path / "b.png", 0.45),
        scanned(tmp_path / "copy.png", 0.9, content="a".ljust(64, "0")),
        scanned(tmp_path / "broken.png", 0.5, error="corrupt"),
        scanned(tmp_path / "c.png", float("nan")),
    ]
    found = items(results, GATE)
    assert [item.path.name for item in found] == ["a.png", "b.png", "c.png"]
    near = [item.uncertain for item in found]
    assert near[0] is not None and near[1] is not None and near[1] < near[0] and near[2] is None
    assert score_names(found, GATE) == ["m.good", 'm["odd name"]']
    data = page_data(found, GATE, "x")
    json.dumps(data, allow_nan=False)
    assert data["scores"] == ["m.good", 'm["odd name"]']


def test_uncertain_by_words_and_by_many_thresholds(tmp_path: Path) -> None:
    results = [scanned(tmp_path / f"{index}.png", good) for index, good in enumerate((0.1, 0.29, 0.5, 0.71, 0.95))]
    found = items(results, Gate.parse("reject: m.good < 0.3; review: m.good < 0.7"))
    near = [item.uncertain or 0 for item in found]
    assert sorted(range(5), key=near.__getitem__)[:2] == [3, 1] or sorted(range(5), key=near.__getitem__)[:2] == [1, 3]
    assert items(results, Gate.parse('accept: m.label == "good"'))[0].uncertain is None
    assert items(results, Gate.parse(""))[0].uncertain is None
    assert items([], GATE) == []


def test_two_thousand_images_are_few_bytes(tmp_path: Path) -> None:
    found = items([scanned(tmp_path / f"{index:05d}.png", index / 2000) for index in range(2000)], GATE)
    assert len(json.dumps(page_data(found, GATE, "x"))) < 1_500_000


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_the_command_from_start_to_ctrl_c(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for index in range(3):
        Image.fromarray(random.integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    command = [sys.executable, "-m", "keepers", "review", str(tmp_path), "--no-browser", "--db", str(tmp_path / "k.db")]
    with subprocess.Popen([*command, "--blind"], env=surroundings(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], "it ended"
        told = "".join(lines)
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w-]{30,}/)", told)
        assert found and "3 images" in told and "1 files cannot be read" in told
        host = f"127.0.0.1:{found[1]}"
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", f"{found[2]}start")
        data = json.loads(connection.getresponse().read())
        assert (
            len(data["items"]) == 3 and data["blind"] and data["items"][0]["verdict"] in ("accept", "reject", "review")
        )
        headers = {"Origin": f"http://{host}", "Content-Type": "application/json"}
        connection.request("POST", f"{found[2]}label", json.dumps({"index": 1, "mark": "keep"}), headers)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 3  # the broken file
    assert "1 of 3 labelled: 1 keeps, 0 rejects" in rest and "19 more keeps" in rest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "no image"), (["--order", "m.good"], "--order takes"), (["--gate", "accept: nothing.at > 0"], "nothing")],
)
def test_what_is_wrong_is_said_before_the_page_opens(tmp_path: Path, arguments: list[str], told: str) -> None:
    if arguments:
        Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    done = keepers("review", tmp_path, "--no-browser", "--db", tmp_path / "k.db", *arguments)
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr
