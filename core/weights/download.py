"""Downloads one file, whole and checked or not at all; a broken download resumes where it stopped."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError

from ..errors import CorruptWeights, DownloadFailed, one_line
from ..progress import Check, Progress
from .checksum import git_sha1, sha256
from .formats.not_weights import not_weights
from .http_source import Opened, Refused, open_url

WAITS = (0.5, 1.0, 2.0)
"""Seconds before each new attempt; the list starts over after an attempt that brought ENOUGH bytes."""
ENOUGH = 256 << 10
SILENCE = 20.0
"""Seconds without a byte after which we give up a connection."""
SLOWEST = 1024
"""Bytes per second, over WINDOW seconds, below which we give up a connection."""
WINDOW = 60.0
SPARE = 64 << 20
"""Bytes to leave free on the disk."""
LARGEST = 64 << 30
"""Bytes after which we stop a server that never stops sending."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """What to get. A size of 0 and empty strings mean unknown."""

    url: str
    name: str
    size: int = 0
    sha256: str = ""
    git_sha1: str = ""
    token: str = ""
    plain: bool = False
    """Whether the address may be http."""
    page: str = ""


@dataclass(frozen=True)
class _Remote:
    """The version of the remote file that the bytes of a partial one belong to."""

    url: str
    etag: str = ""
    size: int = 0
    sha256: str = ""


class _Broken(Exception):
    """An attempt failed, but another may succeed."""


def download(source: Source, target: Path, *, progress: Progress, check: Check) -> Path:
    """Downloads a file to `target`, which appears whole and checked or not at all, and returns `target`.

    What arrived before an interruption stays in `<target>.part`; the next call resumes from it if the file on the
    server is still the same. Two processes never download one file twice: the second waits. `check` may raise to stop.
    Raises DownloadFailed, and CorruptWeights for a file that is not the published one.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, check):
            if not target.is_file():
                _Download(source, target, progress, check).run()
    except OSError as error:
        raise DownloadFailed(f"{one_line(str(target))} cannot be written ({error.strerror or error}).") from None
    return target


@contextmanager
def _alone(target: Path, check: Check) -> Generator[None, None, None]:
    from filelock import FileLock, Timeout

    lock = FileLock(str(target.with_name(f".{target.name}.lock")))
    while True:
        check()
        try:
            lock.acquire(timeout=0.25)
            break
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()


