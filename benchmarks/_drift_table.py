"""What `drift` measured: a table by model and group of labels, and how many images the presets ask again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keepers.core.gates.gate import Gate
from keepers.core.prediction import Labels, Prediction, argmax_label
from keepers.models import aesthetic, arniqa, coherence, jtp, siglip_vector
from keepers.models.faramir.labels import CLASSES, LABELS, name
from keepers.models.presets import PRESETS
from keepers.models.realism.realism import FAST_DRIFT, PROBE_DRIFT
from keepers.models.signals.signals import LABELS as SIGNALS

Values = NDArray[np.float64]
"""[pictures, heads, 2 (exact, fast), labels]"""

SPREAD = 2.0
"""Standard deviation of the logits of a random convolutional net, over all pictures and labels of a head."""
TOWER_SPREAD = 1.0
"""The same for heads on a random tower, whose vectors tell pictures apart less than those of a trained one."""
SCORE_SPREAD = {"aesthetic": 1.0, "arniqa": 0.15}
"""The same for scores, in their unit."""
ACCEPT = LABELS.index("accept logit")
LOGITS = [LABELS.index(f"{label} logit") for label in CLASSES]


class Group(NamedTuple):
    """A group of labels with its values, and what is stated."""

    model: str
    group: str
    stated: float
    values: Values


def read(folder: Path) -> Mapping[str, Values]:
    """All pictures' results, by model."""
    found: dict[str, list[Values]] = {}
    for path in sorted(folder.glob("[0-9]*.npz")):
        if not path.name.endswith(".part.npz"):
            with np.load(path) as opened:
                for model in opened.files:
                    found.setdefault(model, []).append(opened[model].astype(np.float64))
    return {model: np.stack(values) for model, values in found.items()}


def scaled(values: Values, spread: float) -> Values:
    """Each head's values centred label by label, and scaled as a whole."""
    centred = values - values[:, :, :1].mean(0)
    deviation = np.sqrt((centred[:, :, 0] ** 2).mean((0, 2)))
    return centred * (spread / deviation)[None, :, None, None]


def sigmoid(logits: Values) -> Values:
    """Probabilities."""
    return 1 / (1 + np.exp(-logits))


def softmax(logits: Values) -> Values:
    """Probabilities that add up to 1."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def stated(labels: Labels, group: str = "") -> float:
    """What a model's labels state of a group."""
    return dict(labels.drifts)[group]


def convolutional(found: Mapping[str, Values]) -> Iterator[Group]:
    """The groups of the models that look at pictures with convolutions."""
    yield Group("coherence", "all", stated(coherence.CLASSES), softmax(scaled(found["coherence"], SPREAD)))
    yield Group("realism", "all", FAST_DRIFT, softmax(scaled(found["realism"], SPREAD)))
    yield Group("arniqa", "score", stated(arniqa.LABELS), scaled(found["arniqa"], SCORE_SPREAD["arniqa"]))


def towering(found: Mapping[str, Values]) -> Iterator[Group]:
    """The groups of the models over SigLIP's tower."""
    faramir, score = found["faramir"], found["aesthetic"]
    accept, classes = (sigmoid(scaled(faramir[..., which], TOWER_SPREAD)) for which in ([ACCEPT], LOGITS))
    yield Group("faramir", "decision", stated(LABELS, "decision"), accept)
    yield Group("faramir", "accept", stated(LABELS, "accept"), classes[..., :9])
    yield Group("faramir", "reject", stated(LABELS, "reject"), classes[..., 9:])
    own = scaled(faramir[..., -1:], SCORE_SPREAD["aesthetic"])
    yield Group("faramir", "aesthetic", stated(LABELS, "aesthetic"), own)
    yield Group("aesthetic", "score", stated(aesthetic.LABELS), scaled(score, SCORE_SPREAD["aesthetic"]))
    act, gate = np.split(scaled(found["jtp"].reshape(len(score), 1, 2, -1), TOWER_SPREAD), 2, axis=-1)
    yield Group("jtp:pilot", "tags", dict(jtp.DRIFTS)[""], sigmoid(act - 3))
    yield Group("jtp:pilot2", "tags", dict(jtp.DRIFTS)[""], sigmoid(act) * sigmoid(gate))
    vectors = found["siglip"].reshape(len(score), 1, 2, -1)
    yield Group("siglip", "input", stated(siglip_vector.vector_labels(), siglip_vector.GROUP), vectors)
    spread = vectors[:, :, :1].std(0)
    weights = np.random.RandomState(0).standard_normal((vectors.shape[-1], 100))
    probes = (vectors / np.maximum(spread, 1e-9)) @ weights
    yield Group("realism", "probe", PROBE_DRIFT, sigmoid(scaled(probes, TOWER_SPREAD)))


