"""The linear probe of a detector."""

from __future__ import annotations

import numpy as np
import torch

from keepers.train.realism.probe import fit_realism_probe


def test_a_probe_finds_what_is_linear_and_nothing_else() -> None:
    random = np.random.RandomState(0)
    features = random.randn(1200, 20).astype(np.float32)
    labels = (features[:, 3] + 0.5 * features[:, 7] > 0).astype(np.int64)
    train, validation, test = np.split(np.arange(1200), [800, 1000])
    probed = fit_realism_probe(features, labels, train, validation, 2)
    found = probed.probabilities(features)[test]
    assert (found.argmax(1) == labels[test]).mean() >= 0.95
    assert np.allclose(found.sum(1), 1, atol=1e-6)
    shuffled = random.randint(0, 2, 1200)
    chance = (
        fit_realism_probe(features, shuffled, train, validation, 2).probabilities(features)[test].argmax(1)
        == shuffled[test]
    )
    assert 0.38 < chance.mean() < 0.62
    assert torch.equal(fit_realism_probe(features, labels, train, validation, 2).weight, probed.weight)
