"""Downloads from a local server that misbehaves in every way that real ones do."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keepers.core.errors import Cancelled, CorruptWeights, DownloadFailed
from keepers.core.weights import download as module
from keepers.core.weights.download import Source, download
from keepers.core.weights.http_source import Refused, require_safe

BODY = hashlib.shake_256(b"weights").digest(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
GIT = hashlib.sha1(b"blob 300000\0" + BODY).hexdigest()


@dataclass
class Server:
    """How the server behaves, and what it was asked."""

    url: str = ""
    body: bytes = BODY
    etag: str = '"one"'
    drop_after: list[int] = field(default_factory=list[int])
    """Bytes sent before the connection ends; one entry per request, then no more drops."""
    ranges: bool = True
    conditional: bool = True
    """Whether If-Range is honoured."""
    announce: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    redirect: str = ""
    redirect_headers: dict[str, str] = field(default_factory=dict[str, str])
    statuses: list[int] = field(default_factory=list[int])
    """Answers sent before the file."""
    pause: Callable[[], None] = lambda: None
    chunked: bool = False
    requests: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def asked_ranges(self) -> list[str]:
        return [request.get("range", "") for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        plan: Server = self.server.plan  # pyright: ignore[reportAttributeAccessIssue]
        plan.requests.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        self.close_connection = True
        if plan.statuses:
            self._head(plan.statuses.pop(0), {"Content-Length": "0"})
        elif plan.redirect and self.path == "/file":
            self._head(302, {"Location": plan.redirect, "Content-Length": "0", **plan.redirect_headers})
        else:
            self._file(plan)

    def _file(self, plan: Server) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and plan.ranges else 0
        if asked and plan.conditional and self.headers.get("If-Range", plan.etag) != plan.etag:
            start = 0
        if start and start >= len(plan.body):
            self._head(416, {"Content-Length": "0"})
            return
        body = plan.body[start:]
        headers = {"ETag": plan.etag, "Content-Type": "application/octet-stream", **plan.headers}
        headers |= {"Transfer-Encoding": "chunked"} if plan.chunked else {}
        headers |= (
            {} if plan.chunked else {"Content-Length": str(len(body) if plan.announce is None else plan.announce)}
        )
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(plan.body) - 1}/{len(plan.body)}"
        self._head(206 if start else 200, headers)
        with suppress(ConnectionError):  # the other side may have heard enough
            self._send(plan, body)

    def _send(self, plan: Server, body: bytes) -> None:
        body = body[: plan.drop_after.pop(0)] if plan.drop_after else body
        for at in range(0, len(body), 50_000):
            block = body[at : at + 50_000]
            plan.pause()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if plan.chunked else block)
            self.wfile.flush()
        if plan.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 the name is theirs


def serve(plan: Server) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.plan = plan  # pyright: ignore[reportAttributeAccessIssue]
    plan.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(module, "ENOUGH", 1)
    plan = Server()
    running = serve(plan)
    yield plan
    running.shutdown()
    running.server_close()


def get(server: Server, folder: Path, check: Callable[[], None] = lambda: None, **known: Any) -> Path:
    source = Source(server.url + "/file", "model.safetensors", **known)
    return download(source, folder / "sub" / "model.safetensors", progress=lambda *_: None, check=check)


def visible(folder: Path) -> list[str]:
    """All files but the lock, which stays: to delete it would let two processes hold it."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


# --- all goes well ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [{}, {"size": len(BODY)}, {"sha256": SHA}, {"git_sha1": GIT}])
@pytest.mark.parametrize("chunked", [False, True])
def test_file_arrives_whole(server: Server, tmp_path: Path, known: dict[str, Any], chunked: bool) -> None:
    server.chunked = chunked
    assert get(server, tmp_path, **known).read_bytes() == BODY
    assert visible(tmp_path) == ["model.safetensors"]
    assert server.requests[0]["accept-encoding"] == "identity"


