"""A stub of modules.processing: the loop over batches in the real order of hooks, saves and infotexts.

Written from the order that was recorded on a real Forge. Pictures do not come from a net: `p.paint(seed)` gives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from modules import images, scripts, shared
from PIL import Image


class Processing:
    """What the host calls `p`."""

    # Only there while a job runs, as in the host.
    iteration: int
    batch_index: int
    prompts: list[str]
    negative_prompts: list[str]
    seeds: list[int]
    subseeds: list[int]

    def __init__(self, runner: Any, arguments: tuple[Any, ...], paint: Callable[[int], Any], folder: str) -> None:
        self.scripts, self.script_args, self.paint = runner, (0, *arguments), paint
        self.prompt: Any = "a fox"
        self.negative_prompt = "blurry"
        self.main_prompt, self.main_negative_prompt = self.prompt, self.negative_prompt
        self.seed: Any = 100
        self.n_iter = 1
        self.batch_size = 1
        self.outpath_samples = f"{folder}/samples"
        self.outpath_grids = f"{folder}/grids"
        self.do_not_save_samples = False
        self.do_not_save_grid = False
        self.restore_faces = False
        self.enable_hr = False
        self.is_api = False
        self.paste_to = None
        self.mask: Any = None
        self.extra_generation_params: dict[str, Any] = {}
        self.extra_result_images: list[Any] = []
        self.comments: dict[str, int] = {}
        self.all_prompts: list[str] = []
        self.all_negative_prompts: list[str] = []
        self.all_seeds: list[int] = []
        self.all_subseeds: list[int] = []

    def save_samples(self) -> bool:
        """Whether this job's images are written."""
        return shared.opts.samples_save and not self.do_not_save_samples


class Processed:
    """The result of a job."""

    def __init__(
        self, p: Processing, pictures: list[Any], info: str = "", first: int = 0, infotexts: Any = None
    ) -> None:
        self.images, self.index_of_first_image, self.info = pictures, first, info
        self.extra_images = p.extra_result_images
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        self.all_prompts, self.all_negative_prompts = p.all_prompts, p.all_negative_prompts
        self.all_seeds, self.all_subseeds = p.all_seeds, p.all_subseeds
        self.extra_generation_params = p.extra_generation_params
        self.infotexts = infotexts or [info] * len(pictures)

    def js(self) -> str:
        """What an API request is answered."""
        told = {"infotexts": self.infotexts, "extra_generation_params": self.extra_generation_params}
        return json.dumps({**told, "all_seeds": self.all_seeds}, default=lambda _: None)


def quote(text: Any) -> str:
    """As the host's infotext_utils."""
    return json.dumps(str(text)) if any(mark in str(text) for mark in ",\n:") else str(text)


def create_infotext(
    p: Processing,
    all_prompts: list[str],
    all_seeds: list[int],
    all_subseeds: list[int],
    comments: Any = None,
    iteration: int = 0,
    position_in_batch: int = 0,
    use_main_prompt: bool = False,
    index: int | None = None,
    all_negative_prompts: Any = None,
) -> str:
    """As the host's: values may be callable(p=…, index=…, use_main_prompt=…, …)."""
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    prompt = p.main_prompt if use_main_prompt else all_prompts[index]
    params: dict[str, Any] = {"Steps": 1, "Seed": p.all_seeds[0] if use_main_prompt else all_seeds[index]}
    params.update(p.extra_generation_params)
    for key, value in params.items():
        if callable(value):
            params[key] = value(**locals())
    return f"{prompt}\n" + ", ".join(f"{k}: {quote(v)}" for k, v in params.items() if v is not None)


def process_images(p: Processing) -> Processed:
    """One job."""
    p.scripts.before_process(p)
    count = p.n_iter * p.batch_size
    prompts = p.prompt if isinstance(p.prompt, list) else [p.prompt] * count
    p.all_prompts, p.all_negative_prompts = list(prompts), [p.negative_prompt] * len(prompts)
    p.all_seeds = list(p.seed) if isinstance(p.seed, list) else [p.seed + k for k in range(len(prompts))]
    p.all_subseeds = [7 + k for k in range(len(prompts))]
    p.scripts.process(p)
    pictures, infotexts = _loop(p)
    if not infotexts:
        infotexts.append(create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds, index=0))
    first = _grid(p, pictures, infotexts)
    result = Processed(p, pictures, infotexts[0], first, infotexts)
    p.scripts.postprocess(p, result)
    return result


