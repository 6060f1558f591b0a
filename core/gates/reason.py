"""Explains an outcome to the user: "faramir.accept 0.31 < 0.50; degraded"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import one_line
from ..prediction import Answers, Prediction
from .tree import Leaf, Link, Number, Operand, Value, WordTest, models_in
from .truth import Reading, holds, read, word
from .unjudged import Unjudged

_SHOWN = 3
_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def why_decided(leaves: Iterable[Leaf], answers: Answers) -> str:
    """What the terms that decided found, then the one-word answers of the models whose numbers are shown."""
    chosen = list(dict.fromkeys(leaves))
    shown = chosen[:_SHOWN]
    text = _joined([_finding(leaf, answers) for leaf in shown], len(chosen) - len(shown))
    words = _words(shown, answers)
    return f"{text}; {words}" if words else text


def why_unjudged(unjudged: Iterable[Unjudged]) -> str:
    """What could not be judged, in one line."""
    reasons = list(dict.fromkeys(one.reason for one in unjudged))
    return _joined(reasons[:_SHOWN], len(reasons[_SHOWN:]))


def why_undecided(missing: Sequence[str], blurred: Sequence[str]) -> str:
    """Why the outcome stays open where models can be neither asked nor run again at `exact`."""
    if missing:
        return f"not asked about this image: {', '.join(missing)}"
    return f"too near a threshold to tell without a closer look: {', '.join(blurred)}"


def _joined(parts: Sequence[str], more: int) -> str:
    return " and ".join([*parts, f"{more} more"] if more else parts)


def _finding(leaf: Leaf, answers: Answers) -> str:
    return _test_finding(leaf, answers) if isinstance(leaf, WordTest) else _link_finding(leaf, answers)


def _test_finding(test: WordTest, answers: Answers) -> str:
    answer = str(word(test, answers))
    is_it = f"{test.model} is {_label(test.model, answers)}"
    return is_it if answer in test.names else f"{is_it}, not {one_line(' or '.join(test.names))}"


def _link_finding(link: Link, answers: Answers) -> str:
    left, right, sign = link.left, link.right, link.operator
    if isinstance(left, Number):
        left, right, sign = right, left, _MIRRORED[sign]
    a, b = read(left, answers), read(right, answers)
    assert isinstance(a, Reading) and isinstance(b, Reading), "only decided terms are explained"
    sign = sign if holds(sign, a.value, b.value) else _OPPOSITE[sign]
    first, second = _apart(a.value, b.value, right)
    other = f"{one_line(str(right))} " if isinstance(right, Value) else ""
    return f"{one_line(str(left))} {first} {sign} {other}{second}"


def _apart(a: float, b: float, right: Operand) -> tuple[str, str]:
    """Two numbers with two decimals, or more where the threshold has more or where they would look equal."""
    shown = right.value if isinstance(right, Number) else b
    if a == b:
        a = shown
    least = max(2, len(f"{shown:.9f}".rstrip("0").partition(".")[2])) if isinstance(right, Number) else 2
    for decimals in range(least, 10):
        first, second = _plain(a, decimals), _plain(shown, decimals)
        if a == shown or first != second:
            return first, second
    return f"{a:.9g}", f"{shown:.9g}"


def _plain(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if abs(value) < 1e6 else f"{value:.9g}"


def _words(leaves: Sequence[Leaf], answers: Answers) -> str:
    shown = {leaf.model for leaf in leaves if isinstance(leaf, WordTest)}
    models = dict.fromkeys(model for leaf in leaves for model in models_in(leaf) if model not in shown)
    words = {model: _label(model, answers) for model in models}
    found = {model: label for model, label in words.items() if label}
    if len(models) == 1:
        return "".join(found.values())
    return ", ".join(f"{model}: {label}" for model, label in found.items())


def _label(model: str, answers: Answers) -> str:
    """A model's word; a near-duplicate also names the image that is kept in its place."""
    answer = answers.get(model)
    if not isinstance(answer, Prediction):
        return ""
    return one_line(f"{answer.label} of {answer.twins.kept}" if answer.twins.kept else answer.label)
