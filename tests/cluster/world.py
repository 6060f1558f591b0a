"""What the tests of scans on a cluster share: a folder with all kinds of images, tiny models, and a quiet watcher."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.cloudpickle
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from keepers.cluster.output.output import Output
from keepers.cluster.output.schema import ImageRow
from keepers.cluster.running.job import Sources
from keepers.cluster.running.task import Task, Weights
from keepers.collection.scan import Scan, Scanned
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import Labels, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, Derivation, ModelSpec, Network
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import Registry
from keepers.models.signals import signals
from keepers.tests import tiny

for module in (tiny, sys.modules[__name__]):
    ray.cloudpickle.register_pickle_by_value(module)  # workers cannot import the tests

GATE = """reject: signals.label in ("black", "blank", "solid", "noise")
review: signals.label in ("tiny", "tiled", "duplicate")
accept: cheap.good >= 0.45 and dear.good >= 0.4
review: cheap.good >= 0.4"""
"""Asks all three models, two of them only where it has to."""


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Smooth blots in colours of their own, with a little grain."""
    random = np.random.RandomState(seed)
    small = Image.fromarray(random.randint(0, 256, (6, 9, 3)).astype(np.uint8))
    grown = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    tint = random.randint(-90, 90, 3)
    return Image.fromarray((grown + tint + random.randint(-4, 5, grown.shape)).clip(0, 255).astype(np.uint8))


