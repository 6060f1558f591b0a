"""The named gates parse, fit the models, and treat flaws and failures as they say."""

from __future__ import annotations

import numpy as np
import pytest

from keepers.core.errors import UnknownName
from keepers.core.gates.gate import Gate
from keepers.core.prediction import Answer, Failure, Labels, Prediction
from keepers.models import coherence
from keepers.models.presets import PRESETS, preset
from keepers.models.registry import REGISTRY
from keepers.models.signals import signals

SIGNALS = signals.LABELS
COHERENCE = coherence.CLASSES
FARAMIR = Labels(("degraded", "clean", "accept"))


def signals_say(label: str) -> Prediction:
    values = np.zeros(len(SIGNALS), dtype=np.float32)
    values[SIGNALS.index("ok")] = label == "ok"
    return Prediction("signals", SIGNALS, values, label=label)


def coherence_says(label: str, sure: float = 0.9) -> Prediction:
    values = np.full(3, (1 - sure) / 2, dtype=np.float32)
    values[COHERENCE.index(label)] = sure
    return Prediction("coherence", COHERENCE, values, label=label)


def faramir_says(accept: float) -> Prediction:
    return Prediction("faramir", FARAMIR, np.array([0.1, 0.2, accept]), label="clean" if accept > 0.5 else "degraded")


def outcome(name: str, *answers: Answer) -> str:
    verdict = Gate.parse(preset(name).gate).decide({answer.model: answer for answer in answers}).verdict
    return verdict.outcome if verdict else "open"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_the_models(name: str) -> None:
    known = set(REGISTRY.ids())

    def labels_of(model: str) -> Labels | None:
        found = REGISTRY.spec(model).labels if model in known else None
        return found() if found else None

    found = preset(name)
    gate = Gate.parse(found.gate)
    gate.check(labels_of)
    assert gate.models[0] == "signals"
    assert set(gate.models) <= {"signals", "coherence", "faramir"}
    assert found.name == name
    assert found.summary.endswith(".")
    assert "\n" not in found.summary


def test_an_unknown_preset_names_close_ones() -> None:
    with pytest.raises(UnknownName, match="coherent"):
        preset("coherant")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("label", ["black", "noise", "tiled", "duplicate"])
def test_no_preset_accepts_a_flaw_and_none_asks_a_net_to_see_it(name: str, label: str) -> None:
    assert outcome(name, signals_say(label)) in ("review", "reject")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("model", ["signals", "coherence", "faramir"])
def test_a_failed_model_leads_to_review_in_every_preset_that_asks_it(name: str, model: str) -> None:
    answers: list[Answer] = [signals_say("ok"), coherence_says("coherent", 0.95), faramir_says(0.95)]
    assert outcome(name, *answers) == "accept"
    broken = [Failure(model, "model_failed", "out of memory") if one.model == model else one for one in answers]
    assert outcome(name, *broken) == ("review" if model in Gate.parse(preset(name).gate).models else "accept")


@pytest.mark.parametrize("name", ["coherent", "faramir", "flag"])
def test_semi_incoherent_goes_to_review_without_asking_faramir(name: str) -> None:
    assert outcome(name, signals_say("ok"), coherence_says("semi-incoherent")) == "review"


def test_incoherent_images_are_refused_without_asking_faramir() -> None:
    for name in ("coherent", "faramir", "strict", "dataset"):
        assert outcome(name, signals_say("ok"), coherence_says("incoherent")) == "reject", name


def test_the_doubtful_of_a_data_set_go_to_review() -> None:
    ok, coherent = signals_say("ok"), coherence_says("coherent")
    assert outcome("dataset", ok, coherent) == "open"
    assert outcome("dataset", ok, coherent, faramir_says(0.5)) == "review"
    assert outcome("dataset", ok, coherent, faramir_says(0.2)) == "reject"