def _loop(p: Processing) -> tuple[list[Any], list[str]]:
    pictures: list[Any] = []
    infotexts: list[str] = []
    with torch.inference_mode():
        for n in range(p.n_iter):
            p.iteration = n
            shared.state.skipped = False
            if shared.state.interrupted or getattr(shared.state, "stopping_generation", False):  # since A1111 1.8
                break
            _slice(p, n)
            p.scripts.process_batch(p, batch_number=n, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds)
            samples = [_tensor(p.paint(seed)) for seed in p.seeds]
            if p.enable_hr and p.save_samples() and shared.opts.save_images_before_highres_fix:
                for k, sample in enumerate(samples):
                    _save(p, _picture(sample), k + n * p.batch_size, "-before-highres-fix", whole=True)
            given = scripts.PostprocessBatchListArgs(samples)
            p.scripts.postprocess_batch_list(p, given, batch_number=n)
            _finish(p, given.images, pictures, infotexts)
    return pictures, infotexts


def _slice(p: Processing, n: int) -> None:
    part = slice(n * p.batch_size, (n + 1) * p.batch_size)
    p.prompts, p.negative_prompts = p.all_prompts[part], p.all_negative_prompts[part]
    p.seeds, p.subseeds = p.all_seeds[part], p.all_subseeds[part]


def _finish(p: Processing, samples: list[Any], pictures: list[Any], infotexts: list[str]) -> None:
    save = p.save_samples()
    for i, sample in enumerate(samples):
        p.batch_index = i
        picture = _picture(sample)
        if p.restore_faces:
            if save and shared.opts.save_images_before_face_restoration:
                _save(p, picture, i, "-before-face-restoration")
            picture = picture.copy()
        given = scripts.PostprocessImageArgs(picture, i + p.iteration * p.batch_size)
        p.scripts.postprocess_image(p, given)
        given = scripts.PostprocessImageArgs(given.image, given.index)
        p.scripts.postprocess_image_after_composite(p, given)
        picture = given.image
        if save:
            _save(p, picture, i, "")
        text = _infotext(p, i)
        infotexts.append(text)
        picture.info["parameters"] = text
        pictures.append(picture)
        if p.mask is not None and shared.opts.save_mask and save:
            _save(p, p.mask, i, "-mask")
        if p.mask is not None and shared.opts.return_mask:
            pictures.append(p.mask.copy())


def _infotext(p: Processing, i: int) -> str:
    return create_infotext(p, p.prompts, p.seeds, p.subseeds, index=i, all_negative_prompts=p.negative_prompts)


def _save(p: Processing, picture: Any, i: int, suffix: str, whole: bool = False) -> None:
    seeds, prompts = (p.all_seeds, p.all_prompts) if whole else (p.seeds, p.prompts)
    info = create_infotext(p, prompts, seeds, p.subseeds, index=i)
    form = shared.opts.samples_format
    images.save_image(picture, p.outpath_samples, "", seeds[i], prompts[i], form, info=info, p=p, suffix=suffix)


def _grid(p: Processing, pictures: list[Any], infotexts: list[str]) -> int:
    opts = shared.opts
    if not (opts.return_grid or opts.grid_save) or p.do_not_save_grid:
        return 0
    if len(pictures) < 2 and opts.grid_only_if_multiple:
        return 0
    grid = images.image_grid(pictures, p.batch_size)
    text = create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds, use_main_prompt=True)
    if opts.return_grid:
        infotexts.insert(0, text)
        pictures.insert(0, grid)
    if opts.grid_save:
        images.save_image(grid, p.outpath_grids, "grid", p.all_seeds[0], p.all_prompts[0], info=text, p=p, grid=True)
    return 1 if opts.return_grid else 0


def _tensor(picture: Any) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.asarray(picture, dtype=np.float32) / 255, 2, 0).copy())


def _picture(sample: torch.Tensor) -> Any:
    return Image.fromarray((255.0 * np.moveaxis(sample.numpy(), 0, 2)).astype(np.uint8))