def make_images(folder: Path, count: int = 40) -> None:
    """Pictures with prompts, repeated ones, failed ones, and files that are none, in two folders."""
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        place = folder / ("more" if number % 3 else ".") / f"{number:04}.png"
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", f"a cat number {number}\nSteps: 20, Sampler: Euler, Seed: {number}, Size: 96x64")
        picture(number % (count - 6)).save(place, pnginfo=info)  # the last six repeat the first
    Image.new("RGB", (64, 64)).save(folder / "black.png")
    Image.new("RGB", (64, 64), "white").save(folder / "more" / "white.webp")
    Image.effect_noise((128, 128), 120).convert("RGB").save(folder / "noise.png")
    picture(900).convert("RGBA").save(folder / "alpha.png")
    picture(901).quantize(32).save(folder / "more" / "palette.gif")
    picture(902).convert("L").save(folder / "grey.jpg")
    picture(903, (12, 12)).save(folder / "tiny.png")
    whole = (folder / "0000.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "more" / "empty.png").write_bytes(b"")
    (folder / "words.jpg").write_text("no image")


class SlowNet(nn.Module):
    """Takes its time, and finds every picture good."""

    def forward(self, views: Tensor) -> Tensor:
        time.sleep(0.03 * len(views))
        return torch.tensor([[1.0, 0.0]]).repeat(len(views), 1)


def build_slow(given: Build) -> Network:
    given.path(SLOW_FILE)
    return Network(SlowNet(), tiny.LABELS, (tiny.VIEW,), lambda values: ("good", float(values[0])))


def build_placed(given: Build) -> Network:
    """Leaves a note on which node it was loaded, and in which process."""
    node = ray.get_runtime_context().get_node_id()
    given.path(SLOW_FILE).with_name(f"{PLACED}{node}-{os.getpid()}").touch()
    return build_slow(given)


class DeadlyNet(SlowNet):
    """Dies of black pictures, as a process does that has no memory left."""

    def forward(self, views: Tensor) -> Tensor:
        if any(view.max() == 0 for view in views):
            os._exit(1)
        return torch.tensor([[1.0, 0.0]]).repeat(len(views), 1)


def build_deadly(given: Build) -> Network:
    return replace(build_slow(given), module=DeadlyNet())


class CompanyNet(nn.Module):
    """Says of every picture where in which batch it stood: large nets do so in their last bits."""

    def forward(self, views: Tensor) -> Tensor:
        good = torch.arange(len(views)) / 64 + len(views) / 1024 + views.mean((1, 2, 3)) / 4
        return torch.stack([good, 1 - good], 1)


def build_company(given: Build) -> Network:
    given.path(SLOW_FILE)
    return Network(CompanyNet(), tiny.LABELS, (tiny.VIEW,), lambda _: ("", 1.0))


class WordsNet(nn.Module):
    """Tags that say how red, green and blue a picture is, dark or bright."""

    def forward(self, views: Tensor) -> Tensor:
        mean = views.mean((2, 3))
        return torch.cat([mean, 1 - mean], 1)


WORDS = Labels(("red", "green", "blue", "no_red", "no_green", "no_blue"))


def build_words(given: Build) -> Network:
    given.path(SLOW_FILE)
    return Network(WordsNet(), WORDS, (tiny.VIEW,), lambda _: ("", 1.0))


def build_half(given: Build) -> Network:
    """As `derive_half`, for who does not know what the base said."""
    whole = tiny_cheap(given)
    return replace(whole, module=nn.Sequential(whole.module, Half()))


class Half(nn.Module):
    """Halves what is good."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.stack([values[:, 0] / 2, 1 - values[:, 0] / 2], 1)


def tiny_cheap(given: Build) -> Network:
    return tiny.spec("cheap", 1, tiny.Work()).build(given)


def derive_half(given: Build) -> Derivation:
    """Reads nothing but what the cheap model said."""
    given.path(SLOW_FILE)
    name = partial(argmax_label, tiny.LABELS)
    return Derivation(tiny.LABELS, lambda good: np.array([good[0] / 2, 1 - good[0] / 2], np.float32), name)


SLOW_FILE = WeightFile(name="slow.safetensors", licence="none")
SLOW = ModelSpec("slow", "", "", "", "", build_slow, (SLOW_FILE,), cost=50, labels=lambda: tiny.LABELS)


def fetched(url: str) -> Registry:
    """A model whose file has to be downloaded."""
    file = WeightFile(name="fetched.safetensors", url=url, licence="none")

    def build(given: Build) -> Network:
        assert given.path(file).stat().st_size
        return Network(SlowNet(), tiny.LABELS, (tiny.VIEW,), lambda values: ("good", float(values[0])))

    return Registry(ModelSpec("fetched", "", "", "", "", build, (file,), cost=5, labels=lambda: tiny.LABELS))


@contextmanager
def file_server(files: Mapping[str, bytes]) -> Generator[tuple[str, list[str]]]:
    """Serves some files on this machine: its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = files.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class names it
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


PLACED = "placed-"
HALF = ModelSpec(
    *("half", "", "", "", "", build_half, (SLOW_FILE, *tiny.spec("cheap", 1, tiny.Work()).weights)),
    cost=10, labels=lambda: tiny.LABELS, base="cheap", derive=derive_half,
)  # fmt: skip
DEADLY = ModelSpec("deadly", "", "", "", "", build_deadly, (SLOW_FILE,), cost=0.001, labels=lambda: tiny.LABELS)
PLACE = ModelSpec("placed", "", "", "", "", build_placed, (SLOW_FILE,), cost=80, labels=lambda: tiny.LABELS)
COMPANY = ModelSpec("company", "", "", "", "", build_company, (SLOW_FILE,), cost=70, labels=lambda: tiny.LABELS)
TAGGER = ModelSpec("words", "", "", "", "", build_words, (SLOW_FILE,), cost=60, labels=lambda: WORDS, tags={"": 0.4})
SLOWLY = 'reject: signals.label in ("black", "blank", "solid", "noise")\naccept: slow.good >= 0.5'
"""A gate that takes long enough for something to happen meanwhile."""


def registry(folder: Path) -> Registry:
    """The two tiny models and the slow one, with their files in a folder, and the signals."""
    made = tiny.registry(tiny.Work(), folder)
    (folder / SLOW_FILE.name).write_bytes(b"")
    return Registry(
        signals.SPEC,
        SLOW,
        TAGGER,
        COMPANY,
        PLACE,
        DEADLY,
        HALF,
        *(made.spec(name, WeightStore([folder])) for name in ("cheap", "dear")),
    )


def task(models: Path, gate: str = GATE, **more: Any) -> Task:
    """The scan that is compared."""
    given = Task(gate, weights=Weights((models,)), device="cpu", precision="exact", batch=4, registry=registry(models))
    return replace(given, **more)


def plain(images: Path, models: Path, store: Store, gate: str = GATE, precision: Any = "exact") -> list[Scanned]:
    """The same scan here."""
    judge = Judge(registry(models), WeightStore([models]), Runtime("cpu", precision), batch=4)
    files = [entry for entry in walk([images.absolute()]) if isinstance(entry, Found)]
    scan = Scan(judge, Gate.parse(gate), store)
    return list(scan.run(scan.plan(files)))


@dataclass
class Watch:
    """Remembers what it was told."""

    phases: list[str] = field(default_factory=list[str])
    begun: tuple[int, int] = (0, 0)
    hidden: str = ""
    written: int = 0

    def phase(self, what: str) -> None:
        self.phases.append(what)

    def passed_by(self, told: str) -> None:
        self.hidden = told

    def listed(self, count: int) -> None:
        assert count > 0

    def begin(self, todo: int, skipped: int, pools: object) -> None:
        self.begun = (todo, skipped)

    def done(self, counts: Mapping[str, int]) -> None:
        self.written += sum(counts.values())


def image_rows(out: Path) -> dict[str, ImageRow]:
    """The rows of an output, by name; each name stands there once."""
    rows = list(Output.at(str(out)).image_rows())
    found = {row.item.name: row for row in rows}
    assert len(found) == len(rows), "an image stands there twice"
    return found


__all__ = ["GATE", "Sources", "Watch", "image_rows", "make_images", "picture", "plain", "registry", "task"]
