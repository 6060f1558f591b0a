"""From folders to a detector: read, split, train, test, write."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.torch import save

from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.paths import inside
from ...models.own_files import NAME
from ...models.realism.format import CLASS, Description
from ...models.realism.realism import FOLDER
from .loop import Progress, Training, TrainingData, logits_of
from .pixels import DecodedPictures, decoded_pictures
from .probe import features_of, fit_realism_probe
from .recipe import MARGIN, DetectorPreset
from .result import Tested, course_summary, json_number, metrics
from .split import Split, split
from .start import fresh_net
from .warnings import warnings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ...core.weights.store import WeightStore


@dataclass(frozen=True)
class TrainingJob:
    """What to train."""

    name: str
    folders: Mapping[str, Sequence[Path]]
    """By class, in the order of the detector's labels."""
    preset: DetectorPreset
    seed: int = 0
    force: bool = False
    """Train even if classes share files; those are then left out."""
    device: str = "cpu"
    threads: int = 4


@dataclass(frozen=True)
class TrainingWatcher:
    """Receives the progress. Any of these may raise to stop."""

    reading: Callable[[int, int], None] = lambda _done, _total: None
    training: Callable[[Progress, float], None] = lambda _progress, _share: None
    """The progress, and the share of images used (1 without a sweep)."""
    features: Callable[[int, int], None] = lambda _done, _total: None
    say: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class TrainedDetector:
    """The outcome of one training, tested."""

    share: float
    """The share of all images used for training and validation."""
    images: int
    """How many images it was trained on."""
    tested: Tested
    training: Mapping[str, Any]
    """The course of the training, as in the file."""
    tensors: Mapping[str, Tensor]
    train_accuracy: float
    """The kept net's accuracy on the training images, not augmented."""


@dataclass(frozen=True)
class PreparedTraining:
    """Images read and split, before any training."""

    job: TrainingJob
    pictures: DecodedPictures
    split: Split
    warnings: Sequence[str]

    @property
    def labels(self) -> NDArray[np.int64]:
        """[N]: the class of each image, as a position."""
        return np.array([sample.label for sample in self.pictures.collected.samples], dtype=np.int64)


def check_names(job: TrainingJob) -> None:
    """Refuses names that a gate could not express or a file could not have. Raises KeepersError."""
    if not NAME.fullmatch(job.name):
        raise KeepersError(f"A detector's name may contain only letters, digits, - and _: {job.name!r} does not fit.")
    for name in job.folders:
        if not CLASS.fullmatch(name):
            raise KeepersError(f"A class name may not contain quotes, backslashes or control characters: {name!r}.")


def prepare(job: TrainingJob, work: Path, watcher: TrainingWatcher) -> PreparedTraining:
    """Reads all images, or reuses what an earlier run read. Raises KeepersError for images that do not suffice."""
    check_names(job)
    preset = job.preset
    margin = MARGIN if preset.recipe.augment != "none" and preset.shape.kind != "probe" else 0
    found = decoded_pictures(
        job.folders,
        preset.window,
        margin,
        work,
        force=job.force,
        progress=watcher.reading,
        threads=job.threads,
    )
    parts = split(found.collected, seed=job.seed)
    return PreparedTraining(job, found, parts, warnings(found.collected, parts, preset.window.size))


def train_detector(
    prepared: PreparedTraining, work: Path, store: WeightStore, watcher: TrainingWatcher, share: float = 1.0
) -> TrainedDetector:
    """Trains on a share of all images, and tests on the images that no training sees.

    Resumes where an interrupted call left off. Raises whatever the watcher raises, and KeepersError.
    """
    parts = prepared.split if share >= 1 else prepared.split.portion(prepared.pictures.collected, share)
    if prepared.job.preset.shape.kind == "probe":
        return _train_probe(prepared, parts, work, store, watcher, share)
    return _train_net(prepared, parts, work, store, watcher, share)