def show(work: Path) -> None:
    """Print the tables of what a folder holds by now."""
    for folder, groups in (("convolutions", convolutional), ("tower", towering), ("outlying", towering)):
        found = read(work / folder)
        if found:
            print(f"{folder}: {len(next(iter(found.values())))} pictures")
            print("model       group       worst    99.9 %   stated  stated / worst")
            for one in groups(found):
                _line(one)
    for folder in sorted(work.glob("published-*")):
        show_published(read(folder))
    show_presets(read(work / "convolutions"), read(work / "tower"))


def show_published(found: Mapping[str, Values]) -> None:
    """Print the groups of a model that was measured with its published files: those that have bounds."""
    for model, values in found.items():
        labels = {**KNOWN, "jtp": jtp.built_in_labels()}[model]
        for group in dict.fromkeys(labels.groups or ("",)):
            members = [at for at in labels.members(group) if np.isfinite(labels.drift(at))]
            if members:
                _line(Group(model, group or "all", labels.drift(members[0]), values[..., members]))


KNOWN: Mapping[str, Labels] = {
    "coherence": coherence.CLASSES,
    "aesthetic": aesthetic.LABELS,
    "arniqa": arniqa.LABELS,
    "faramir": LABELS,
    "siglip": siglip_vector.vector_labels(),
}


def _line(one: Group) -> None:
    off = np.abs(one.values[:, :, 0] - one.values[:, :, 1])
    worst, most = float(off.max()), float(np.quantile(off, 0.999))
    ratio = one.stated / max(worst, 1e-9)
    print(f"{one.model:11} {one.group:10} {worst:.4f}   {most:.4f}   {one.stated:.3f}   {ratio:.1f}")


def show_presets(nets: Mapping[str, Values], towers: Mapping[str, Values]) -> None:
    """Print the share of images that the presets ask again at `exact`, and verdicts that would differ otherwise."""
    if not nets or not towers:
        return
    classes = softmax(scaled(nets["coherence"], SPREAD))
    faramir = towers["faramir"].copy()
    faramir[..., 0] = sigmoid(scaled(faramir[..., [ACCEPT]], TOWER_SPREAD))[..., 0]
    cases = [
        [_answers(classes[picture, head, at], faramir[picture, head, at], at) for at in (0, 1)]
        for picture in range(min(len(classes), len(faramir)))
        for head in range(classes.shape[1])
    ]
    print(f"presets over {len(cases)} random answers (which say little about real ones)")
    print("preset      asked again  differ without")
    for preset in PRESETS.values():
        gate = Gate.parse(preset.gate)
        again = sum(gate.decide(fast).verdict is None for _, fast in cases)
        blind = [{model: _exactly(one) for model, one in fast.items()} for _, fast in cases]
        wrong = sum(
            gate.decide(exact).closed().outcome != gate.decide(other).closed().outcome
            for (exact, _), other in zip(cases, blind, strict=True)
        )
        print(f"{preset.name:12} {again / len(cases):9.1%}  {wrong / len(cases):9.2%}")


def _answers(classes: NDArray[np.float64], faramir: NDArray[np.float64], tolerance: int) -> dict[str, Prediction]:
    seen, judged = classes.astype(np.float32), faramir.astype(np.float32)
    return {
        "signals": Prediction("signals", SIGNALS, np.zeros(len(SIGNALS), np.float32), "ok"),
        "coherence": Prediction(
            "coherence", coherence.CLASSES, seen, *argmax_label(coherence.CLASSES, seen), tolerance
        ),
        "faramir": Prediction("faramir", LABELS, judged, *name(judged), tolerance),
    }


def _exactly(prediction: Prediction) -> Prediction:
    return replace(prediction, tolerance=0.0)
