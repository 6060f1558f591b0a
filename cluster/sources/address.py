"""Addresses beyond this machine, as results hold them: they can be opened again and contain no secrets."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

from .error import SourceError

_SECRET = re.compile(
    r"secret|passw|pwd|token|signature|^sig$|sas|access_?key|account_?key|api_?key|credential$|^auth(orization)?$", re.I
)
_USER = re.compile(r"://[^/@]*:[^/@]*@")
"""An address with a password, as the value of a query parameter."""
_BROKEN = re.compile(r"[^/@]*:(?!\d*/)[^@/]*/[^@]*@|[^/@?]*:(?!\d*\?)[^@/?]*\?[^@]*@")
"""A password with an unescaped slash or question mark. A colon followed by digits is a port, and a path follows."""
_PLAIN = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '%?#"<>[]^`{|}\\')


def is_remote(source: str) -> bool:
    """Whether a source is an address beyond this machine."""
    return "://" in source and not source.startswith("file://")


def quoted_path(path: str) -> str:
    """A path escaped for an address: letters of all scripts stay readable, characters with a meaning are escaped."""
    return "".join(c if ord(c) > 0xA0 else quote(c, safe=_PLAIN) for c in path)


def check_secrets(uri: str) -> None:
    """Raises SourceError if an address contains credentials: every result would repeat them."""
    if without_secrets(uri) != uri:
        advice = (
            "pass them by the environment or the configuration file of the storage, and remove them from the address"
        )
        raise SourceError(
            without_secrets(uri), f"the address holds credentials, and results name every address; {advice}"
        )
    if "::" in uri.partition("?")[0]:
        raise SourceError(uri, "chained addresses (with ::) are not supported; unpack the archive, or use a tar")


def without_secrets(uri: str) -> str:
    """An address that is safe to show: without a password or access key, and without a query that holds a secret."""
    scheme, colons, rest = uri.partition("://")
    if (broken := _BROKEN.match(rest)) is not None:
        rest = rest[broken.end() :]
    rest, mark, query = rest.partition("?")
    host, slash, path = rest.partition("/")
    user, _, bare = host.rpartition("@")
    if ":" in user or (scheme.lower() == "s3" and user != "anonymous"):
        host = bare
    parameters = parse_qsl(query, keep_blank_values=True)
    if any(_SECRET.search(name) or _USER.search(value) for name, value in parameters):
        mark = query = ""
    return f"{scheme}{colons}{host}{slash}{path}{mark}{query}"
