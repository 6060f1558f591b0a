"""What it costs that some images of a scan at `fast` are also computed exactly.

A net of matrix products that takes several times as long at `exact` (it multiplies more often) stands for one in
bfloat16. Both scans run in turn in one process; nothing is near a threshold, so that checks alone make the difference.
Times are those of the processor, so that other work on the machine counts little.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from time import process_time

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from keepers.collection.scan import window_of
from keepers.core.gates.gate import Gate
from keepers.core.judging import spot_checks
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.pictures.preprocess import Preprocess
from keepers.core.prediction import Labels, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights.store import WeightStore
from keepers.models.registry import Registry

IMAGES = 300
ROUNDS = 3
TIMES = (1, 2, 4, 8)
"""How many times as long as `fast` the exact net takes."""
WIDTH, PRODUCTS = 192, 24
"""Of the fast net: a few milliseconds an image on one core."""
BATCH = 8
LABELS = Labels(("good", "bad"), drifts=(("", 0.02),))
GATE = "accept: product.good >= 0.5"


class ProductNet(nn.Module):
    """Multiplies matrices, and finds every picture good."""

    def __init__(self, products: int) -> None:
        super().__init__()
        self.products = products
        self.weight = nn.Parameter(torch.eye(WIDTH))

    def forward(self, views: Tensor) -> Tensor:
        """[B, 2]."""
        rows = views.mean(1).flatten(1)[:, :WIDTH, None].expand(-1, -1, WIDTH)
        for _ in range(self.products):
            rows = rows @ self.weight
        return torch.tensor([[0.9, 0.1]]).repeat(len(views), 1) + 0 * rows.mean((1, 2))[:, None]


def product(times: int) -> ModelSpec:
    """A model whose exact net takes `times` as long as its fast one."""

    def build(given: Build) -> Network:
        fast = given.precision == "fast"
        net = ProductNet(PRODUCTS if fast else PRODUCTS * times)
        view, name = Preprocess(32, "squash", "bilinear"), partial(argmax_label, LABELS)
        return Network(net, LABELS, (view,), name, tolerance=1.0 if fast else 0.0)

    return ModelSpec("product", "", "", "", "", build, cost=1, labels=lambda: LABELS)


def pictures() -> list[Subject]:
    """Small pictures with contents of their own, of which exactly one in ONE_IN is checked."""
    random = np.random.RandomState(0)
    made = [Image.fromarray(random.randint(0, 256, (32, 32, 3)).astype(np.uint8)) for _ in range(IMAGES)]
    due = spot_checks.ONE_IN
    names = {checked: contents(checked) for checked in (False, True)}
    return [Subject(lambda one=one: one, content=next(names[n % due == due // 2])) for n, one in enumerate(made)]


def contents(checked: bool) -> Iterator[str]:
    """Contents that are checked, or that are not."""
    return (str(n) for n in itertools.count() if spot_checks.chosen(str(n).encode()) == checked)


def scan(judge: Judge, subjects: Sequence[Subject], one_in: int) -> float:
    """Seconds of the processor for all images, in the windows of a scan; one in so many is checked."""
    spot_checks.ONE_IN = one_in
    gate, window, start = Gate.parse(GATE), window_of(BATCH), process_time()
    for first in range(0, len(subjects), window):
        judge.judge(subjects[first : first + window], gate)
    return process_time() - start


def cost(subjects: Sequence[Subject], times: int) -> tuple[float, float]:
    """The measured ratio of exact to fast time of the net, and of a scan with checks to one without."""
    judge = Judge(Registry(product(times)), WeightStore([]), Runtime(device="cpu", precision="fast"), batch=BATCH)
    share = sum(spot_checks.chosen(one.content.encode()) for one in subjects)
    never, usual = 10**12, spot_checks.ONE_IN
    nets = []
    for precision in ("fast", "exact"):
        net = judge.classifier("product", precision)
        ready = [net.prepare(subjects[0].open())] * BATCH
        net.predict(ready)
        start = process_time()
        for _ in range(4):
            net.predict(ready)
        nets.append(process_time() - start)
    ratios = [scan(judge, subjects, usual) / scan(judge, subjects, never) for _ in range(ROUNDS)]
    spot_checks.ONE_IN = usual
    assert judge.checks.compared == share * ROUNDS and share, "other images were checked"
    return nets[1] / nets[0], statistics.median(ratios)


def main() -> None:
    """Print a line for each ratio of exact to fast."""
    subjects = pictures()
    share = sum(spot_checks.chosen(one.content.encode()) for one in subjects)
    print(f"{share} of {IMAGES} images are checked, in batches of {BATCH}, windows of {window_of(BATCH)}")
    for times in TIMES:
        nets, scans = cost(subjects, times)
        print(f"exact takes {nets:.1f} times fast: a scan with checks takes {scans:.3f} times one without")


if __name__ == "__main__":
    main()
