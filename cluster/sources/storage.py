"""Remote storage: file systems by address, each opened once."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import pyarrow as pa
from pyarrow import fs

from .address import check_secrets, quoted_path, without_secrets
from .error import SourceError
from .trouble import Patience, StorageTrouble

_ARROW = {"s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"}
"""Schemes that Arrow opens itself; fsspec opens the rest."""

_S3_OPTIONS = {"region", "scheme", "endpoint_override"}
_GS_LIMIT = "retry_limit_seconds=15"
"""By default its library retries for a quarter of an hour."""

_CONNECT, _SILENCE = 10, 30
"""Timeouts for S3 in seconds: to connect, and to send data. Arrow's defaults are one and three."""

_ADVICE = {
    "s3": "write a public bucket as s3://anonymous@BUCKET",
    "gs": "write a public bucket as gs://anonymous@BUCKET",
}


@dataclass(frozen=True)
class Place:
    """What an address points to: a file system and a path in it."""

    files: Any
    """pyarrow.fs.FileSystem."""
    path: str
    root: str
    """The path of the bare address: a bucket."""
    before: str
    """The part of an address before the path below the root."""
    after: str = ""
    """The part after that path: what is needed to connect."""
    quoted: bool = True

    @property
    def folder(self) -> str:
        """The path of the folder it lies in."""
        return self.path.rpartition("/")[0]

    def uri(self, path: str) -> str:
        """The address of another path of the same file system."""
        below = path.removeprefix(self.root)
        return f"{self.before}{quoted_path(below) if self.quoted else below}{self.after}"


class Storage:
    """The file systems in use, for any number of threads. `apart` is the address of a folder that is never listed.

    Raises SourceError if `apart` cannot be resolved.
    """

    def __init__(self, patience: Patience | None = None, apart: str = "") -> None:
        self.patience = patience or Patience()
        self._opened: dict[tuple[str, str, str], tuple[Any, str]] = {}
        self._lock = threading.Lock()
        self._apart = self.place(apart) if apart else None

    def is_apart(self, place: Place, path: str) -> bool:
        """Whether a path of the file system of `place` is the folder that is never listed."""
        found = self._apart
        return found is not None and (found.before, found.path.strip("/")) == (place.before, path.strip("/"))

    def place(self, uri: str) -> Place:
        """What an address points to. No request is made yet, except for the region of a bucket.

        Raises SourceError.
        """
        check_secrets(uri)
        scheme, _, rest = uri.partition("://")
        if scheme.lower() not in _ARROW:
            return self._foreign(uri, scheme)
        rest, _, query = rest.partition("?")
        host, _, path = rest.partition("/")
        files, root = self._file_system(uri, scheme.lower(), host, query)
        below = unquote(path).strip("/")
        whole = f"{root}/{below}" if below else root
        return Place(files, whole, root, f"{scheme}://{host}", f"?{query}" if query else "")

    def _file_system(self, uri: str, scheme: str, host: str, query: str) -> tuple[Any, str]:
        with self._lock:
            key = (scheme, host, query)
            if key not in self._opened:
                try:
                    self._opened[key] = self.patience.ask(lambda: _open(scheme, host, query))
                except StorageTrouble as trouble:
                    raise SourceError(without_secrets(uri), advise(uri, trouble)) from trouble
            return self._opened[key]

    def _foreign(self, uri: str, scheme: str) -> Place:
        with self._lock:
            foreign = _open_foreign(uri, scheme)  # fsspec itself opens each file system once
        path: str = foreign._strip_protocol(uri)
        path = path.rstrip("/") or path
        bare = uri.rstrip("/")
        before = bare[: len(bare) - len(path)] if bare.endswith(path) else f"{scheme}://"
        return Place(fs.PyFileSystem(fs.FSSpecHandler(foreign)), path, "", before, quoted=False)


def advise(uri: str, trouble: StorageTrouble) -> str:
    """The trouble with a source, with advice for its kind of storage."""
    scheme = uri.partition("://")[0].lower()
    if trouble.kind == "denied" and scheme in _ADVICE:
        return f"{trouble.detail}; {_ADVICE[scheme]}"
    return trouble.detail


def _open(scheme: str, host: str, query: str) -> tuple[Any, str]:
    """An Arrow file system and the path of its root."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme == "s3" and options.keys() <= _S3_OPTIONS:
        return _open_s3(host, options)
    scheme = {"gcs": "gs"}.get(scheme, scheme)
    if scheme == "gs" and "retry_limit_seconds" not in options:
        query = f"{query}&{_GS_LIMIT}".lstrip("&")
    try:
        files, root = fs.FileSystem.from_uri(f"{scheme}://{host}/" + (f"?{query}" if query else ""))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"{scheme}://{host}", f"this address cannot be used: {error}") from error
    return files, root.rstrip("/")


def _open_s3(host: str, options: dict[str, str]) -> tuple[Any, str]:
    """S3 or a compatible store. Not made from the address: that would retry ten times and accept no user."""
    user, _, bucket = host.rpartition("@")
    if not bucket:
        raise SourceError("s3://", "no bucket is named; write s3://BUCKET/FOLDER")
    stated = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, _, host = stated.rpartition("://")
    endpoint, region = options.get("endpoint_override") or host.rstrip("/"), options.get("region")
    if not region and endpoint:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    files = fs.S3FileSystem(
        anonymous=user == "anonymous",
        region=region or fs.resolve_s3_region(bucket),
        endpoint_override=endpoint or None,
        scheme=options.get("scheme") or scheme or "https",
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),  # Patience does the rest
        connect_timeout=_CONNECT,
        request_timeout=_SILENCE,
    )
    return files, bucket


def _open_foreign(uri: str, scheme: str) -> Any:
    """An fsspec file system.

    Raises SourceError if it is unknown or its package is not installed.
    """
    shown = without_secrets(uri)
    try:
        import fsspec
    except ImportError as error:
        raise SourceError(shown, f"{scheme}:// needs the package fsspec: pip install fsspec") from error
    try:
        return fsspec.core.url_to_fs(uri)[0]
    except ImportError as error:
        raise SourceError(shown, f"{scheme}:// needs a package that is not installed ({error})") from error
    except ValueError as error:
        known = "a path, s3://, gs://, abfs://, hdfs:// or an address that fsspec knows"
        raise SourceError(shown, f"nothing here can open this address ({error}); write {known}") from error
    except Exception as error:
        raise SourceError(shown, f"its storage cannot be opened ({type(error).__name__}: {error})") from error