def test_progress_counts_bytes(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    source = Source(server.url + "/file", "m")
    download(source, tmp_path / "m", progress=lambda *step: seen.append(step), check=lambda: None)
    assert seen[-1] == (len(BODY), len(BODY), "m")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_a_file_that_is_there_is_not_fetched(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    get(server, tmp_path)
    assert len(server.requests) == 1


# --- connections that break ------------------------------------------------------------------------------------------


def test_drops_are_continued(server: Server, tmp_path: Path) -> None:
    server.drop_after = [70_000, 1, 100_000, 50_000]
    assert get(server, tmp_path, sha256=SHA).read_bytes() == BODY
    assert server.asked_ranges() == ["", "bytes=70000-", "bytes=70001-", "bytes=170001-", "bytes=220001-"]
    assert server.requests[1]["if-range"] == '"one"'


def test_many_drops_are_no_reason_to_give_up_while_bytes_come(server: Server, tmp_path: Path) -> None:
    server.drop_after = [20_000] * 14
    assert get(server, tmp_path, sha256=SHA).read_bytes() == BODY


def test_what_arrived_is_kept_for_the_next_call(server: Server, tmp_path: Path) -> None:
    server.drop_after = [120_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed, match=r"120,000 of 300,000|0 of|connection"):
        get(server, tmp_path)
    assert visible(tmp_path) == ["model.safetensors.part", "model.safetensors.part.json"]
    server.drop_after = []
    server.requests.clear()
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked_ranges() == ["bytes=120000-"]


def test_cancel_keeps_the_part(server: Server, tmp_path: Path) -> None:
    stop = threading.Event()

    def pause() -> None:
        time.sleep(0.05)
        pauses.append(1)
        if len(pauses) > 2:
            stop.set()

    pauses: list[int] = []
    server.pause = pause

    def check() -> None:
        if stop.is_set():
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        get(server, tmp_path, check)
    part = (tmp_path / "sub" / "model.safetensors.part").stat().st_size
    assert 0 < part < len(BODY)
    server.pause = lambda: None
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked_ranges()[-1] == f"bytes={part}-"


def test_range_ignored(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, [100_000]
    assert get(server, tmp_path).read_bytes() == BODY


def test_no_validator_no_checksum_no_resume(server: Server, tmp_path: Path) -> None:
    """Nothing would show that the second half belongs to the first."""
    server.etag, server.drop_after = "", [100_000]
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked_ranges() == ["", ""]


def test_weak_etag_is_not_relied_on(server: Server, tmp_path: Path) -> None:
    server.etag, server.drop_after = 'W/"one"', [100_000]
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked_ranges() == ["", ""]


def test_file_changed_between_two_halves(server: Server, tmp_path: Path) -> None:
    server.drop_after = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path)
    server.body, server.etag, server.drop_after = bytes(len(BODY)), '"two"', []
    assert get(server, tmp_path).read_bytes() == bytes(len(BODY))


def test_server_that_sends_a_changed_file_as_the_rest(server: Server, tmp_path: Path) -> None:
    """It ignores If-Range; the new ETag in its answer gives that away."""
    server.drop_after = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path)
    server.body, server.etag, server.drop_after, server.conditional = bytes(len(BODY)), '"two"', [], False
    server.requests.clear()
    assert get(server, tmp_path).read_bytes() == bytes(len(BODY))
    assert server.asked_ranges() == ["bytes=100000-", ""]


def test_shrunk_file(server: Server, tmp_path: Path) -> None:
    server.drop_after = [200_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path)
    server.body, server.drop_after = BODY[:150_000], []
    assert get(server, tmp_path).read_bytes() == BODY[:150_000]


def test_silence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.2)
    silent = threading.Event()

    def pause() -> None:
        silent.wait(5)

    server.pause = pause
    with pytest.raises(DownloadFailed, match=r"silent"):
        get(server, tmp_path)
    silent.set()