def _train_net(
    prepared: PreparedTraining, parts: Split, work: Path, store: WeightStore, watcher: TrainingWatcher, share: float
) -> TrainedDetector:
    job, preset = prepared.job, prepared.job.preset
    classes = prepared.pictures.collected.classes
    net, start = fresh_net(preset, len(classes), job.seed, store)
    watcher.say(start)
    labels = prepared.labels
    data = TrainingData(
        prepared.pictures.pixels,
        labels,
        prepared.pictures.margin,
        preset.window,
        parts.train,
        parts.validation,
        len(classes),
    )
    training = Training(
        net,
        data,
        preset.recipe,
        seed=job.seed,
        device=job.device,
        checkpoint=work / f"checkpoint-{share:g}.safetensors",
        tell=lambda progress: watcher.training(progress, share),
    )
    course = training.run()
    answers = [
        logits_of(net, data, places, job.device)[:, : len(classes)].softmax(1).numpy()
        for places in (parts.test, parts.train)
    ]
    history = [{name: _short(value) for name, value in asdict(epoch).items()} for epoch in course.history]
    facts = {"start": start, "recipe": asdict(preset.recipe), **course_summary(history, course.best)}
    right = float(np.mean(answers[1].argmax(1) == labels[parts.train]))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    return TrainedDetector(
        share, len(parts.train), Tested(classes, labels[parts.test], answers[0]), facts, tensors, right
    )


def _train_probe(
    prepared: PreparedTraining, parts: Split, work: Path, store: WeightStore, watcher: TrainingWatcher, share: float
) -> TrainedDetector:
    from .probe_features import feature_reader

    job, preset = prepared.job, prepared.job.preset
    collected = prepared.pictures.collected
    read = feature_reader(preset.shape.base, store, job.device)
    key = hashlib.sha256("\n".join([preset.shape.base, *(s.content for s in collected.samples)]).encode()).hexdigest()
    found = features_of(
        collected.samples,
        read.features,
        work / f"features-{key[:16]}.bin",
        read.width,
        batch=read.batch,
        progress=watcher.features,
    )
    labels = prepared.labels
    probed = fit_realism_probe(found, labels, parts.train, parts.validation, len(collected.classes))
    answers = probed.probabilities(found)
    right = float(np.mean(answers[parts.train].argmax(1) == labels[parts.train]))
    facts = {"start": f"features of {preset.shape.base}", "strength": probed.strength, "epochs": 0, "history": []}
    tested = Tested(collected.classes, labels[parts.test], answers[parts.test])
    return TrainedDetector(share, len(parts.train), tested, {**facts, "width": read.width}, probed.tensors(), right)


def describe_detector(prepared: PreparedTraining, outcome: TrainedDetector) -> Description:
    """The description that the detector's file carries."""
    job, collected = prepared.job, prepared.pictures.collected
    shape = job.preset.shape
    if shape.kind == "probe":
        shape = replace(shape, width=outcome.training["width"])
    parts = prepared.split
    data = {
        "images": len(collected.samples),
        "by_class": dict(zip(collected.classes, collected.counts(), strict=True)),
        "train": outcome.images,
        "validation": len(parts.validation),
        "test": len(parts.test),
        "groups": parts.groups,
        "seed": job.seed,
        "preset": job.preset.name,
        "train_accuracy": json_number(outcome.train_accuracy),
        "test_images": hashlib.sha256(
            "".join(sorted(collected.samples[place].content for place in parts.test)).encode()
        ).hexdigest(),
    }
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    training = {**data, **outcome.training, "warnings": list(prepared.warnings)}
    return Description(collected.classes, shape, job.preset.window, when, training, metrics(outcome.tested))


def write_detector(folder: Path, name: str, described: Description, outcome: TrainedDetector) -> Path:
    """Writes <folder>/realism/<name>.safetensors and returns its path. Raises OutsideFolder, WriteFailed."""
    path = inside(folder, f"{FOLDER}/{name}.safetensors")
    atomic_write(path, save(dict(outcome.tensors), metadata=described.metadata()))
    return path


def write_metrics(path: Path, described: Description) -> None:
    """Writes the description of a detector's file as JSON. Raises WriteFailed."""
    atomic_write(path, json.dumps(asdict(described), indent=2, ensure_ascii=False).encode())


def _short(value: float) -> float | None:
    return json_number(float(value))
