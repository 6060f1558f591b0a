"""Describes a published file of weights: its name, where it is, and how it is recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One published file. Where no checksum is published, `sha256` stays empty and is never invented."""

    name: str
    """File name as published; also the name looked for in local folders."""
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
    """Sub-folder of the model folder that keeps equal names of different models apart."""
    alternatives: tuple[WeightFile, ...] = ()
    """Other published files with the same tensors, in order of preference after this one."""
    optional: bool = False
