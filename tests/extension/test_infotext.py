"""What an infotext says of a model's answer, whatever labels a gate names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from keepers.core.prediction import Answer, Failure, Labels, Prediction
from keepers.tests.extension.webui_stub import stubbed

Shown = Callable[[Answer, Sequence[str]], str]


@pytest.fixture
def shown() -> Iterator[Shown]:
    with stubbed():
        from keepers.extension.job.infotext import shown

        yield shown


def answer(label: str = "good", names: Sequence[str] = ("good", "bad")) -> Prediction:
    values = np.linspace(0.75, 0.0, len(names)).astype(np.float32)
    return Prediction("m", Labels(tuple(names)), values, label)


def test_a_label_that_the_model_lacks_is_left_out(shown: Shown) -> None:
    """A gate may name a label of another version of the model; the image is saved all the same."""
    assert shown(answer(), ["lost"]) == "good 0.75"
    assert shown(answer(), ["lost", "bad"]) == "good bad 0"
    assert shown(answer(), ["good"]) == "good 0.75"


def test_a_word_that_is_none_of_the_labels_stands_alone(shown: Shown) -> None:
    """The signals say "noise" of a picture, which is not the name of one of their numbers."""
    assert shown(answer("noise"), []) == "noise"
    assert shown(answer("noise"), ["bad"]) == "noise bad 0"


def test_without_a_word_the_highest_value_is_shown(shown: Shown) -> None:
    assert shown(answer(""), []) == "good 0.75"
    assert shown(answer("good", [*(f"tag{n}" for n in range(12)), "good"]), []) == "good"


def test_a_failure_is_named_by_its_code(shown: Shown) -> None:
    assert shown(Failure("m", "out_of_memory", "no room"), ["good"]) == "failed (out_of_memory)"
