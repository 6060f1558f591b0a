"""Which stored predictions serve a judge: where it computes exactly, only exact ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.prediction import Answers, Prediction
from ..core.runtime import Runtime
from .store import Store

Predictions = dict[str, dict[str, Prediction]]
"""By content, by model id."""


def recall(store: Store, runtime: Runtime, contents: Iterable[str], fingerprints: Mapping[str, str]) -> Predictions:
    """The stored predictions of images that a judge with this runtime need not make again. Raises StoreError.

    Whether "auto" means exact is asked only where a prediction of limited precision is found, since only torch knows.
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
