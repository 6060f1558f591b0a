"""Opens an address for reading: https only, no silent compression, and no secret sent to another host."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from importlib import import_module
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

AGENT = "keepers"


class Refused(Exception):
    """An address that we refuse to open."""


@dataclass(frozen=True)
class Opened:
    """An open response, with what the first server said about the file before it redirected us."""

    response: HTTPResponse
    linked: Mapping[str, str]
    """Headers of the first server only, with names in lower case."""


def open_url(url: str, headers: Mapping[str, str], *, token: str, plain: bool, silence: float) -> Opened:
    """Sends one GET request. `plain` allows http for this address's host; otherwise only this machine may use it.

    Raises Refused, urllib's and http.client's exceptions, OSError.
    """
    plain_hosts = {urlsplit(url).netloc} if plain else set[str]()
    require_safe(url, plain_hosts)
    redirects = _Redirects(url, plain_hosts)
    request = Request(url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers})  # noqa: S310 checked above
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    response = build_opener(HTTPSHandler(context=_context()), redirects).open(request, timeout=silence)
    linked = redirects.first or {key.lower(): value for key, value in response.headers.items()}
    return Opened(response, linked)


def require_safe(url: str, plain_hosts: set[str]) -> None:
    """Raises Refused for an address that is neither https nor allowed to be http."""
    parts = urlsplit(url)
    local = parts.hostname == "localhost" or _is_loopback(parts.hostname or "")
    if parts.scheme == "https" or (parts.scheme == "http" and (local or parts.netloc in plain_hosts)):
        return
    raise Refused(f"{parts.scheme}://{parts.netloc} is not https")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _context() -> ssl.SSLContext:
    """The system's certificates, and certifi's where it is installed: Python on macOS has none of its own."""
    context = ssl.create_default_context()
    try:
        certificates = str(import_module("certifi").where())
    except ImportError:
        return context
    context.load_verify_locations(certificates)
    return context


class _Redirects(HTTPRedirectHandler):
    """Follows redirects that stay secure; the token is sent only to the first host."""

    def __init__(self, url: str, plain_hosts: set[str]) -> None:
        self._home = urlsplit(url)[:2]
        self._plain_hosts = plain_hosts
        self.first: dict[str, str] = {}

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request:
        del fp, code, msg
        target = urljoin(req.full_url, newurl)
        from_home = urlsplit(req.full_url)[:2] == self._home
        # A redirect from https to this machine's own http would let any server probe it.
        local = req.full_url.startswith("http://")
        require_safe(target, self._plain_hosts) if local else _require_https(target)
        if from_home:
            self.first = {key.lower(): value for key, value in headers.items()}
        keep: dict[str, Any] = dict(req.header_items())
        keep.pop("Host", None)
        if urlsplit(target)[:2] != self._home:
            keep.pop("Authorization", None)
        return Request(target, headers=keep, origin_req_host=req.origin_req_host, unverifiable=True)  # noqa: S310 checked above


def _require_https(url: str) -> None:
    require_safe(url if url.startswith("https:") else "refused:" + url, set())
