"""Describes a published weight file: its name, where it is, and how it is recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One published file. If no checksum is published, `sha256` stays empty; it is never invented."""

    name: str
    """File name as published; local folders are searched for it."""
    repo: str = ""
    """Hugging Face repository "owner/name", for files on the hub."""
    path: str = ""
    """Path inside `repo`; empty means `name`."""
    revision: str = "main"
    url: str = ""
    """Direct address, for files that are not on the hub."""
    page: str = ""
    """A page for a person to open when no direct download exists."""
    sha256: str = ""
    git_sha1: str = ""
    """The git blob id (sha1 over "blob <size>\\0" and the bytes), where that is all that is published."""
    size: int = 0
    """Bytes; 0 when unknown."""
    licence: str = ""
    folder: str = ""
    """Sub-folder of the model folder, to keep files of the same name apart."""
    alternatives: tuple[WeightFile, ...] = ()
    """Other published files with the same tensors, by preference; this one comes first."""
    optional: bool = False