def test_endless_trickle(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENOUGH", 256 << 10)
    monkeypatch.setattr(module, "WINDOW", 0.1)
    monkeypatch.setattr(module, "SLOWEST", 10_000_000)
    server.etag = ""  # every attempt starts from the beginning
    server.pause = lambda: time.sleep(0.06)
    with pytest.raises(DownloadFailed, match=r"only \d+ bytes a second"):
        get(server, tmp_path)


def test_busy_server(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert get(server, tmp_path).read_bytes() == BODY


def test_no_server(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DownloadFailed, match="connection failed"):
        get(Server("http://127.0.0.1:9"), tmp_path)
    assert visible(tmp_path) == []


# --- files that are not the right one --------------------------------------------------------------------------------


def test_flipped_byte(server: Server, tmp_path: Path) -> None:
    server.body = BODY[:1000] + bytes([BODY[1000] ^ 1]) + BODY[1001:]
    checksums: list[dict[str, Any]] = [{"sha256": SHA}, {"git_sha1": GIT}]
    for known in checksums:
        with pytest.raises(CorruptWeights, match=r"published file: its \w+ is \w+ instead of \w+"):
            get(server, tmp_path, **known)
        assert visible(tmp_path) == []


def test_damaged_part_is_mended(server: Server, tmp_path: Path) -> None:
    server.drop_after = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path, sha256=SHA)
    part = tmp_path / "sub" / "model.safetensors.part"
    part.write_bytes(bytes(100_000))
    server.drop_after = []
    assert get(server, tmp_path, sha256=SHA).read_bytes() == BODY


def test_other_size_is_refused_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CorruptWeights, match="the server has 300,000 bytes, but 5 were published"):
        get(server, tmp_path, size=5)


@pytest.mark.parametrize("announce", [400_000, 200_000])
def test_wrong_length(server: Server, tmp_path: Path, announce: int) -> None:
    server.announce, server.ranges = announce, False
    with pytest.raises((DownloadFailed, CorruptWeights)):
        get(server, tmp_path, sha256=SHA)
    assert not (tmp_path / "sub" / "model.safetensors").exists()


def test_checksum_of_the_hub_is_used(server: Server, tmp_path: Path) -> None:
    server.redirect = "/elsewhere"
    server.redirect_headers = {"X-Linked-Etag": f'"{SHA}"'}
    assert get(server, tmp_path).read_bytes() == BODY
    server.body = BODY[::-1]
    shutil.rmtree(tmp_path / "sub")
    with pytest.raises(CorruptWeights, match="sha256"):
        get(server, tmp_path)
    with pytest.raises(CorruptWeights, match=f"its sha256 on the server is {SHA}, but the published one is {'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)


def test_web_page(server: Server, tmp_path: Path) -> None:
    server.headers, server.body = {"Content-Type": "text/html; charset=utf-8"}, b"<html>sign in</html>"
    with pytest.raises(DownloadFailed, match="a web page in place of the file"):
        get(server, tmp_path)
    server.headers = {}
    with pytest.raises(CorruptWeights, match="web page"):
        get(server, tmp_path)
    server.body = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    with pytest.raises(CorruptWeights, match="git-lfs pointer"):
        get(server, tmp_path)
    server.body = b""
    with pytest.raises(CorruptWeights, match="empty"):
        get(server, tmp_path)
    assert visible(tmp_path) == []


def test_compressed_body(server: Server, tmp_path: Path) -> None:
    server.body, server.headers = gzip.compress(BODY), {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadFailed, match=r"compresses it \(gzip\)"):
        get(server, tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "said"), [(404, "answers 404"), (401, "hf auth login"), (403, r"terms at the\.page")]
)
def test_refusals(server: Server, tmp_path: Path, status: int, said: str) -> None:
    server.statuses = [status]
    with pytest.raises(DownloadFailed, match=said):
        get(server, tmp_path, page="the.page")
    assert len(server.requests) == 1


# --- where it leads, and what it is told -----------------------------------------------------------------------------


def test_redirect_to_http_is_refused(server: Server, tmp_path: Path) -> None:
    server.redirect = "http://example.com/file"
    with pytest.raises(DownloadFailed, match=r"http://example\.com is not https"):
        get(server, tmp_path)
    server.redirect = "file:///etc/passwd"
    with pytest.raises(DownloadFailed, match="answers 302"):
        get(server, tmp_path)


def test_only_https_and_this_machine() -> None:
    for good in ("https://a.b/c", "http://127.0.0.1:80/x", "http://[::1]/x", "http://localhost:1/"):
        require_safe(good, set())
    require_safe("http://mirror:8080/x", {"mirror:8080"})
    for bad in ("http://a.b/c", "ftp://a.b/c", "file:///x", "data:,x", "http://127.0.0.1.evil.com/", "http://mirror/x"):
        with pytest.raises(Refused):
            require_safe(bad, {"mirror:8080"})


