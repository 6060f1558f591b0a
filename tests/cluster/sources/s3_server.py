"""An S3 service on this machine: moto behind a small proxy that counts, throttles, cuts and denies real requests."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from moto.server import ThreadedMotoServer

KEY_ID, SECRET, REGION = "AKIAKEEPERS", "not-a-real-secret", "us-east-1"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs to be let in; nothing is asked of any other machine."""

CLEARED = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "expect", "server", "date"}


@dataclass(frozen=True)
class Request:
    """What was asked of the proxy."""

    method: str
    path: str
    """Bucket and key, decoded, with a leading slash."""
    query: str
    range: str = ""


Matches = Callable[[Request], bool]


@dataclass
class Fault:
    """What happens to requests that match, so often."""

    kind: str
    """throttle, cut, or the code of an S3 error that comes with status 403."""
    matches: Matches
    times: float


class S3Server:
    """The service: an address to be asked, what it was asked, and faults to be laid on."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        self.behind = self._moto.get_host_and_port()
        self._proxy = _Proxy(self)
        self.port = self._proxy.server_address[1]
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.requests: list[Request] = []
        self.public: set[str] = set()
        """Buckets that let in who does not sign."""
        self._thread = threading.Thread(target=self._proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.behind[1]}",
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
        )

    @property
    def query(self) -> str:
        """What an address needs so that this service is asked."""
        return f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region={REGION}"

    def uri(self, path: str) -> str:
        """The address of a bucket, or of a key in it."""
        return f"s3://{path}?{self.query}"

    def fill(self, bucket: str, files: Mapping[str, bytes]) -> None:
        """A bucket with objects in it; nothing of this is counted."""
        self.client.create_bucket(Bucket=bucket)
        for key, body in files.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=body)

    def throttle(self, times: float = float("inf"), matches: Matches = lambda _: True) -> None:
        """Answers so many requests with 503 SlowDown."""
        self._faults.append(Fault("throttle", matches, times))

    def cut(self, times: float = float("inf"), matches: Matches = lambda r: r.method == "GET") -> None:
        """Ends so many answers in the middle of their body."""
        self._faults.append(Fault("cut", matches, times))

    def deny(self, bucket: str, code: str = "AccessDenied") -> None:
        """Lets nobody into a bucket."""
        start = f"/{bucket}"
        self.refuse(code, lambda r: r.path == start or r.path.startswith(start + "/"))

    def refuse(self, code: str, matches: Matches) -> None:
        """Answers requests with status 403 and the code of an S3 error."""
        self._faults.append(Fault(code, matches, float("inf")))

    def publish(self, bucket: str) -> None:
        """Lets everybody read a bucket, signed or not."""
        self.public.add(bucket)
        for entry in self.client.list_objects_v2(Bucket=bucket)["Contents"]:
            self.client.put_object_acl(Bucket=bucket, Key=entry["Key"], ACL="public-read")

    def reset(self) -> None:
        """No faults, no requests, no buckets."""
        self._faults.clear()
        self.public.clear()
        self.requests.clear()
        for bucket in self.client.list_buckets()["Buckets"]:
            listed = self.client.list_objects_v2(Bucket=bucket["Name"])
            for entry in listed.get("Contents", ()):
                self.client.delete_object(Bucket=bucket["Name"], Key=entry["Key"])
            self.client.delete_bucket(Bucket=bucket["Name"])

    def count(self, method: str, ending: str = "") -> int:
        """How many requests came for paths that end so."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.requests)

    def fault(self, request: Request) -> str:
        """Notes a request and says what shall become of it; empty where nothing shall."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times > 0 and fault.matches(request):
                    fault.times -= 1
                    return fault.kind
        return ""

    def stop(self) -> None:
        """Ends both servers."""
        self._proxy.shutdown()
        self._proxy.server_close()
        self._thread.join()
        self._moto.stop()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: S3Server) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy  # pyright: ignore[reportIncompatibleVariableOverride]  it is never started by another

    def _answer(self) -> None:
        address = urlsplit(self.path)
        asked = Request(self.command, unquote(address.path), address.query, self.headers.get("Range", ""))
        body = self._body()
        fault = self.server.owner.fault(asked)
        refusal = fault if fault and fault != "cut" else self._refusal(asked)
        if refusal == "throttle":
            self._error(503, "SlowDown")
        elif refusal:
            self._error(403, refusal)
        else:
            self._forward(body, cut=fault == "cut")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  names that the base class looks for

    def _body(self) -> bytes:
        """What was sent, whole; uploads come in chunks, the last of them empty."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts: list[bytes] = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _refusal(self, asked: Request) -> str:
        """Only requests that are signed with the one known key come in, except to public buckets."""
        signed = self.headers.get("Authorization", "")
        if not signed:
            return "" if asked.path.split("/")[1] in self.server.owner.public else "AccessDenied"
        return "" if f"Credential={KEY_ID}/" in signed else "InvalidAccessKeyId"

    def _error(self, status: int, code: str) -> None:
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code} it is</Message></Error>'
        )
        body = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes, cut: bool) -> None:
        behind = http.client.HTTPConnection(*self.server.owner.behind)
        try:
            sent = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            behind.request(self.command, self.path, body or None, sent)
            answer = behind.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP and not (name.lower() == "content-length" and content):
                    self.send_header(name, value)
            if content:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
        finally:
            behind.close()
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class names it
        """Nothing on the terminal."""


@contextmanager
def serving() -> Generator[S3Server]:
    """The service for as long as it is used."""
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
