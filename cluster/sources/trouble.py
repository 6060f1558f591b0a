"""Failures of remote storage: classified, put into words, and retried."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...core.errors import KeepersError, one_line

T = TypeVar("T")

_KINDS = (
    ("no_bucket", r"NO_SUCH_BUCKET|NoSuchBucket|Bucket '' not found|does not name a bucket"),
    (
        "credentials",
        (
            r"INVALID_ACCESS_KEY|InvalidAccessKey|SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch|EXPIRED_?TOKEN"
            r"|ExpiredToken|INVALID_?TOKEN|InvalidToken|INVALID_CLIENT_TOKEN|UNRECOGNIZED_CLIENT"
            r"|MISSING_AUTHENTICATION|UNAUTHENTICATED|invalid_grant|AuthenticationException|\b401\b"
        ),
    ),
    ("denied", r"ACCESS_DENIED|AccessDenied|PERMISSION_DENIED|Forbidden|\b403\b"),
    (
        "throttled",
        r"SLOW_DOWN|SlowDown|SERVICE_UNAVAILABLE|THROTTL|\b503\b|\b429\b|TooManyRequests",
    ),
    ("library", r"Unable to load lib"),
    ("network", r"NETWORK_CONNECTION|UNAVAILABLE|[Cc]onnect|timed? ?out|resolve host|Name or service|cut short"),
)
_FINAL = {"library", "missing", "no_bucket", "credentials", "denied"}

_SAID = {
    "missing": "there is no such file or folder",
    "no_bucket": "there is no such bucket; check its name, its region and the endpoint",
    "credentials": "the storage does not accept the credentials it was given; check that they are correct and current",
    "denied": "the storage denies access with the credentials it was given; they need the right to list and to read",
    "no_credentials": "the storage requires credentials and none were found; set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "library": "a library that this kind of storage needs is not installed",
    "throttled": "the storage asks for fewer requests",
    "network": "the storage cannot be reached, or the connection broke",
    "other": "it cannot be read",
}


class StorageTrouble(Exception):
    """A request to storage that failed, also when it was repeated."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        """missing, no_bucket, credentials, denied, library, throttled, network or other."""
        self.detail = detail
        """One line for the user."""

    @property
    def code(self) -> str:
        """As `UnreadableImage.code`."""
        return "not_a_file" if self.kind in ("missing", "no_bucket") else "io"


@dataclass(frozen=True)
class Patience:
    """How often and how long requests are retried, on top of the retries of the storage's own library."""

    attempts: int = 4
    wait: float = 0.5
    """The longest wait before the second attempt, in seconds. It doubles each time, with jitter."""
    limit: float = 60.0
    """Seconds after which no new attempt begins."""

    def ask(self, act: Callable[[], T]) -> T:
        """What `act` returns, retried as needed.

        Raises StorageTrouble if it fails for good, and passes on a KeepersError of `act`.
        """
        end = time.monotonic() + self.limit
        for attempt in range(1, self.attempts + 1):
            try:
                return act()
            except (KeepersError, StorageTrouble):
                raise
            except Exception as error:  # third-party file systems raise almost anything
                kind = kind_of(error)
                pause = random.uniform(0.5, 1) * self.wait * 2 ** (attempt - 1)  # noqa: S311  no secret depends on it
                if kind in _FINAL or attempt == self.attempts or time.monotonic() + pause > end:
                    raise StorageTrouble(kind, trouble_text(kind, error, attempt)) from error
            time.sleep(pause)
        raise AssertionError("at least one attempt is made")


def kind_of(error: BaseException) -> str:
    """The kind of trouble that an error of a file system means."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return "missing"
    if isinstance(error, PermissionError):
        return "denied"
    text = _without_names(f"{type(error).__name__}: {error}")
    return next((kind for kind, pattern in _KINDS if re.search(pattern, text)), "other")


def trouble_text(kind: str, error: BaseException, attempts: int = 1) -> str:
    """The trouble in a sentence, with the storage's own words where they say more."""
    if kind == "denied" and "AWS Error" in str(error) and not _has_aws_credentials():
        kind = "no_credentials"
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    words = f" ({_own_words(error)})" if kind in ("throttled", "network", "library", "other") else ""
    return f"{_SAID[kind]}{tried}{words}"


def local_trouble_text(error: OSError) -> str:
    """As `trouble_text`, for a file on this machine."""
    return "no permission to read it" if isinstance(error, PermissionError) else trouble_text(kind_of(error), error)


def _without_names(text: str) -> str:
    """A message without file names, which may contain any word."""
    if (start := text.find("AWS Error ")) >= 0:
        return text[start:]
    return re.sub(r"'[^']*'|\S*/\S*", "''", text)


def _own_words(error: BaseException) -> str:
    """The gist of a library's message: what S3 calls the error, else the message itself."""
    text = str(error) or type(error).__name__
    found = re.search(r"AWS Error (\w+(?: \(HTTP status \d+\))?)", text)
    return one_line(found[1] if found else text)[:200]


def _has_aws_credentials() -> bool:
    """Whether any of the credentials that the AWS library looks for exist, leaving out the machine's own role."""
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    )
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or str(Path("~/.aws/credentials").expanduser())
    return any(os.environ.get(name) for name in names) or Path(file).exists()
