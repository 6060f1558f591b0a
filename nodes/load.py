"""The node Load Keepers: loads images that pass a gate, with the captions and scores that Save Keepers wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from PIL import Image, ImageOps

from ..core.captions.sidecar import read_caption, sidecar_path
from ..core.errors import KeepersError, UnreadableImage
from ..core.gates.gate import Gate, not_judged
from ..core.gates.unjudged import flawed
from ..core.judging.case import Subject
from ..core.metadata.prompt_text import clean_prompt
from ..core.metadata.read import read_generation
from ..core.metadata.record import Record
from ..core.metadata.write import read_record
from ..core.paths import inside
from ..core.pictures.open import open_image
from ..core.pictures.walk import Found, Search, walk
from ..core.prediction import Labels, Prediction
from ..models.registry import REGISTRY
from .host import host
from .host.api import BLOCKED, ScoresSocket, io
from .judging.inputs import list_schema, machine_inputs, one, report_output, run_options, switch, text_area
from .judging.judging import JudgingNode, judge_subjects
from .judging.refusals import refusal
from .judging.scores import Scored, Scores, report, summary

OUTPUT, INPUT = "output", "input"


class KeepersLoad(JudgingNode):
    """Reads scores back from the images; only models without saved scores are asked."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return list_schema(
            "KeepersLoad",
            "Load Keepers",
            "Loads the images of a folder that a gate lets through, by the scores that Save Keepers wrote "
            "into them, with their captions.",
            inputs=[
                io.Combo.Input("place", options=[OUTPUT, INPUT], default=OUTPUT, tooltip="ComfyUI's output or input."),
                io.String.Input("folder", default="keepers", tooltip="The folder in it."),
                switch("subfolders", "Also look into subfolders, such as review and rejected."),
                text_area(
                    "gate",
                    "which images; empty: those that were accepted when they were saved",
                    "A gate, as in Gate. Scores in the files are used; a model whose scores a file lacks is asked. "
                    "Empty: the saved verdicts decide, and images without one count as accepted.",
                ),
                io.Int.Input("most", default=0, min=0, max=100000, tooltip="The most images to load; 0: all."),
                *machine_inputs(),
            ],
            outputs=[
                io.Image.Output("images", is_output_list=True, tooltip="One by one, as they may differ in size."),
                io.String.Output(
                    "captions",
                    is_output_list=True,
                    tooltip="From the caption files, else the images: Keepers' own, or the prompt.",
                ),
                ScoresSocket.Output("scores", tooltip="Scores of these images, for Gate and Save Keepers."),
                io.String.Output("files", is_output_list=True, tooltip="Their files, below the chosen place."),
                io.Int.Output("count", tooltip="How many images."),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(cls, gate: Any = ("",), place: Any = (None,), folder: Any = (None,)) -> bool | str:
        """Refuse a wrong gate or folder before anything runs."""
        try:
            if one(place) is not None and one(folder) is not None:
                _folder(one(place), one(folder))
        except KeepersError as error:
            return str(error)
        return refusal("signals", one(gate), download=None, known=True) or True

    @classmethod
    def fingerprint_inputs(
        cls, place: Any = (None,), folder: Any = (None,), subfolders: Any = (False,), **_others: Any
    ) -> str:
        """Changes whenever a file in the folder does, so that new images are loaded."""
        if one(place) is None or one(folder) is None:
            return ""
        found = _files(one(place), one(folder), bool(one(subfolders)))
        state = "\n".join(f"{each.path} {each.size} {each.mtime_ns}" for each in found)
        return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()

    @classmethod
    def execute(
        cls,
        place: list[str],
        folder: list[str],
        subfolders: list[bool],
        gate: list[str],
        most: list[int],
        **machine: list[Any],
    ) -> io.NodeOutput:
        """Load what the gate lets through."""
        files = [each.path for each in _files(one(place), one(folder), one(subfolders))]
        records = [_record(path) for path in files]
        scores = _scores(files, records, one(gate), run_options(**machine))
        passed = [number for number, each in enumerate(scores.images) if each.outcome == "accept"]
        passed = passed[: one(most)] if one(most) else passed
        host.say(summary(scores), cls.hidden.unique_id)
        root = _root(one(place))
        kept = Scores(tuple(scores.images[number] for number in passed))
        return io.NodeOutput(
            [_tensor(files[number]) for number in passed] or [BLOCKED],
            [_caption(files[number], records[number]) for number in passed] or [BLOCKED],
            kept if passed else BLOCKED,
            [files[number].relative_to(root).as_posix() for number in passed] or [BLOCKED],
            len(passed),
            report(scores),
        )


def _root(place: str) -> Path:
    folder = folder_paths.get_input_directory() if place == INPUT else folder_paths.get_output_directory()
    return Path(folder).resolve()


def _folder(place: str, folder: str) -> Path:
    """Raises OutsideFolder."""
    root = _root(place)
    return root if folder.strip() in ("", ".") else inside(root, folder.strip())


def _files(place: str, folder: str, subfolders: bool) -> list[Found]:
    found = walk([_folder(place, folder)], Search(recursive=subfolders))
    return [each for each in found if isinstance(each, Found)]


def _record(path: Path) -> Record | None:
    try:
        return read_record(path)
    except UnreadableImage:
        return None  # the judge opens the file as well, and reports what is wrong with it


def _scores(files: list[Path], records: list[Record | None], text: str, how: host.RunOptions) -> Scores:
    if not text.strip():
        return Scores(tuple(_saved(path, record) for path, record in zip(files, records, strict=True)))
    gate = Gate.parse(text)
    given = [
        Subject(open=lambda path=path: open_image(path), known=remembered(record, gate), name=path.name)
        for path, record in zip(files, records, strict=True)
    ]
    return judge_subjects(given, gate, how)


def _saved(path: Path, record: Record | None) -> Scored:
    """The verdict saved with the image; a file that is no image goes to review."""
    try:
        open_image(path)
    except UnreadableImage as error:
        return Scored(flaw=str(error), verdict=not_judged(flawed(str(error), error.code)))
    if record is None:
        return Scored()
    return Scored(remembered(record, Gate.parse("")), verdict=record.given, gate=record.gate)


def remembered(record: Record | None, gate: Gate) -> dict[str, Prediction]:
    """A record's predictions, for the models whose every number that the gate asks for is in it."""
    found: dict[str, Prediction] = {}
    for model, row in (record.scores if record else {}).items():
        if all(value.label in row for value in gate.values if value.model == model):
            found[model] = _prediction(model, row, record.labels.get(model, "") if record else "")
    return found


def _prediction(model: str, row: Mapping[str, float], word: str) -> Prediction:
    """With the model's own labels if they are known; values that were not saved are NaN."""
    try:
        spec = REGISTRY.spec(model, host.store())
        labels = spec.labels() if spec.labels else None
    except KeepersError:
        labels = None
    if labels is None or not set(row) <= set(labels.names):
        labels = Labels(tuple(row))
    values = np.array([row.get(name, np.nan) for name in labels.names], dtype=np.float32)
    return replace(Prediction(model, labels, values), label=word)


def _tensor(path: Path) -> torch.Tensor:
    """[1, H, W, 3] in [0, 1], as ComfyUI's Load Image gives it."""
    picture: Image.Image = ImageOps.exif_transpose(open_image(path)).convert("RGB")
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[None]


def _caption(path: Path, record: Record | None) -> str:
    for ending in (".txt", ".caption"):
        text = read_caption(sidecar_path(path, ending))
        if text is not None:
            return text.strip()
    if record and record.caption:
        return record.caption
    try:
        return clean_prompt(read_generation(path).positive)
    except UnreadableImage:
        return ""  # it is for review already
