"""Serves the page of a review to this machine only, and stores the marks it receives.

Pages of other sites may send requests to a server on this machine. None succeeds: the address holds a random token,
the Host must be the loopback's own (another name bound to 127.0.0.1 is refused), a foreign Origin is refused, and
responses forbid any other page to embed or read them. Pictures are requested by number, never by path.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

from ...collection.mark_store import MarkStore
from ...collection.marks import MARKS, UserMark
from ...core.errors import KeepersError, StoreBusy, UnreadableImage
from ..pages.frame import framed
from .pictures import EDGES, Pictures, Size

FOLDER = Path(__file__).parent / "web"
SHARED = Path(__file__).parents[1] / "pages" / "web"
PARTS = {
    **{name: SHARED / name for name in ("base.css", "theme.js", "dom.js")},
    **{name: FOLDER / name for name in ("review.css", "state.js", "view.js", "main.js")},
}
"""The files of the page; nothing else is served."""
PAGE = Path(__file__).with_name("review.html")
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
MOST_BODY = 4096
SOURCE = "review"
RECENT = 200
"""Marks that can still be taken back after the page is reloaded."""
BUSY = "Another program is writing to the store. This is tried again until the store is free."
ENDED = "The review was ended in the terminal. What you said is stored; start keepers review again to go on."


class ReviewEnded(KeepersError):
    """A browser that kept its connection sent a request after the review had ended."""


class Review:
    """What the page shows and changes, until `close`. Every method may be called from any thread.

    Raises StoreError from all of them, and ReviewEnded once it is closed.
    """

    def __init__(
        self, labels: MarkStore, contents: Sequence[str], pictures: Pictures, data: Mapping[str, object]
    ) -> None:
        self._labels = labels
        self._contents = list(contents)
        self._place = {content: index for index, content in enumerate(contents)}
        self._lock = threading.Lock()
        self._ended = False
        self.pictures = pictures
        self.data = data

    def close(self) -> None:
        """Wait for what is being written; the store is not used after this, so it may be closed."""
        with self._lock:
            self._ended = True

    @contextmanager
    def _store(self) -> Generator[None]:
        with self._lock:
            if self._ended:
                raise ReviewEnded(ENDED)
            yield

    def start(self) -> dict[str, object]:
        """Everything that the page needs to begin, or to go on after a reload."""
        with self._store():
            said = (label for label in self._labels.history() if label.source == SOURCE)
            recent = [[self._place[one.content], one.id] for one in said if one.content in self._place][-RECENT:]
            return {**self.data, "recent": recent, **self._state()}

    def changes(self, version: str) -> dict[str, object]:
        """The current marks, or nothing if they have not changed since a version."""
        with self._store():
            return {"version": version} if self._version() == version else self._state()

    def say(self, index: int, mark: str, seen: int) -> dict[str, object]:
        """Mark an image; `seen` is the number of the mark that the page knew, so that a conflict is reported."""
        with self._store():
            content = self._contents[index]
            before = self._labels.current([content]).get(content)
            label = self._labels.say(content, "keep" if mark == "keep" else "reject", SOURCE, time.time())
            other = before is not None and before.id != seen and before.mark != label.mark
            return {**_mark_facts(index, label), "contradicts": before.mark if before and other else ""}

    def take_back(self, number: int) -> dict[str, object] | None:
        """Remove a mark that was given here; None if it is already gone."""
        with self._store():
            label = self._labels.take_back(number)
            if label is None or label.content not in self._place:
                return None
            current = self._labels.current([label.content]).get(label.content)
            index = self._place[label.content]
            return _mark_facts(index, current) if current else {"index": index, "mark": "", "id": 0}

    def _state(self) -> dict[str, object]:
        current = self._labels.current(self._contents)
        listed = [[self._place[one.content], one.mark, one.id] for one in current.values()]
        return {"version": self._version(), "labels": listed}

    def _version(self) -> str:
        return "-".join(map(str, self._labels.version()))


def _mark_facts(index: int, label: UserMark) -> dict[str, object]:
    return {"index": index, "mark": label.mark, "id": label.id}


class ReviewServer(ThreadingHTTPServer):
    """Listens only on 127.0.0.1."""

    daemon_threads = True  # a thread lives as long as the connection that its browser keeps open
    allow_reuse_address = False

    def __init__(self, review: Review, port: int = 0) -> None:
        self.review = review
        self.token = secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The Host headers that name this server."""
        return (f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}")

    def server_close(self) -> None:
        """Stop listening and let running writes finish; the store is not used after this."""
        super().server_close()
        self.review.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a browser closes its connection."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "keepers"
    sys_version = ""
    timeout = 60
    HEADERS: ClassVar[dict[str, str]] = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    @property
    def review(self) -> Review:
        return cast("ReviewServer", self.server).review

    def do_GET(self) -> None:
        """The page, its parts, its data and its pictures."""
        route = self._route(post=False)
        if route is None:
            return
        match route:
            case [""]:
                self._send(200, framed(PAGE.read_text(encoding="utf-8")).encode(), "text/html; charset=utf-8")
            case ["part", name] if name in PARTS:
                self._send(200, PARTS[name].read_bytes(), KINDS[PARTS[name].suffix])
            case ["start"]:
                self._answer(lambda: self.review.start())
            case ["changes", version]:
                self._answer(lambda: self.review.changes(version))
            case ["picture", ("small" | "large") as size, number]:
                self._picture(number, cast("Size", size))
            case _:
                self._refuse(404, "There is nothing here.")

    def do_POST(self) -> None:
        """A new mark, or one taken back."""
        route = self._route(post=True)
        if route is None:
            return
        body = self._body()
        if body is None:
            return
        match route:
            case ["label"]:
                self._label(body)
            case ["undo"]:
                number = body.get("id")
                if type(number) is int and 0 < number < 1 << 62:
                    self._answer(lambda: self.review.take_back(number))
                else:
                    self._refuse(400, "This is no label.")
            case _:
                self._refuse(404, "There is nothing here.")

    def _label(self, body: dict[str, Any]) -> None:
        index, mark, seen = (body.get(key, 0) for key in ("index", "mark", "seen"))
        if type(index) is not int or type(seen) is not int or mark not in MARKS:
            self._refuse(400, "This is no label.")
        elif not 0 <= index < len(self.review.pictures):
            self._refuse(404, "There is no such image.")
        else:
            self._answer(lambda: self.review.say(index, str(mark), seen))

    def _route(self, *, post: bool) -> list[str] | None:
        """The parts of the path after the token; None if the request was refused, which the reply says."""
        server = cast("ReviewServer", self.server)
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or hosts[0] not in server.hosts:
            return self._refuse(403, "This server answers to its own address only.")
        if any(origin != f"http://{hosts[0]}" for origin in origins) or (post and not origins):
            return self._refuse(403, "Requests of other pages are refused.")
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return self._refuse(403, "Requests of other pages are refused.")
        parts = urlsplit(self.path).path.split("/")
        if len(parts) < 3 or parts[0] or not hmac.compare_digest(parts[1].encode(), server.token.encode()):
            return self._refuse(404, "Open the address that keepers review printed.")
        return parts[2:]

    def _body(self) -> dict[str, Any] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BODY or self.headers.get_content_type() != "application/json":
            return self._refuse(400, "This is no label.")
        try:
            found = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return self._refuse(400, "This is no JSON.")
        return cast("dict[str, Any]", found) if isinstance(found, dict) else self._refuse(400, "This is no label.")

    def _answer(self, work: Any) -> None:
        try:
            found = work()
        except StoreBusy:
            self._refuse(503, BUSY)
            return
        except ReviewEnded as error:
            self._refuse(503, str(error))
            return
        except KeepersError as error:  # a full disk, a damaged store: the page says so, and nothing is lost silently
            self._refuse(500, str(error))
            return
        if found is None:
            self._refuse(409, "This was taken back already, in another page.")
        else:
            self._send(200, json.dumps(found).encode(), "application/json")

    def _picture(self, number: str, size: Size) -> None:
        if not number.isdecimal() or len(number) > 9 or int(number) >= len(self.review.pictures) or size not in EDGES:
            self._refuse(404, "There is no such image.")
            return
        try:
            data = self.review.pictures.jpeg(int(number), size)
        except UnreadableImage as error:
            self._refuse(410, str(error))
            return
        self._send(200, data, "image/jpeg", cache="private, max-age=3600")

    def _refuse(self, status: int, text: str) -> None:
        """Refuse and close the connection: an unread body must not be taken for the next request."""
        self.close_connection = True
        self._send(status, json.dumps({"error": text}).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str, cache: str = "no-store") -> None:
        self.send_response(status)
        for name, value in {**self.HEADERS, "Content-Type": kind, "Cache-Control": cache}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: the terminal is the user's."""