class _Download:
    """One file on its way."""

    def __init__(self, source: Source, target: Path, progress: Progress, check: Check) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._check = check
        self._part = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")
        self._started_anew = False

    def run(self) -> None:
        """Tries until the file is there or no attempt is left."""
        waits = iter(WAITS)
        while True:
            before = self._have()
            try:
                self._accept(self._receive())
                return
            except _Broken as error:
                waits = iter(WAITS) if self._have() >= before + ENOUGH else waits
                wait = next(waits, None)
                if wait is None:
                    kept = ". What arrived is kept; the next try resumes from there" if self._have() else ""
                    raise self._failed(f"{error}{kept}") from None
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    self._discard()
                raise
            self._pause(wait)

    def _receive(self) -> _Remote:
        """Completes the partial file, and returns what it is now a copy of."""
        known, have = self._partial()
        if known.size and have == known.size:
            return known
        with self._request(known, have) as opened:
            remote = _remote(self._source.url, opened, known)
            if opened.response.status == 206:
                self._require_continued(opened, known, have)
            else:
                have = 0
            self._require_expected(remote, opened)
            self._require_room(remote.size - have)
            self._note.write_text(json.dumps(asdict(remote)), "utf-8")
            self._copy(opened, remote, have)
        return remote

    def _partial(self) -> tuple[_Remote, int]:
        """What an earlier attempt left, if it can be resumed, and how many bytes of it are here."""
        try:
            fields = json.loads(self._note.read_text("utf-8"))
            known = _Remote(str(fields["url"]), str(fields["etag"]), int(fields["size"]), str(fields["sha256"]))
        except (OSError, ValueError, TypeError, KeyError):
            known = _Remote("")
        certain = known.etag or known.sha256 or self._source.sha256 or self._source.git_sha1
        have = self._have()
        if known.url != self._source.url or not certain or (known.size and have > known.size):
            self._discard()
            return _Remote(self._source.url), 0
        return known, have

    @contextmanager
    def _request(self, known: _Remote, have: int) -> Generator[Opened, None, None]:
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and known.etag:
            headers["If-Range"] = known.etag
        source = self._source
        try:
            opened = open_url(source.url, headers, token=source.token, plain=source.plain, silence=SILENCE)
        except Refused as error:
            raise self._failed(f"a redirect is refused: {error}") from None
        except HTTPError as error:
            with error:
                raise self._answered(error.code) from None
        except (OSError, HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                raise self._failed(f"the server's certificate is not trusted ({error})") from None
            raise _Broken(_reason(error)) from None
        with opened.response:
            yield opened

    def _answered(self, code: int) -> Exception:
        if code == 416:
            self._discard()
            return _Broken("the server has fewer bytes than we already have")
        if code in (408, 425, 429) or code >= 500:
            return _Broken(f"the server answers {code}")
        if code in (401, 403):
            page = f" at {self._source.page}" if self._source.page else ""
            return self._failed(f"the server answers {code}: accept its terms{page} and log in with `hf auth login`")
        return self._failed(f"the server answers {code}")

    def _require_continued(self, opened: Opened, known: _Remote, have: int) -> None:
        headers = opened.response.headers
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
        etag = headers.get("ETag", known.etag)
        linked = _linked_sha256(opened) or known.sha256
        same = etag == known.etag and linked == known.sha256
        if not span or int(span[1]) != have or span[3] not in ("*", str(known.size or span[3])) or not same:
            self._discard()
            raise _Broken("the file on the server has changed")

    def _require_expected(self, remote: _Remote, opened: Opened) -> None:
        headers, source = opened.response.headers, self._source
        if headers.get("Content-Encoding", "identity") != "identity":
            raise self._failed(f"the server compresses it ({headers['Content-Encoding']}), which was not asked for")
        if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise self._failed("the server sends a web page in place of the file")
        if source.size and remote.size and source.size != remote.size:
            raise self._other(f"the server has {remote.size:,} bytes, but {source.size:,} were published")
        if source.sha256 and remote.sha256 and source.sha256 != remote.sha256:
            raise self._other(f"its sha256 on the server is {remote.sha256}, but the published one is {source.sha256}")
        if remote.size > LARGEST:
            raise self._failed(f"the server announces {remote.size:,} bytes")

    def _require_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._target.parent).free
        if needed + SPARE > free:
            folder = one_line(str(self._target.parent))
            raise self._failed(f"{needed:,} bytes are needed in {folder}, {free:,} are free")

    def _copy(self, opened: Opened, remote: _Remote, have: int) -> None:
        pace = _Pace()
        with self._part.open("r+b" if have else "wb") as file:
            file.seek(have)
            try:
                while block := _read(opened):
                    file.write(block)
                    have += len(block)
                    self._progress(have, remote.size, self._source.name)
                    self._check()
                    pace.require(len(block))
                    if have > (remote.size or LARGEST):
                        raise self._failed("the server sends more than it announced")
            finally:
                with suppress(OSError):  # the first error says more
                    _sync(file)
        if have < remote.size:
            raise _Broken(f"the connection ended after {have:,} of {remote.size:,} bytes")

    def _accept(self, remote: _Remote) -> None:
        """Checks the completed partial file and gives it its name."""
        with self._part.open("rb") as file:
            head = file.read(512)
        if strange := not_weights(head) or ("" if head else "it is empty"):
            raise self._other(strange)
        for wanted, digest in ((self._source.sha256 or remote.sha256, sha256), (self._source.git_sha1, git_sha1)):
            if wanted and (found := digest(self._part, self._check)) != wanted:
                self._mismatch(f"its {digest.__name__} is {found} instead of {wanted}")
        if self._source.size and self._have() != self._source.size:
            self._mismatch(f"it has {self._have():,} bytes instead of {self._source.size:,}")
        with self._part.open("r+b") as file:
            _sync(file)
        self._part.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _mismatch(self, how: str) -> None:
        """A wrong file may be two halves of right ones: one more attempt, from the start, decides."""
        error = self._other(how)
        if self._started_anew:
            raise error
        self._started_anew = True
        raise _Broken(how)

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _discard(self) -> None:
        self._note.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._check()
            time.sleep(0.05)

    def _failed(self, why: str) -> DownloadFailed:
        return DownloadFailed(f"{self._source.name} could not be downloaded from {self._source.url}: {why}.")

    def _other(self, how: str) -> CorruptWeights:
        self._discard()
        return CorruptWeights(
            f"{self._source.name} from {self._source.url} is not the published file: {how}. Nothing was kept."
        )


class _Pace:
    """Notices a connection that is alive but will never finish."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._bytes = 0

    def require(self, arrived: int) -> None:
        """Raises _Broken when too little arrived within WINDOW seconds."""
        self._bytes += arrived
        passed = time.monotonic() - self._since
        if passed >= WINDOW:
            if self._bytes < SLOWEST * passed:
                raise _Broken(f"the server sends only {self._bytes / passed:.0f} bytes a second")
            self._since, self._bytes = time.monotonic(), 0


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _read(opened: Opened) -> bytes:
    """What has arrived so far: waiting for full blocks would hide a slow connection and delay cancelling."""
    try:
        return opened.response.read1(_BLOCK)
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None


def _remote(url: str, opened: Opened, known: _Remote) -> _Remote:
    headers = opened.response.headers
    if opened.response.status == 206:
        total = headers.get("Content-Range", "").rpartition("/")[2]
        return _Remote(url, known.etag, known.size or _number(total), known.sha256)
    etag = headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag  # a weak one is not valid for resuming
    return _Remote(url, strong, _number(headers.get("Content-Length", "")), _linked_sha256(opened))


def _linked_sha256(opened: Opened) -> str:
    """The hub's own checksum of large files, which the first server sends before it redirects."""
    found = re.fullmatch(r'(?:W/)?"([0-9a-f]{64})"', opened.linked.get("x-linked-etag", ""))
    return found[1] if found else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"the server was silent for {SILENCE:.0f} s"
    return f"the connection failed ({str(error) or type(error).__name__})"
