"""A regularised linear probe: logistic regression, solved by Newton's method, its regularisation cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .folds import FOLDS, folds

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

PENALTIES = tuple(float(10.0**power) for power in np.arange(-2.0, 4.01))
"""The penalties tried, weak to strong: lambda in the sum of losses + lambda / 2 * |w|^2, for inputs of spread 1."""
DIRECTIONS = 200
"""Inputs are reduced to so many directions of largest spread: a few hundred images can tell no more of them apart."""
NEWTON_STEPS = 25
CLOSE = 1e-6


@dataclass(frozen=True)
class TasteProbe:
    """A fitted probe, and what it says of images that it did not learn from."""

    weight: Values
    """[F], for the inputs as they were given."""
    bias: float
    length: float
    """The length of the weights for inputs of spread 1: how strongly the probe reacts to them."""
    held_out: Values
    """[n]: the probability that the probes which had not seen an image gave it."""
    after: Values
    """[n]: what the final probe gives each image."""
    penalty: float
    losses: Values
    """[penalties]: the held-out loss of each."""


def fit_probe(inputs: Values, keep: Bools, groups: Sequence[str] = (), seed: int = 0) -> TasteProbe:
    """Fit on all images, and beside it, fold by fold, on all but those held out.

    The penalty is chosen by the held-out loss; for the images of one fold, by that of the others alone, so that no
    image has a say in what is said of it. Inputs are [n, F], finite.
    """
    scaled, centre, scale = _scaled(inputs)
    reduced, directions = _reduced(scaled)
    fold = folds(keep, groups, seed=seed)
    logits = np.stack([_path(reduced[fold != one], keep[fold != one], reduced) for one in range(FOLDS)])
    own = logits[fold, :, np.arange(len(keep))].T  # [penalties, n]
    each = np.logaddexp(0.0, np.where(keep, -own, own))
    chosen = int(np.argmin(each.mean(1)))
    held_out = np.empty(len(keep))
    for one in range(FOLDS):
        mine = fold == one
        held_out[mine] = own[int(np.argmin(each[:, ~mine].mean(1))), mine]
    solution = _solutions(reduced, keep)[chosen]
    weight = directions @ solution[:-1]
    after = reduced @ solution[:-1] + solution[-1]
    return TasteProbe(
        weight / scale,
        float(solution[-1] - weight @ (centre / scale)),
        float(np.linalg.norm(weight)),
        _sigmoid(held_out),
        _sigmoid(after),
        PENALTIES[chosen],
        each.mean(1),
    )


def _scaled(inputs: Values) -> tuple[Values, Values, Values]:
    """Inputs of mean 0 and spread 1, those that hardly vary less: a tag that occurs once should not shout."""
    centre = inputs.mean(0)
    spread = inputs.std(0)
    usual = float(np.sqrt(np.mean(spread**2))) or 1.0
    scale = np.maximum(spread, 0.1 * usual)
    return (inputs - centre) / scale, centre, scale


def _reduced(scaled: Values) -> tuple[Values, Values]:
    """The inputs along their directions of largest spread [n, r], and the directions [F, r].

    The directions are orthonormal, so that a penalty on weights along them is one on the weights themselves.
    """
    if scaled.shape[1] <= DIRECTIONS:
        return scaled, np.eye(scaled.shape[1])
    by_image = scaled.shape[0] < scaled.shape[1]
    squares = scaled @ scaled.T if by_image else scaled.T @ scaled
    values, vectors = np.linalg.eigh(squares)
    best = [index for index in np.argsort(-values)[:DIRECTIONS] if values[index] > 1e-9 * values[-1]]
    vectors = vectors[:, best]
    directions = scaled.T @ vectors / np.sqrt(values[best]) if by_image else vectors
    return scaled @ directions, directions


def _path(inputs: Values, keep: Bools, asked: Values) -> Values:
    """[penalties, len(asked)]: the logits of the probes fitted under each penalty."""
    return np.stack([asked @ solution[:-1] + solution[-1] for solution in _solutions(inputs, keep)])


def _solutions(inputs: Values, keep: Bools) -> list[Values]:
    """The weights and the bias under each penalty; each begins where the next stronger one ended."""
    start = np.zeros(inputs.shape[1] + 1)
    found: list[Values] = []
    for penalty in reversed(PENALTIES):
        start = _newton(inputs, keep, penalty, start)
        found.append(start)
    return found[::-1]


def _newton(inputs: Values, keep: Bools, penalty: float, start: Values) -> Values:
    """Minimises the sum of logistic losses + penalty / 2 * |w|^2; the bias is not penalised."""
    full = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    held = np.full(full.shape[1], penalty)
    held[-1] = 1e-6  # keeps the equations solvable where all labels are of one kind
    solution = start
    loss = _loss(full, keep, held, solution)
    for _ in range(NEWTON_STEPS):
        said = _sigmoid(full @ solution)
        slope = full.T @ (said - keep) + held * solution
        curve = (full * (said * (1 - said))[:, None]).T @ full + np.diag(held)
        move = np.asarray(np.linalg.solve(curve, slope), dtype=np.float64)
        solution, loss, moved = _descend(full, keep, held, solution, loss, move)
        if moved < CLOSE:
            break
    return solution


def _descend(
    full: Values, keep: Bools, held: Values, solution: Values, loss: float, move: Values
) -> tuple[Values, float, float]:
    """Go along a Newton step, halved until the loss falls; gives by how much the weights moved."""
    for halving in range(30):
        tried = solution - move * 0.5**halving
        lower = _loss(full, keep, held, tried)
        if lower <= loss:
            return tried, lower, float(np.abs(tried - solution).max())
    return solution, loss, 0.0


def _loss(full: Values, keep: Bools, held: Values, solution: Values) -> float:
    logits = full @ solution
    return float(np.logaddexp(0.0, np.where(keep, -logits, logits)).sum() + (held * solution**2).sum() / 2)


def _sigmoid(logits: Values) -> Values:
    return 0.5 * (1 + np.tanh(logits / 2))