def test_https_may_not_lead_to_http_of_this_machine() -> None:
    from email.message import Message
    from urllib.request import Request

    from keepers.core.weights.http_source import _Redirects  # pyright: ignore[reportPrivateUsage]

    handler = _Redirects("https://hub.example/x", set())
    with pytest.raises(Refused):
        handler.redirect_request(Request("https://hub.example/x"), None, 302, "", Message(), "http://127.0.0.1/x")  # pyright: ignore[reportArgumentType]


def test_token_goes_to_the_hub_alone(server: Server, tmp_path: Path) -> None:
    other = Server()
    running = serve(other)
    server.redirect = other.url + "/signed"
    get(server, tmp_path, token="hf_secret")
    running.shutdown()
    running.server_close()
    assert server.requests[0]["authorization"] == "Bearer hf_secret"
    assert "authorization" not in other.requests[0]
    assert "hf_secret" not in json.dumps(other.requests)


def test_token_follows_a_renamed_repository(server: Server, tmp_path: Path) -> None:
    server.redirect = "/renamed"
    get(server, tmp_path, token="hf_secret")
    assert [request.get("authorization") for request in server.requests] == ["Bearer hf_secret"] * 2


def test_redirects_in_a_circle_end(server: Server, tmp_path: Path) -> None:
    server.redirect = "/file"
    with pytest.raises(DownloadFailed):
        get(server, tmp_path)


# --- the disk --------------------------------------------------------------------------------------------------------


def test_too_little_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DownloadFailed, match=r"300,000 bytes are needed in .*sub, 1,000 are free"):
        get(server, tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_that_fills_up(server: Server, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors.part").symlink_to("/dev/full")
    note = {"url": server.url + "/file", "etag": server.etag, "size": 0, "sha256": ""}
    (tmp_path / "sub" / "model.safetensors.part.json").write_text(json.dumps(note))
    with pytest.raises(DownloadFailed, match="No space left on device"):
        get(server, tmp_path)
    assert list((tmp_path / "sub").glob("model*")) == []


def test_folder_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("")
    with pytest.raises(DownloadFailed, match="cannot be written"):
        get(server, tmp_path)


def _in_another_process(url: str, target: str) -> None:
    download(Source(url + "/file", "m"), Path(target), progress=lambda *_: None, check=lambda: None)


def test_two_processes_and_two_threads_download_once(server: Server, tmp_path: Path) -> None:
    server.pause = lambda: time.sleep(0.1)
    target = tmp_path / "m"
    context = multiprocessing.get_context("spawn")
    others: list[Any] = [context.Process(target=_in_another_process, args=(server.url, str(target)))]
    others += [threading.Thread(target=_in_another_process, args=(server.url, str(target))) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert target.read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    sent, killed, blocks = threading.Event(), threading.Event(), list[int]()

    def pause() -> None:
        blocks.append(1)
        part = tmp_path / "m.part"
        while len(blocks) == 3 and not (part.is_file() and part.stat().st_size):
            time.sleep(0.02)
        if len(blocks) == 3:
            sent.set()
            killed.wait(60)

    server.pause = pause
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_in_another_process, args=(server.url, str(tmp_path / "m")))
    process.start()
    assert sent.wait(60)
    process.kill()
    process.join()
    killed.set()
    assert visible(tmp_path) == ["m.part", "m.part.json"]
    _in_another_process(server.url, str(tmp_path / "m"))
    assert (tmp_path / "m").read_bytes() == BODY
    assert server.asked_ranges()[-1].startswith("bytes=")
    assert visible(tmp_path) == ["m"]


def test_waiting_for_another_process_can_be_cancelled(server: Server, tmp_path: Path) -> None:
    from filelock import FileLock

    calls = iter(range(3))

    def check() -> None:
        if next(calls, None) is None:
            raise Cancelled("stop")

    (tmp_path / "sub").mkdir()
    with FileLock(str(tmp_path / "sub" / ".model.safetensors.lock")), pytest.raises(Cancelled):
        get(server, tmp_path, check)
    assert server.requests == []
