"""InvokeAI: `invokeai_metadata`, and what its older versions wrote, `sd-metadata` and the command line `Dream`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..generation import Generation, Lora
from ..said import Said
from ..values import items, plain_settings, real, seed, table, text, whole

_DREAM = re.compile(r'"(.*)"(.*)', re.DOTALL)
_UNQUOTED = re.compile(r"([^\"].*?)(\s-[a-zA-Z][ \t]{0,8}[\d.].*)", re.DOTALL)
_OPTION = re.compile(r"\s-([a-zA-Z])[ \t]{0,8}([^\s]{1,100})")
_BRACKETED = re.compile(r"\[([^\[\]]{0,20000})\]")


def read_invokeai(said: Said) -> Generation | None:
    """The newest of the forms that the file has."""
    if data := said.objects.get("invokeai_metadata"):
        return _present(data)
    if data := said.objects.get("sd-metadata"):
        return _version_2(data)
    return _command_line(said.texts.get("Dream", ""))


def _present(data: Mapping[str, object]) -> Generation:
    model = table(data.get("model"))
    return Generation(
        _both(data, "positive"),
        _both(data, "negative"),
        seed(data.get("seed")),
        text(data.get("scheduler")),
        "",
        whole(data.get("steps")) or whole(data.get("num_steps")),
        real(data.get("cfg_scale")) or real(data.get("guidance")),
        _name(model) or text(data.get("model")),
        whole(data.get("width")),
        whole(data.get("height")),
        "invokeai",
        plain_settings(data),
        model_hash=text(model.get("hash")),
        loras=tuple(_loras(data)),
    )


def _both(data: Mapping[str, object], side: str) -> str:
    """A side's prompt; SDXL has a second one for the style."""
    found = (text(data.get(f"{side}_prompt")), text(data.get(f"{side}_style_prompt")))
    return "\n".join(dict.fromkeys(filter(None, found)))


def _name(model: Mapping[str, object]) -> str:
    return text(model.get("name")) or text(model.get("model_name"))


def _loras(data: Mapping[str, object]) -> Iterator[Lora]:
    for one in map(table, items(data.get("loras"))):
        model = table(one.get("model")) or table(one.get("lora"))
        if name := _name(model):
            yield Lora(name, real(one.get("weight")), text(model.get("hash")))


def _version_2(data: Mapping[str, object]) -> Generation:
    image = table(data.get("image"))
    parts = [text(table(one).get("prompt")) for one in items(image.get("prompt"))]
    positive, negative = _sides("\n".join(filter(None, parts)) or text(image.get("prompt")))
    return Generation(
        positive,
        negative,
        seed(image.get("seed")),
        text(image.get("sampler")),
        "",
        whole(image.get("steps")),
        real(image.get("cfg_scale")),
        text(data.get("model_weights")) or text(data.get("model")),
        whole(image.get("width")),
        whole(image.get("height")),
        "invokeai",
        plain_settings({**data, **image}),
        model_hash=text(data.get("model_hash")),
    )


def _command_line(line: str) -> Generation | None:
    """A line such as `"a fox [fog]" -s 50 -S 7 -W 512 -H 768 -C 5 -A k_lms`; older ones write `-s50 -S7`."""
    line = line[: 1 << 16].strip()
    found = _DREAM.match(line) or _UNQUOTED.match(line)
    if not found or not _OPTION.search(found[2]):
        return None
    positive, negative = _sides(found[1])
    get = {one[1]: one[2] for one in _OPTION.finditer(found[2])}.get
    return Generation(
        positive,
        negative,
        seed(get("S")),
        get("A", "") or get("m", ""),
        "",
        whole(get("s")),
        real(get("C")),
        "",
        whole(get("W")),
        whole(get("H")),
        "invokeai",
    )


def _sides(prompt: str) -> tuple[str, str]:
    """What stands in square brackets is the negative prompt."""
    negative = ", ".join(filter(None, (one[1].strip(" ,") for one in _BRACKETED.finditer(prompt))))
    positive = ", ".join(filter(None, (one.strip(" ,") for one in _BRACKETED.sub("\0", prompt).split("\0"))))
    return positive.strip(), negative
