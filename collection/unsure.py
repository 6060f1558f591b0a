"""Which images of a scan were judged by fast numbers, and how much further off these may be before that matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..core.gates.gate import Gate
from ..core.prediction import Answers, Prediction

TRIED = (2.0, 4.0, 8.0, 16.0)
"""The tolerances that are tried, as multiples of the stated drifts."""


class _Judged(NamedTuple):
    path: Path
    models: Sequence[str]
    """Those that gave fast numbers."""
    holds: float
    """Up to which tolerance of these numbers the verdict surely holds."""


class Unsure:
    """The images whose verdicts would no longer hold if a model's fast numbers turned out to be further off."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._judged: list[_Judged] = []
        self._models: dict[tuple[str, ...], tuple[str, ...]] = {}

    def remember(self, path: Path, answers: Answers) -> None:
        """Note how sure an image's verdict is. Nothing is kept of one that hangs on no fast number."""
        fast = {
            m: a for m, a in answers.items() if isinstance(a, Prediction) and a.tolerance and m in self._gate.models
        }
        if fast and (holds := self._holds(answers, fast)) < math.inf:
            models = tuple(fast)
            self._judged.append(_Judged(path, self._models.setdefault(models, models), holds))

    def _holds(self, answers: Answers, fast: Mapping[str, Prediction]) -> float:
        """The largest tolerance at which the gate still decides; infinite if it does at all that are tried."""
        holds = min(answer.tolerance for answer in fast.values())
        for tried in TRIED:
            wider = {m: replace(a, tolerance=max(a.tolerance, tried)) for m, a in fast.items()}
            if self._gate.decide({**answers, **wider}).verdict is None:
                return holds
            holds = max(holds, tried)
        return math.inf

    def taken_back(self, tolerances: Mapping[str, float]) -> list[Path]:
        """The images whose verdicts do not surely hold under these new tolerances; they are then forgotten."""
        unsure = [any(one.holds < tolerances.get(m, 0.0) for m in one.models) for one in self._judged]
        gone = [one.path for one, away in zip(self._judged, unsure, strict=True) if away]
        self._judged = [one for one, away in zip(self._judged, unsure, strict=True) if not away]
        return gone
