"""NovelAI: a Description, and settings as JSON in a Comment; from V4 on with a caption for each character."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..generation import Generation, stated
from ..said import Said
from ..values import NOTHING, items, name_and_hash, plain_settings, table, text


def read_novelai(said: Said) -> Generation | None:
    """The picture's own settings, or those that are wrapped into one JSON object, as in its WebP files."""
    held = [one for one in (*said.objects.values(), said.texts) if _is_ours(one)]
    comment = _comment(said, held) if held else _bare(said)
    if not comment and not held:
        return None
    texts: Mapping[str, object] = dict(pair for one in reversed(held) for pair in one.items())
    model, model_hash = name_and_hash(text(texts.get("Source")) or _model(said.texts.get("Software", "")))
    return stated(
        "novelai",
        positive=_side(comment.get("v4_prompt")) or text(comment.get("prompt")) or _described(texts),
        negative=_side(comment.get("v4_negative_prompt"))
        or text(comment.get("uc"))
        or text(comment.get("negative_prompt")),
        seed=comment.get("seed"),
        sampler=comment.get("sampler"),
        scheduler=comment.get("noise_schedule"),
        steps=comment.get("steps"),
        cfg=comment.get("scale"),
        model=model,
        width=comment.get("width"),
        height=comment.get("height"),
        settings=plain_settings(comment),
        model_hash=model_hash,
        notes=() if comment else ("NovelAI's settings are missing or cannot be read",),
    )


def _comment(said: Said, held: list[Mapping[str, object]]) -> Mapping[str, object]:
    wrapped = [table(one.get("Comment")) for one in (*held, *said.objects.values())]
    return next(filter(None, wrapped), NOTHING) or table(said.texts.get("UserComment"))


def _model(software: str) -> str:
    """The model that its WebP files name as the software."""
    return software if software.startswith("NovelAI Diffusion") else ""


def _described(texts: Mapping[str, object]) -> str:
    return text(texts.get("Description")) or text(texts.get("ImageDescription"))


def _is_ours(texts: Mapping[str, object]) -> bool:
    software = text(texts.get("Software"))
    return "NovelAI" in software or text(texts.get("Title")) == "NovelAI generated image"


def _bare(said: Said) -> Mapping[str, object]:
    """The settings without what usually stands around them."""
    return said.having("v4_prompt", "sampler") or said.having("uc", "sampler", "seed", "scale", "n_samples")


def _side(prompt: object) -> str:
    """A V4 prompt as text: the picture's caption, then those of its characters, a line each."""
    caption = table(table(prompt).get("caption"))
    return "\n".join(filter(None, (text(caption.get("base_caption")), *_characters(caption))))


def _characters(caption: Mapping[str, object]) -> Iterator[str]:
    return (text(table(one).get("char_caption")) for one in items(caption.get("char_captions")))
