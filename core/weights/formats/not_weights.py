"""Recognises what is often saved in place of a model."""

from __future__ import annotations


def not_weights(head: bytes) -> str:
    """What the first bytes of a file show it to be instead of weights, as a clause for an error; empty otherwise."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "it is a web page, not a model; perhaps the page of the download was saved"
    if text.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer, not the model itself; `git lfs pull` gets the real file"
    if text.startswith((b'{"', b"{\n", b"[")):
        return "it is text, not a model; perhaps the server's error message was saved"
    return ""
