"""Checksums of whole files, and a quick fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from ..progress import Check


class _Digest(Protocol):
    def update(self, block: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


WHOLE = 16 << 20
BLOCK = 64 << 10
BLOCKS = 256


def fingerprint(path: Path) -> str:
    """Identifies a file by its size and content: all of it below 16 MiB, else 256 evenly spread blocks of 64 KiB.

    It tells real files apart in a fraction of the time a checksum takes. It does not verify them: a byte may differ
    between the blocks. 64 hexadecimal digits.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        if size < WHOLE:
            digest.update(file.read())
        else:
            for index in range(BLOCKS):
                file.seek(index * (size - BLOCK) // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()


def sha256(path: Path, check: Check | None = None) -> str:
    """The SHA-256 of a file, in hex; `check` is called now and then and may raise to stop."""
    return _digest(path, hashlib.sha256(), check)


def git_sha1(path: Path, check: Check | None = None) -> str:
    """The id that git gives the content of a file."""
    head = b"blob %d\0" % path.stat().st_size
    return _digest(path, hashlib.sha1(head, usedforsecurity=False), check)


def _digest(path: Path, digest: _Digest, check: Check | None) -> str:
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            if check:
                check()
    return digest.hexdigest()
