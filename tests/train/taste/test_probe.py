"""The linear probe: the right minimum, the right regularisation, and tastes that FARAMIR's numbers cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from keepers.core.prediction import Labels
from keepers.models import siglip_vector
from keepers.models.faramir import labels
from keepers.models.registry import REGISTRY
from keepers.models.taste import taste
from keepers.train.taste import probe as taste_probe
from keepers.train.taste.evidence import evidence
from keepers.train.taste.probe import fit_probe


def clusters(count: int, width: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Points whose side of a hidden plane is what is kept; a few directions carry most of the spread."""
    random = np.random.default_rng(seed)
    spread = np.r_[np.full(8, 3.0), np.full(width - 8, 0.3)]
    plane = np.random.default_rng(0).normal(size=width) / spread
    inputs = random.normal(size=(count, width)) * spread
    return inputs, inputs @ plane + 0.3 > 0


def test_newton_finds_the_minimum() -> None:
    inputs, keep = clusters(80, 12, 1)
    keep[:10] = ~keep[:10]
    for penalty in (0.01, 1.0, 100.0):
        found = taste_probe._newton(inputs, keep, penalty, np.zeros(13))  # pyright: ignore[reportPrivateUsage]
        said = 1 / (1 + np.exp(-(inputs @ found[:-1] + found[-1])))
        slope = inputs.T @ (said - keep) + penalty * found[:-1]
        assert np.abs(slope).max() < 1e-3
        assert abs((said - keep).sum()) < 1e-3


def test_separable_labels_end(recwarn: pytest.WarningsRecorder) -> None:
    inputs = np.r_[np.full((30, 2), 1.0), np.full((30, 2), -1.0)]
    keep = np.r_[np.ones(30, bool), np.zeros(30, bool)]
    found = fit_probe(inputs, keep)
    assert evidence(keep, found.held_out > 0.5).mcc.value == 1.0
    assert np.isfinite(found.weight).all() and not [one for one in recwarn if "overflow" in str(one.message)]


@pytest.mark.parametrize("width", [20, 500])
def test_a_hidden_plane_is_learned(width: int) -> None:
    inputs, keep = clusters(300, width, 1)
    found = fit_probe(inputs, keep)
    unseen, truth = clusters(1000, width, 2)
    said = unseen @ found.weight + found.bias > 0
    reached = evidence(truth, said).mcc.value
    assert reached > (0.85 if width == 20 else 0.3)
    assert evidence(keep, found.held_out > 0.5).mcc.value == pytest.approx(reached, abs=0.15), "the estimate is honest"


def test_probabilities_follow_from_weights() -> None:
    inputs, keep = clusters(100, 300, 3)
    found = fit_probe(inputs, keep)
    assert found.after == pytest.approx(1 / (1 + np.exp(-(inputs @ found.weight + found.bias))), abs=1e-9)


def test_random_labels_lead_to_the_strongest_penalties() -> None:
    inputs, _ = clusters(200, 50, 1)
    keep = np.random.default_rng(4).random(200) < 0.5
    found = fit_probe(inputs, keep)
    assert found.penalty >= 100
    assert evidence(keep, found.held_out > 0.5).mcc.low <= 0


def test_columns_that_never_vary_are_harmless() -> None:
    inputs, keep = clusters(100, 20, 1)
    inputs[:, 3] = 7.0
    inputs[:, 4] = 0.0
    found = fit_probe(inputs, keep)
    assert np.isfinite(found.weight).all() and evidence(keep, found.held_out > 0.5).mcc.value > 0.6


def test_what_a_probe_reads() -> None:
    columns = taste.columns_of("faramir", labels.LABELS)
    read = {labels.LABELS.names[index] for index in columns}
    assert "accept" not in read and {"text logit", "text raw", "text gate", "free 1"} <= read
    assert len(taste.columns_of("siglip", siglip_vector.vector_labels())) == 1152
    assert taste.columns_of("jtp", Labels(("a", "b"))) == [0, 1]
    assert all(REGISTRY.spec(base).id == base for base in taste.GROUPS)
