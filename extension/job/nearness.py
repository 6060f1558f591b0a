"""How near an image is to being accepted, for choosing the best when none passes.

This is the robustness of signal temporal logic: a comparison counts by how far its value lies on the right side, `and`
takes the minimum, `or` the maximum, and `not` flips the sign. tanh puts probabilities and other ranges on one scale.
"""

from __future__ import annotations

import math

from ...core.gates.gate import Gate
from ...core.gates.tree import And, Comparison, Link, Node, Not, Operand, Or, Value, WordTest
from ...core.prediction import Answers, Prediction

_FAR = 1.0
_STEPS = {"reject": 0.0, "review": 10.0, "accept": 20.0}


def nearness(gate: Gate, answers: Answers, outcome: str) -> float:
    """Larger is better; an image to review always ranks above a rejected one."""
    hopes = [_true(clause.when, answers) for clause in gate.clauses if clause.outcome == "accept"]
    fears = [_true(clause.when, answers) for clause in gate.clauses if clause.outcome != "accept"]
    near = min(max(hopes, default=_FAR), -max(fears, default=-_FAR))
    return _STEPS.get(outcome, 0.0) + near


def _true(node: Node, answers: Answers) -> float:
    """In [-1, 1], positive if the node is true."""
    if isinstance(node, And):
        return min(_true(part, answers) for part in node.parts)
    if isinstance(node, Or):
        return max(_true(part, answers) for part in node.parts)
    if isinstance(node, Not):
        return -_true(node.part, answers)
    if isinstance(node, Comparison):
        return min(_link(link, answers) for link in node.links)
    return _word(node, answers)


def _link(link: Link, answers: Answers) -> float:
    left, right = _number(link.left, answers), _number(link.right, answers)
    if left is None or right is None:
        return -_FAR
    difference = math.tanh(left - right)
    return {"<": -difference, "<=": -difference, "==": -abs(difference), "!=": abs(difference)}.get(
        link.operator, difference
    )


def _number(operand: Operand, answers: Answers) -> float | None:
    if not isinstance(operand, Value):
        return operand.value
    answer = answers.get(operand.model)
    if not isinstance(answer, Prediction) or operand.label not in answer.labels:
        return None
    value = answer[operand.label]
    return value if math.isfinite(value) else None


def _word(test: WordTest, answers: Answers) -> float:
    """By the probability of the named labels if the model gives one, else all or nothing."""
    answer = answers.get(test.model)
    if not isinstance(answer, Prediction):
        return -_FAR
    inside = answer.label in test.names
    shares = [answer[name] for name in test.names if name in answer.labels]
    near = 2 * max(shares) - 1 if shares and all(0 <= share <= 1 for share in shares) else _FAR
    sure = abs(near) if inside else -abs(near)
    return -sure if test.negated else sure
