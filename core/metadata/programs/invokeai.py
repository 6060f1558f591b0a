"""InvokeAI: `invokeai_metadata`, and what its older versions wrote, `sd-metadata` and the command line `Dream`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..generation import Generation, Lora, stated
from ..said import Said
from ..values import items, plain_settings, real, table, text, whole

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
    return stated(
        "invokeai",
        positive=_both(data, "positive"),
        negative=_both(data, "negative"),
        seed=data.get("seed"),
        sampler=data.get("scheduler"),
        steps=whole(data.get("steps")) or whole(data.get("num_steps")),
        cfg=real(data.get("cfg_scale")) or real(data.get("guidance")),
        model=_name(model) or text(data.get("model")),
        width=data.get("width"),
        height=data.get("height"),
        settings=plain_settings(data),
        model_hash=model.get("hash"),
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
    return stated(
        "invokeai",
        positive=positive,
        negative=negative,
        seed=image.get("seed"),
        sampler=image.get("sampler"),
        steps=image.get("steps"),
        cfg=image.get("cfg_scale"),
        model=text(data.get("model_weights")) or text(data.get("model")),
        width=image.get("width"),
        height=image.get("height"),
        settings=plain_settings({**data, **image}),
        model_hash=data.get("model_hash"),
    )


def _command_line(line: str) -> Generation | None:
    """A line such as `"a fox [fog]" -s 50 -S 7 -W 512 -H 768 -C 5 -A k_lms`; older ones write `-s50 -S7`."""
    line = line[: 1 << 16].strip()
    found = _DREAM.match(line) or _UNQUOTED.match(line)
    if not found or not _OPTION.search(found[2]):
        return None
    positive, negative = _sides(found[1])
    get = {one[1]: one[2] for one in _OPTION.finditer(found[2])}.get
    return stated(
        "invokeai",
        positive=positive,
        negative=negative,
        seed=get("S"),
        sampler=get("A", "") or get("m", ""),
        steps=get("s"),
        cfg=get("C"),
        width=get("W"),
        height=get("H"),
    )


def _sides(prompt: str) -> tuple[str, str]:
    """What stands in square brackets is the negative prompt."""
    negative = ", ".join(filter(None, (one[1].strip(" ,") for one in _BRACKETED.finditer(prompt))))
    positive = ", ".join(filter(None, (one.strip(" ,") for one in _BRACKETED.sub("\0", prompt).split("\0"))))
    return positive.strip(), negative
