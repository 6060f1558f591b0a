"""A regularised linear probe: logistic regression solved by Newton's method, with cross-validated regularisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .folds import FOLDS, folds
from .logistic import sigmoid

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

PENALTIES = tuple(float(10.0**power) for power in np.arange(-2.0, 4.01))
"""The penalties tried, weak to strong: lambda in the sum of losses + lambda / 2 * |w|^2, for inputs of variance 1."""
DIRECTIONS = 200
"""How many directions of largest variance inputs are reduced to: a few hundred images cannot determine more."""
NEWTON_STEPS = 25
CLOSE = 1e-6


@dataclass(frozen=True)
class TasteProbe:
    """A fitted probe, and its answers on held-out images."""

    weight: Values
    """[F], for the original inputs."""
    bias: float
    length: float
    """The norm of the weights for inputs of variance 1: how strongly the probe reacts to them."""
    held_out: Values
    """[n]: the probability of each image by the probe that was fitted without it."""
    after: Values
    """[n]: the probability of each image by the final probe."""
    penalty: float
    losses: Values
    """[penalties]: the held-out loss of each."""


def fit_probe(inputs: Values, keep: Bools, groups: Sequence[str] = (), seed: int = 0) -> TasteProbe:
    """Fits on all images and, for each fold, on all but the held-out ones.

    The penalty is chosen by the held-out loss; for the images of one fold, by the loss on the other folds alone, so
    that no image influences its own held-out answer. Inputs are [n, F], finite.
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
        sigmoid(held_out),
        sigmoid(after),
        PENALTIES[chosen],
        each.mean(1),
    )


def _scaled(inputs: Values) -> tuple[Values, Values, Values]:
    """Inputs of mean 0 and variance 1, or less if they hardly vary: a tag that occurs once should not dominate."""
    centre = inputs.mean(0)
    spread = inputs.std(0)
    usual = float(np.sqrt(np.mean(spread**2))) or 1.0
    scale = np.maximum(spread, 0.1 * usual)
    return (inputs - centre) / scale, centre, scale


def _reduced(scaled: Values) -> tuple[Values, Values]:
    """The inputs along their directions of largest variance [n, r], and the directions [F, r].

    The directions are orthonormal, so a penalty on weights along them is a penalty on the weights themselves.
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
    """The weights and the bias under each penalty; each starts from the solution of the next stronger one."""
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
    held[-1] = 1e-6  # keeps the equations solvable if all labels are of one class
    solution = start
    loss = _loss(full, keep, held, solution)
    for _ in range(NEWTON_STEPS):
        given = sigmoid(full @ solution)
        slope = full.T @ (given - keep) + held * solution
        curve = (full * (given * (1 - given))[:, None]).T @ full + np.diag(held)
        move = np.asarray(np.linalg.solve(curve, slope), dtype=np.float64)
        solution, loss, moved = _descend(full, keep, held, solution, loss, move)
        if moved < CLOSE:
            break
    return solution


def _descend(
    full: Values, keep: Bools, held: Values, solution: Values, loss: float, move: Values
) -> tuple[Values, float, float]:
    """Takes a Newton step, halved until the loss does not rise; returns also how far the weights moved."""
    for halving in range(30):
        tried = solution - move * 0.5**halving
        lower = _loss(full, keep, held, tried)
        if lower <= loss:
            return tried, lower, float(np.abs(tried - solution).max())
    return solution, loss, 0.0


def _loss(full: Values, keep: Bools, held: Values, solution: Values) -> float:
    logits = full @ solution
    return float(np.logaddexp(0.0, np.where(keep, -logits, logits)).sum() + (held * solution**2).sum() / 2)
