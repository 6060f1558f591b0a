"""Midjourney: the prompt with its parameters, and the job's id, in a Description."""

from __future__ import annotations

import re

from ..generation import Generation
from ..said import Said
from ..values import real, seed

_JOB = re.compile(r"\bJob ID:\s{0,8}([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
_PARAMETER = re.compile(r"(?<!\S)(?:--|\u2014)([A-Za-z]\w{0,30})(?!\S)")
_IMAGE = re.compile(r"\s*<?https?://[^\s<>]{1,2000}>?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACES = ("Description", "ImageDescription", "xmp", "XPComment", "UserComment", "comment", "Comment")


def read_midjourney(said: Said) -> Generation | None:
    """A text that names a job. Its parameters are settings; what `--no` asks to leave out is the negative prompt."""
    for one in said.first(*_PLACES):
        if job := _JOB.search(one[: 1 << 16]):
            return _from_text(one[: job.start()], job[1])
    guid = said.texts.get("DigImageGUID", "")
    if _GUID.fullmatch(guid) and "Description" in said.texts:
        return _from_text(said.texts["Description"], guid)
    return None


def _from_text(asked: str, job: str) -> Generation:
    images: list[str] = []
    while found := _IMAGE.match(asked):
        images.append(found[0].strip())
        asked = asked[found.end() :]
    prompt, settings = _split(asked)
    settings |= {"Job ID": job} | ({"image prompts": " ".join(images)} if images else {})
    version, niji = settings.get("v", settings.get("version", "")), settings.get("niji", "")
    return Generation(
        prompt,
        settings.get("no", ""),
        seed(settings.get("seed")),
        cfg=real(settings.get("cfg")),
        model=f"Niji {niji}" if niji else f"Midjourney {version}" if version else "Midjourney",
        source="midjourney",
        settings=settings,
    )


def _split(asked: str) -> tuple[str, dict[str, str]]:
    """The prompt, and the parameters with the values that follow them."""
    found = list(_PARAMETER.finditer(asked))
    ends = [*(one.start() for one in found[1:]), len(asked)]
    settings = {one[1]: asked[one.end() : end].strip() for one, end in zip(found, ends, strict=True)} if found else {}
    return asked[: found[0].start() if found else len(asked)].strip(), settings
