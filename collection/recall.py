"""Which stored predictions a judge may use: only exact ones if it computes exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.prediction import Answers, Prediction
from ..core.runtime import Runtime
from .store import Store

Predictions = dict[str, dict[str, Prediction]]
"""By content, by model id."""


def recall(store: Store, runtime: Runtime, contents: Iterable[str], fingerprints: Mapping[str, str]) -> Predictions:
    """The stored predictions that a judge with this runtime need not make again. Raises StoreError.

    Only torch knows whether "auto" means exact, so it is asked only if a prediction of limited precision is found.
    """
    wanted = list(contents)
    exact = runtime.precision == "exact"
    found = store.predictions(wanted, fingerprints, exact=exact)
    if not exact and any(map(limited, found.values())) and runtime.own_precision() == "exact":
        return store.predictions(wanted, fingerprints, exact=True)
    return found


def limited(answers: Answers) -> bool:
    """Whether any of the numbers is not exact."""
    return any(isinstance(answer, Prediction) and answer.tolerance > 0 for answer in answers.values())
