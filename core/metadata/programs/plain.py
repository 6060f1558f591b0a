"""Programs without a form of their own: a text for each setting, or one JSON object, under the usual names."""

from __future__ import annotations

from collections.abc import Mapping

from ..generation import Generation, stated
from ..said import Said
from ..values import plain_settings, text

_PROMPT = ("prompt", "positive_prompt", "positiveprompt", "positive")
_NEGATIVE = ("negative_prompt", "negativeprompt", "negative", "uc")
_SAMPLER = ("sampler", "sampler_name", "samplername")
_STEPS = ("steps", "num_inference_steps", "num_steps")
_CFG = ("cfg", "cfg_scale", "cfgscale", "guidance_scale", "guidance", "scale")
_MODEL = ("model", "model_name", "checkpoint", "base_model", "ckpt_name")


def read_plain(said: Said) -> Generation | None:
    """The first of the texts and objects that has a prompt in words."""
    return next(filter(None, map(_from, (said.texts, *said.objects.values()))), None)


def _from(data: Mapping[str, object]) -> Generation | None:
    named = {key.strip().lower().replace(" ", "_"): value for key, value in reversed(list(data.items()))}

    def get(names: tuple[str, ...]) -> object:
        return next((named[name] for name in names if name in named), None)

    prompt = text(get(_PROMPT))
    if not prompt or prompt[0] in "{[":
        return None
    return stated(
        "other",
        positive=prompt,
        negative=get(_NEGATIVE),
        seed=get(("seed", "noise_seed")),
        sampler=get(_SAMPLER),
        scheduler=get(("scheduler",)),
        steps=get(_STEPS),
        cfg=get(_CFG),
        model=get(_MODEL),
        width=get(("width",)),
        height=get(("height",)),
        settings=plain_settings(data),
    )
