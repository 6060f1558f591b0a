"""A missing model is told with what really brings it: a download, or making it here."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepers.cli.not_judged import how_to_get
from keepers.core.errors import MissingWeights
from keepers.core.gates.unjudged import failed
from keepers.core.prediction import Failure
from keepers.core.weights.store import WeightStore
from keepers.models.registry import REGISTRY


@pytest.mark.parametrize(
    ("model", "told"), [("coherence", "keepers fetch coherence"), ("taste", "keepers tune taste"), ("arniqa", "arniqa")]
)
def test_a_model_that_is_made_here_is_not_to_be_fetched(model: str, told: str, tmp_path: Path) -> None:
    store = WeightStore([tmp_path])
    (file, *_) = REGISTRY.spec(model, store).weights
    with pytest.raises(MissingWeights) as caught:
        store.path(file, model=model)
    reason = failed(Failure(model, "missing_weights", str(caught.value))).reason
    hint = how_to_get(model, reason)
    assert told in hint and "could not be judged" not in hint
    assert hint == how_to_get(model, str(caught.value))
    assert ("keepers fetch" in hint) == (model != "taste")
