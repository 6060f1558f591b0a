"""FARAMIR and the aesthetic predictor beside their originals at full width, on the same random weights.

Needs FARAMIR_DIR (a checkout) and FARAMIR_PYTHON (an interpreter with Pillow below 12, timm and torch); for the
aesthetic predictor also AESTHETIC_DIR, and transformers in that interpreter. It takes minutes and 4 GB.
FARAMIR_WORK names a folder where the originals' answers and the weights are kept from run to run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keepers.core.judging.classifier import Classifier
from keepers.core.pictures.open import open_image
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec, Precision
from keepers.core.weights.store import WeightStore
from keepers.models import aesthetic
from keepers.models.faramir import faramir, labels
from keepers.models.faramir.labels import CLASSES

HERE = Path(__file__).parent
PYTHON = os.environ.get("FARAMIR_PYTHON", "")
FARAMIR = os.environ.get("FARAMIR_DIR", "")
AESTHETIC = os.environ.get("AESTHETIC_DIR", "")
CHANGED = ("rgb-37x900.png",)
"""Pillow 13 scales this shape otherwise than the original's Pillow."""

pytestmark = pytest.mark.parity
needs_faramir = pytest.mark.skipif(not (PYTHON and FARAMIR), reason="FARAMIR_DIR and FARAMIR_PYTHON are not set")
needs_aesthetic = pytest.mark.skipif(not AESTHETIC, reason="AESTHETIC_DIR is not set")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/, weights/ and original.npz."""
    named = os.environ.get("FARAMIR_WORK", "")
    work = Path(named) if named else tmp_path_factory.mktemp("faramir")
    if not (work / "original.npz").exists():
        run(
            "faramir_original.py",
            FARAMIR,
            work / "original.npz",
            "--pictures",
            work / "pictures",
            "--weights",
            work / "weights",
        )
    return work


def run(script: str, *arguments: object) -> None:
    subprocess.run([PYTHON, HERE / script, *map(str, arguments)], check=True)


def load(spec: ModelSpec, work: Path, precision: Precision = "exact") -> Classifier:
    return Classifier.load(spec, WeightStore([work / "weights"]), Runtime(device="cpu"), precision)


@needs_faramir
def test_all_values_within_a_ten_thousandth(work: Path) -> None:
    model = load(faramir.SPEC, work)
    with np.load(work / "original.npz") as original:
        assert len(original) >= 20
        worst = {name: compare(model, work, name, original[name]) for name in original if name not in CHANGED}
    print(worst)
    assert max(worst.values()) <= 1e-4, worst


def compare(model: Classifier, work: Path, name: str, wanted: np.ndarray) -> float:
    """The largest difference in the probability of acceptance and in all class logits, raw and gated."""
    found = model.classify([open_image(work / "pictures" / name)])[0]
    values, logit, raw, gate, score = np.split(wanted, (30, 31, 61, 91))
    accept = 1 / (1 + np.exp(-float(logit[0])))
    if abs(accept - 0.5) > 1e-4:
        start, stop = (0, 9) if accept > 0.5 else (9, 30)
        assert found.label == CLASSES[start + int(values[start:stop].argmax())], name
    differences = [abs(found["accept"] - accept), abs(found[labels.AESTHETIC] - float(score[0]))]
    for ending, theirs in (("logit", values), ("raw", raw), ("gate", gate)):
        differences += [abs(found[f"{label} {ending}"] - value) for label, value in zip(CLASSES, theirs, strict=True)]
    return float(max(differences))


@needs_faramir
def test_fast_changes_no_verdict_outside_its_tolerance(work: Path) -> None:
    model = load(faramir.SPEC, work, "fast")
    with np.load(work / "original.npz") as original:
        drifts = {}
        for name in [name for name in original if name not in CHANGED][:10]:
            accept = 1 / (1 + np.exp(-float(original[name][30])))
            drifts[name] = model.classify([open_image(work / "pictures" / name)])[0]["accept"] - accept
    print(drifts)
    assert max(map(abs, drifts.values())) <= dict(labels.DRIFTS)["decision"], drifts


@needs_faramir
@needs_aesthetic
def test_aesthetic_with_the_published_head(work: Path) -> None:
    head = Path(AESTHETIC) / "models" / "aesthetic_predictor_v2_5.pth"
    answers = work / "aesthetic.npz"
    if not answers.exists():
        run("aesthetic_original.py", AESTHETIC, answers, "--pictures", work / "pictures", "--head", head)
    store = WeightStore([work / "weights"], explicit={head.name: head})
    model = Classifier.load(aesthetic.SPEC, store, Runtime(device="cpu"), "exact")
    with np.load(answers) as original:
        for name in original:
            found = model.classify([open_image(work / "pictures" / name)])[0]
            print(name, found["score"], original[name])
            assert found["score"] == pytest.approx(float(original[name][0]), abs=1e-4), name
