"""The gate: its language, its lazy decisions, its reasons."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.errors import GateError, UnknownName
from keepers.core.gates.gate import Decision, Gate, not_judged
from keepers.core.gates.tree import (
    And,
    Clause,
    Comparison,
    Node,
    Not,
    Number,
    Operand,
    Or,
    Value,
    WordTest,
    models_in,
    terms,
)
from keepers.core.gates.unjudged import Unjudged, flawed, kind_of
from keepers.core.prediction import Answer, Failure, Labels, Prediction, Range

COHERENCE = Labels(("coherent", "incoherent", "semi-incoherent"))
FARAMIR = Labels(("degraded", "clean", "accept"))
AESTHETIC = Labels(("score",), ranges=(Range(1, 10, "score"),))
ODD = Labels(("label", "blue eyes", 'say "hi"\\', "nan"))
KNOWN = {"coherence": COHERENCE, "faramir": FARAMIR, "aesthetic": AESTHETIC, "odd": ODD}


def coherence(value: float, label: str = "coherent", tolerance: float = 0.0, margin: float = np.inf) -> Prediction:
    values = np.array([value, 0.1, 0.2])
    return Prediction("coherence", COHERENCE, values, label=label, tolerance=tolerance, margin=margin)


def faramir(accept: float, label: str = "degraded", tolerance: float = 0.0) -> Prediction:
    return Prediction("faramir", FARAMIR, np.array([0.4, 0.3, accept]), label=label, tolerance=tolerance)


def decide(text: str, *answers: Answer) -> Decision:
    return Gate.parse(text).decide({answer.model: answer for answer in answers})


def reason(text: str, *answers: Answer) -> str:
    verdict = decide(text, *answers).verdict
    assert verdict is not None
    return verdict.reason


def outcome(text: str, *answers: Answer) -> str:
    verdict = decide(text, *answers).verdict
    return verdict.outcome if verdict else "open"


def labels_of(model: str) -> Labels | None:
    if model not in KNOWN:
        raise UnknownName("model", model, KNOWN)
    return KNOWN[model]


# The language


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("faramir.accept >= 0.5", "accept: faramir.accept >= 0.5"),
        ("faramir:mine.accept>.5", "accept: faramir:mine.accept > 0.5"),
        ("realism:flux-vs-photo.ai < 1e-3", "accept: realism:flux-vs-photo.ai < 0.001"),
        ("accept:faramir.accept > 0.5", "accept: faramir.accept > 0.5"),
        ("REJECT: a.b > 1 AND NOT a.c > 2", "reject: a.b > 1 and not a.c > 2"),
        ("0.2 < a.x <= 0.5", "accept: 0.2 < a.x <= 0.5"),
        ("a.x > b.y", "accept: a.x > b.y"),
        ("a.x > -3", "accept: a.x > -3"),
        ("jtp['blue eyes'] > 0.2", 'accept: jtp["blue eyes"] > 0.2'),
        ('jtp["solo"] > 0.2', "accept: jtp.solo > 0.2"),
        ('odd["label"] > 0.2', 'accept: odd["label"] > 0.2'),
        ('"ok" == signals.label', 'accept: signals.label == "ok"'),
        ('a.label in ("x", "y",)', 'accept: a.label in ("x", "y")'),
        ('a.label not in ("x", "y")', 'accept: a.label not in ("x", "y")'),
        ('a.label in ("x")', 'accept: a.label == "x"'),
        ("(a.x > 1 and a.y > 1) or a.z > 1", "accept: a.x > 1 and a.y > 1 or a.z > 1"),
        ("a.x > 1 and (a.y > 1 or a.z > 1)", "accept: a.x > 1 and (a.y > 1 or a.z > 1)"),
        ("not (a.x > 1 or a.y > 1)", "accept: not (a.x > 1 or a.y > 1)"),
        ("# nothing\n\n;;\n", ""),
        ("", ""),
        ("accept:\n  a.x > 1\n  and (a.y > 1\n or a.z > 1) # why\n", "accept: a.x > 1 and (a.y > 1 or a.z > 1)"),
        ("a.x > 1 and\n\n a.y > 1\r\nreview: a.z > 1", "accept: a.x > 1 and a.y > 1\nreview: a.z > 1"),
        ("review: a.x > 1; accept: a.y > 1", "review: a.x > 1\naccept: a.y > 1"),
        ("a.x > 1\n\na.y > 1", "accept: a.x > 1\naccept: a.y > 1"),
    ],
)
def test_prints_in_canonical_form(text: str, printed: str) -> None:
    gate = Gate.parse(text)
    assert str(gate) == printed
    assert gate.text == text
    assert Gate.parse(printed) == gate


@pytest.mark.parametrize(
    ("text", "position", "remedy"),
    [
        ("faramir.accept >= 0,5", 18, "use 0.5"),
        ("faramir.accept >= nan", 18, "use one like 0.5"),
        ("faramir.accept >= -inf", 18, "use one like 0.5"),
        ("faramir.accept >= NaN", 18, "use one like 0.5"),
        ("faramir.accept >= 1e999", 18, "larger than any score"),
        ("faramir.accept >= 50%", 18, "write it like 0.5"),
        ("faramir.accept >= 0.5.1", 18, "not a number"),
        ("faramir.accept", 0, "faramir.accept >= 0.5"),
        ("faramir", 0, "write model.label"),
        ("faramir. > 1", 8, "label is missing"),
        ("0.5", 0, "number alone"),
        ("0.2 < 0.5", 6, "one side must be a label"),
        ("coherence.semi-incoherent > 0.5", 10, 'coherence["semi-incoherent"]'),
        ("furry.3d > 0.5", 6, 'furry["3d"]'),
        ("coherence.label > 0.5", 0, 'coherence.label == "word"'),
        ("coherence.label", 0, 'coherence.label == "word"'),
        ("0.5 < coherence.label", 6, 'coherence["label"]'),
        ('faramir.accept == "degraded"', 18, "faramir.label"),
        ('"degraded" == faramir.accept', 0, "faramir.label"),
        ('faramir.accept in ("a", "b")', 15, "faramir.label in"),
        ('coherence.label in "coherent"', 19, "list of words"),
        ("coherence.label in ()", 20, "word in quotes"),
        ('coherence.label in ("a" "b")', 24, "comma"),
        ('coherence.label == "a" == "b"', 23, "chain"),
        ('coherence.label < "b"', 0, "answer in one word"),
        ('coherence.label == "b', 19, "closing quote"),
        ('coherence.label == "a\\x"', 21, "backslash"),
        ('jtp["blue eyes > 1', 4, "closing quote"),
        ("jtp[blue] > 1", 4, "in quotes"),
        ('jtp["blue" > 1', 11, "closing ]"),
        ("a.x = 1", 4, "write == instead"),
        ("a.x => 1", 4, "write >= instead"),
        ("a.x <> 1", 4, "write != instead"),
        ("a.x > 1 && a.y > 1", 8, "write and instead"),
        ("a.x ≥ 1", 4, "write >= instead"),
        ("a.label == “ok”", 11, "instead"),
        ("a.x > 1 a.y > 1", 8, "new line"),
        ("a.x > 1 accept: a.y > 1", 8, "semicolon"),
        ("acept: a.x > 1", 0, "Use accept:"),
        ("Faramir.accept > 1", 0, "lower case"),
        ("(a.x > 1", 0, "never closed"),
        ("a.x > 1)", 7, "new line"),
        ("(a.x > 1) > 2", 10, "parentheses"),
        ("accept:", 7, "comparison is missing"),
        ("accept: ; a.x > 1", 8, "comparison is missing"),
        ("a.x > 1 and", 11, "comparison is missing"),
        ("a.x >", 5, "missing"),
        ("__import__('os').system('true')", 0, "model.label"),
        ("{0.__class__}", 0, "no meaning"),
        ("a.x > 1\x00", 7, "no meaning"),
        ("a.x > 1\nb.y >", 13, "missing"),
    ],
)
def test_errors_show_the_place_and_the_remedy(text: str, position: int, remedy: str) -> None:
    with pytest.raises(GateError) as caught:
        Gate.parse(text)
    assert caught.value.position == position
    assert remedy in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "(" * 9_999, "not " * 2_000 + "a.x > 1", "a.x > 1 and " * 10**5, '"' * 9_999, "a[" * 4_000],
)
def test_hostile_text_ends_in_a_gate_error(text: str) -> None:
    with pytest.raises(GateError):
        Gate.parse(text)


def test_nesting_is_allowed_to_its_limit() -> None:
    assert Gate.parse("(" * 64 + "a.x > 1" + ")" * 64) == Gate.parse("a.x > 1")
    with pytest.raises(GateError, match="64"):
        Gate.parse("(" * 65 + "a.x > 1" + ")" * 65)


def test_a_long_gate_still_prints_to_an_equal_one() -> None:
    gate = Gate.parse("\n".join(["a.x>1"] * 1_600))
    assert Gate.parse(str(gate)) == gate


@given(st.text(alphabet="ab.:[]()\"'<>=! \n;#,0159-notandrelipcjw\\", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_parses_or_ends_in_a_gate_error(text: str) -> None:
    try:
        gate = Gate.parse(text)
    except GateError as refused:
        gate, position = None, refused.position
    else:
        position = 0
    assert 0 <= position <= len(text)
    assert gate is None or Gate.parse(str(gate)) == gate


# Trees

MODELS = ("a", "b:x-Y", "c_1")
LABEL_NAMES = ("p", "q", "label", "blue eyes", 'say "hi"\\\n')
WORDS = ("ok", "bad", "semi-ok")

numbers = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)).map(Number)
values = st.builds(Value, st.sampled_from(MODELS), st.sampled_from(LABEL_NAMES))
signs = st.sampled_from(("<", "<=", ">", ">=", "==", "!="))


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    operands: list[Operand] = [draw(values | numbers)]
    operators: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        operators.append(draw(signs))
        operands.append(draw(values if isinstance(operands[-1], Number) else values | numbers))
    return Comparison(tuple(operands), tuple(operators))


tests = st.builds(
    WordTest,
    st.sampled_from(MODELS),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)


def _inner(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, parts) | st.builds(And, several) | st.builds(Or, several)


nodes: st.SearchStrategy[Node] = st.recursive(comparisons() | tests, _inner, max_leaves=5)
clauses = st.builds(Clause, st.sampled_from(("accept", "review", "reject")), nodes)
gates = st.lists(clauses, max_size=4).map(lambda found: Gate(tuple(found)))

ALL = Labels(LABEL_NAMES)
exact_values = st.sampled_from((0.0, 0.25, 0.375, 0.5, 0.75, 1.0, float("nan")))


@st.composite
def answer_sets(draw: st.DrawFn, tolerances: tuple[float, ...] = (0.0,)) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for model in MODELS:
        if draw(st.integers(0, 5)) == 0:
            found[model] = Failure(model, "model_failed", "out of memory")
            continue
        given_values = np.array([draw(exact_values) for _ in LABEL_NAMES], dtype=np.float32)
        word = draw(st.sampled_from((*WORDS, "")))
        tolerance, margin = draw(st.sampled_from(tolerances)), draw(st.sampled_from((0.0, 0.1, 0.3)))
        found[model] = Prediction(model, ALL, given_values, label=word, tolerance=tolerance, margin=margin)
    return found


def final(gate: Gate, answers: Mapping[str, Answer]) -> str:
    verdict = gate.decide(answers).verdict
    assert verdict is not None
    assert verdict.reason.startswith(f"{verdict.outcome}: ")
    assert len(verdict.reason) > len(verdict.outcome) + 2
    return verdict.outcome


@given(gates)
@settings(max_examples=200, deadline=None)
def test_print_and_parse_are_inverses(gate: Gate) -> None:
    assert Gate.parse(str(gate)) == gate


def plain(node: Node, answers: Mapping[str, Answer]) -> bool | None:
    """Kleene's logic in the plainest form, as a second opinion; None if it cannot be judged."""
    if isinstance(node, Not):
        part = plain(node.part, answers)
        return None if part is None else not part
    if isinstance(node, And | Or):
        parts = [plain(part, answers) for part in node.parts]
        decisive = isinstance(node, Or)
        return decisive if decisive in parts else None if None in parts else not decisive
    if isinstance(node, WordTest):
        answer = answers[node.model]
        if isinstance(answer, Failure) or not answer.label or np.isnan(answer.values).all():
            return None
        return (answer.label in node.names) != node.negated
    results = [
        plain_link(*link, answers) for link in zip(node.operands, node.operators, node.operands[1:], strict=False)
    ]
    return False if False in results else None if None in results else True


def plain_link(left: Operand, sign: str, right: Operand, answers: Mapping[str, Answer]) -> bool | None:
    found: list[float] = []
    for operand in (left, right):
        if isinstance(operand, Number):
            found.append(operand.value)
            continue
        answer = answers[operand.model]
        found.append(float("nan") if isinstance(answer, Failure) else answer[operand.label])
    a, b = found
    if np.isnan(a) or np.isnan(b):
        return None
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[sign]


def plain_outcome(gate: Gate, answers: Mapping[str, Answer]) -> str:
    possible: set[str] = set()
    for clause in gate.clauses:
        truth = plain(clause.when, answers)
        possible |= {clause.outcome} if truth is not False else set()
        if truth:
            break
    else:
        possible.add("reject" if any(clause.outcome == "accept" for clause in gate.clauses) else "accept")
    return possible.pop() if len(possible) == 1 else "review"


@given(gates, answer_sets())
@settings(max_examples=200, deadline=None)
def test_eager_verdicts_are_those_of_plain_three_valued_logic(gate: Gate, answers: dict[str, Answer]) -> None:
    assert final(gate, answers) == plain_outcome(gate, answers)


@given(gates, answer_sets())
@settings(max_examples=120, deadline=None)
def test_lazy_equals_eager_in_every_order(gate: Gate, answers: dict[str, Answer]) -> None:
    eager = final(gate, answers)
    for order in itertools.permutations(MODELS):
        for count in range(len(order) + 1):
            decision = gate.decide({model: answers[model] for model in order[:count]})
            assert decision.verdict is None or decision.verdict.outcome == eager
            assert (decision.verdict is None) == bool(decision.models)
            assert set(decision.models) <= set(order[count:]) & set(gate.models)
            assert list(decision.models) == [model for model in gate.models if model in decision.models]


@given(gates, answer_sets(), st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None)
def test_asking_only_the_named_models_suffices(gate: Gate, answers: dict[str, Answer], random: Random) -> None:
    asked_so_far: dict[str, Answer] = {}
    while (decision := gate.decide(asked_so_far)).verdict is None:
        model = decision.models[random.randrange(len(decision.models))]
        asked_so_far[model] = answers[model]
    assert decision.verdict.outcome == final(gate, answers)


@given(gates, answer_sets(), st.sampled_from(MODELS), st.floats(0, 1, width=32), st.sampled_from(WORDS))
@settings(max_examples=200, deadline=None)
def test_what_cannot_be_judged_never_leads_to_accept(
    gate: Gate, answers: dict[str, Answer], model: str, value: float, word: str
) -> None:
    """An image is accepted despite a failure only if it would be, whatever the model could have said."""
    failed = {**answers, model: Failure(model, "model_failed", "out of memory")}
    if final(gate, failed) != "accept":
        return
    for extreme in (0.0, 1.0, value):
        spoken = Prediction(model, ALL, np.full(len(ALL), extreme), label=word)
        assert final(gate, {**failed, model: spoken}) == "accept"


@given(gates, answer_sets(), st.sampled_from(LABEL_NAMES), st.sampled_from((0.0, 0.5, 1.0)))
@settings(max_examples=200, deadline=None)
def test_a_nan_counts_as_any_number(gate: Gate, answers: dict[str, Answer], label: str, extreme: float) -> None:
    answer = answers["a"]
    if isinstance(answer, Failure):
        return
    some = answer.values.copy()
    some[ALL.index(label)] = np.nan
    if np.isnan(some).all() or final(gate, {**answers, "a": replace(answer, values=some)}) != "accept":
        return
    some[ALL.index(label)] = extreme
    assert final(gate, {**answers, "a": replace(answer, values=some)}) == "accept"


@given(gates, answer_sets(tolerances=(0.0, 0.125)), st.data())
@settings(max_examples=200, deadline=None)
def test_a_verdict_by_coarse_values_holds_for_the_exact_ones(
    gate: Gate, answers: dict[str, Answer], data: st.DataObject
) -> None:
    decision = gate.decide(answers)
    if decision.verdict is None:
        assert decision.blurred
        assert not decision.models
        for model in decision.blurred:
            answer = answers[model]
            assert isinstance(answer, Prediction)
            assert answer.tolerance > 0
        return
    exact: dict[str, Answer] = {}
    for model, answer in answers.items():
        exact[model] = answer if isinstance(answer, Failure) else drawn_exact(answer, data)
    assert final(gate, exact) == decision.verdict.outcome


def drawn_exact(coarse: Prediction, data: st.DataObject) -> Prediction:
    steps = [data.draw(st.sampled_from((-1.0, -0.5, 0.0, 0.5, 1.0))) for _ in coarse.values]
    drifts = np.array([coarse.drift(label) for label in coarse.labels.names], dtype=np.float32)
    moved = coarse.values + np.array(steps, dtype=np.float32) * drifts
    word = coarse.label if coarse.sure_word or not coarse.label else data.draw(st.sampled_from(WORDS))
    return replace(coarse, values=moved, label=word, tolerance=0.0)


@given(nodes, answer_sets(), st.floats(0, 1), st.floats(0, 1), st.sampled_from(("<", "<=")))
@settings(max_examples=120, deadline=None)
def test_a_higher_threshold_accepts_no_more(
    other: Node, answers: dict[str, Answer], low: float, high: float, sign: str
) -> None:
    low, high = sorted((low, high))

    def at(threshold: float) -> str:
        term = Comparison((Number(threshold), Value("a", "p")), (sign,))
        return final(Gate((Clause("accept", And((term, Or((other, term))))),)), answers)

    ranks = {"reject": 0, "review": 1, "accept": 2}
    assert ranks[at(low)] >= ranks[at(high)]


@given(gates)
def test_models_are_those_of_the_terms_in_order(gate: Gate) -> None:
    every = [model for clause in gate.clauses for term in terms(clause.when) for model in models_in(term)]
    assert gate.models == tuple(sorted(set(every), key=every.index))


# Decisions

USUAL = 'accept: coherence.coherent >= 0.5 and faramir.accept >= 0.5; review: coherence.label == "semi-incoherent"'


def test_a_refused_image_needs_no_second_model() -> None:
    assert decide(USUAL).models == ("coherence", "faramir")
    assert decide(USUAL, coherence(0.2, "incoherent")).verdict is not None
    assert decide(USUAL, coherence(0.8)) == Decision(None, ("faramir",), ())
    assert outcome(USUAL, coherence(0.2, "semi-incoherent")) == "review"
    assert outcome(USUAL, coherence(0.8), faramir(0.8)) == "accept"


def test_a_model_that_cannot_change_the_outcome_is_not_asked() -> None:
    assert decide("accept: coherence.coherent > 0.5; reject: faramir.accept < 0.5").models == ("coherence",)
    failed = Failure("coherence", "model_failed", "out of memory")
    assert outcome("review: faramir.accept < 0.5; accept: coherence.coherent > 0.5", failed) == "review"
    gate = "accept: aesthetic.score > 5; review: faramir.accept < 0.5; accept: coherence.coherent > 0.5"
    assert decide(gate, failed).models == ("aesthetic",)


def test_the_first_true_clause_gives_the_outcome() -> None:
    assert outcome("review: faramir.accept < 0.9; accept: faramir.accept > 0.5", faramir(0.7)) == "review"
    assert outcome("accept: faramir.accept > 0.5; review: faramir.accept < 0.9", faramir(0.7)) == "accept"


def test_without_a_true_clause_an_accept_clause_decides() -> None:
    assert outcome("accept: faramir.accept > 0.5", faramir(0.2)) == "reject"
    assert outcome("review: faramir.accept > 0.5", faramir(0.2)) == "accept"
    assert Gate.parse("").decide({}) == Gate(()).decide({})
    assert outcome("") == "accept"


def test_a_float32_score_reaches_the_threshold_it_is_equal_to() -> None:
    for step in range(101):
        assert outcome(f"faramir.accept >= {step / 100}", faramir(step / 100)) == "accept"


def test_a_coarse_value_near_the_threshold_is_blurred() -> None:
    gate = "faramir.accept >= 0.5"
    assert decide(gate, faramir(0.5078125, tolerance=0.0078125)) == Decision(None, (), ("faramir",))
    assert outcome(gate, faramir(0.52, tolerance=0.0078125)) == "accept"
    both = "faramir.accept > coherence.coherent"
    near = (faramir(0.75, tolerance=0.25), coherence(0.25, tolerance=0.25))
    assert decide(both, *near) == Decision(None, (), ("faramir", "coherence"))
    assert decide(both, faramir(0.75, tolerance=0.25), coherence(0.5)).blurred == ("faramir",)
    assert outcome(both, faramir(0.75, tolerance=0.125), coherence(0.25, tolerance=0.25)) == "accept"


def test_a_coarse_answer_in_one_word_is_blurred_within_its_margin() -> None:
    gate = 'coherence.label == "coherent"'
    assert decide(gate, coherence(0.5, tolerance=0.01, margin=0.01)).blurred == ("coherence",)
    assert outcome(gate, coherence(0.5, tolerance=0.01, margin=0.011)) == "accept"
    assert outcome(gate, coherence(0.5, margin=0.0)) == "accept"


def test_an_infinite_score_is_no_number() -> None:
    assert outcome("faramir.accept >= 0.5", faramir(float("inf"))) == "review"


# What could not be judged

LOST = Failure("faramir", "missing_weights", "faramir-v1.pth is not on this machine")
BROKEN = Failure("coherence", "model_failed", "out of memory")
HOLLOW = faramir(float("nan"))


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("faramir.accept >= 0.5", (LOST,), [("faramir", "missing", "")]),
        ("faramir.accept >= 0.5", (HOLLOW,), [("faramir", "not_a_number", "accept")]),
        ('faramir.label == "clean"', (faramir(0.5, ""),), [("faramir", "not_a_number", "")]),
        ("faramir.acept >= 0.5", (faramir(0.5),), [("faramir", "failure", "")]),
        ("coherence.coherent > 0.5 and faramir.accept > 0.5", (BROKEN, faramir(0.75)), [("coherence", "failure", "")]),
        (
            "coherence.coherent > faramir.accept > 0.5",
            (BROKEN, HOLLOW),
            [("coherence", "failure", ""), ("faramir", "not_a_number", "accept")],
        ),
        # Reached without what failed: nothing is unjudged, whatever else is broken.
        ("coherence.coherent > 0.5 and faramir.accept > 0.5", (BROKEN, faramir(0.25)), []),
        ("coherence.coherent > 0.5 or faramir.accept > 0.5", (BROKEN, faramir(0.75)), []),
        ("accept: faramir.accept > 0.5; reject: coherence.coherent > 0.5", (BROKEN, faramir(0.75)), []),
        ("review: coherence.coherent > 0.5; review: faramir.accept > 0.5", (BROKEN, faramir(0.75)), []),
        ("", (BROKEN, HOLLOW), []),
    ],
)
def test_a_verdict_says_what_could_not_be_judged(
    text: str, answers: tuple[Answer, ...], expected: list[object]
) -> None:
    verdict = decide(text, *answers).verdict
    assert verdict is not None
    assert [(one.model, one.kind, one.label) for one in verdict.unjudged] == expected
    assert verdict.judged == (not expected)
    if expected:
        assert verdict.outcome == "review"
        assert all(one.reason in verdict.reason for one in verdict.unjudged)


def test_a_verdict_lasts_unless_a_model_may_answer_the_next_time() -> None:
    def lasts(*answers: Answer) -> bool:
        verdict = decide("coherence.coherent > 0.5 and faramir.accept > 0.5", *answers).verdict
        assert verdict is not None
        return verdict.lasts

    assert lasts(coherence(0.75), faramir(0.75)) and lasts(coherence(0.75), HOLLOW)
    assert not lasts(coherence(0.75), LOST) and not lasts(BROKEN, HOLLOW)


def test_an_outcome_that_stays_open_is_not_judged() -> None:
    closed = decide("coherence.coherent > 0.5 and faramir.accept > 0.5", coherence(0.75)).closed()
    assert closed.reason == "review: not asked about this image: faramir"
    assert [(one.model, one.kind) for one in closed.unjudged] == [("faramir", "unasked")]
    near = decide("faramir.accept >= 0.5", faramir(0.5, tolerance=0.25)).closed()
    assert not near.judged and "closer look: faramir" in near.reason
    assert decide("faramir.accept >= 0.5", faramir(0.75)).closed().outcome == "accept"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("truncated", "unreadable"), ("non_finite", "not_a_number"), ("io", "failure"), ("null", "unreadable")],
)
def test_a_flaw_of_the_image_belongs_to_no_model(code: str, kind: str) -> None:
    assert flawed("a\nb", code) == Unjudged("", kind, "a\\nb")  # pyright: ignore[reportArgumentType]


# Reasons


def test_an_error_shows_a_short_printable_line() -> None:
    with pytest.raises(GateError) as caught:
        Gate.parse("a.x > 1 and " * 50 + "\x1b[31m a.x > 1" + " and a.x > 1" * 50)
    _, line, caret = str(caught.value).split("\n")
    assert line.isprintable()
    assert len(line) <= 110
    assert line[: caret.index("^")].endswith("and ")


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        (USUAL, (coherence(0.8), faramir(0.31)), "reject: faramir.accept 0.31 < 0.50; degraded"),
        (USUAL, (coherence(0.2, "incoherent"),), "reject: coherence.coherent 0.20 < 0.50; incoherent"),
        (USUAL, (coherence(0.2, "semi-incoherent"),), "review: coherence is semi-incoherent"),
        (
            USUAL,
            (coherence(0.8), faramir(0.75, "clean")),
            (
                "accept: coherence.coherent 0.80 >= 0.50 and faramir.accept 0.75 >= 0.50; "
                "coherence: coherent, faramir: clean"
            ),
        ),
        ("0.5 <= faramir.accept", (faramir(0.31, ""),), "reject: faramir.accept 0.31 < 0.50"),
        ("0.2 < faramir.accept < 0.5", (faramir(0.1),), "reject: faramir.accept 0.10 <= 0.20; degraded"),
        ("faramir.accept >= 0.5", (faramir(0.4996),), "reject: faramir.accept 0.4996 < 0.5000; degraded"),
        ("faramir.accept >= 0.7", (faramir(0.7),), "accept: faramir.accept 0.70 >= 0.70; degraded"),
        ("faramir.accept >= 0.125", (faramir(0.124),), "reject: faramir.accept 0.124 < 0.125; degraded"),
        ("reject: faramir.accept < 0.2", (faramir(0.9),), "accept: faramir.accept 0.90 >= 0.20; degraded"),
        ("not faramir.accept < 0.2", (faramir(0.9),), "accept: faramir.accept 0.90 >= 0.20; degraded"),
        (
            "faramir.accept > 0.5 or faramir.clean > 0.5",
            (faramir(0.25),),
            "reject: faramir.accept 0.25 <= 0.50 and faramir.clean 0.30 <= 0.50; degraded",
        ),
        (
            "accept: faramir.accept > 0.5\naccept: faramir.clean > 0.5\nreview: faramir.degraded > 0.9",
            (faramir(0.25),),
            "reject: faramir.accept 0.25 <= 0.50 and faramir.clean 0.30 <= 0.50; degraded",
        ),
        (
            "faramir.accept > coherence.coherent",
            (faramir(0.25, ""), coherence(0.5, "")),
            "reject: faramir.accept 0.25 <= coherence.coherent 0.50",
        ),
        ('reject: coherence.label != "coherent"', (coherence(0, "bad"),), "reject: coherence is bad, not coherent"),
        ('coherence.label in ("a", "b")', (coherence(0, "c"),), "reject: coherence is c, not a or b"),
        ("", (), "accept: the gate is empty"),
        (
            "faramir.accept >= 0.5",
            (Failure("faramir", "missing_weights", "faramir-v1.pth is not on this machine"),),
            "review: faramir could not be judged: faramir-v1.pth is not on this machine",
        ),
        ("faramir.accept >= 0.5", (faramir(float("nan")),), "review: faramir gave no number for accept"),
        ('faramir.label == "clean"', (faramir(0.5, ""),), "review: faramir gave no answer in one word"),
        (
            "faramir.acept >= 0.5",
            (faramir(0.5),),
            "review: There is no label 'acept' in faramir. Did you mean 'accept'?",
        ),
        ('faramir.label == "x"', (faramir(0.5, "a\nb\x1b"),), "reject: faramir is a\\nb\\x1b, not x"),
    ],
)
def test_reasons(text: str, answers: tuple[Answer, ...], expected: str) -> None:
    assert reason(text, *answers) == expected


def test_a_reason_names_a_few_terms_and_counts_the_rest() -> None:
    text = " or ".join(f"faramir.accept > 0.{digit}" for digit in range(5, 10))
    assert reason(text, faramir(0.25)).endswith(" and faramir.accept 0.25 <= 0.70 and 2 more; degraded")


# Checks


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("a.x > 0.5 or faramir.acept >= 0.5", 0, "no model 'a'"),
        ("faramir.accept > 0.5 and faramir.acept >= 0.5", 25, "'accept'"),
        ("coherense.coherent > 0.5", 0, "'coherence'"),
        ('coherense.label == "x"', 0, "'coherence'"),
        ("faramir.accept >= 50", 18, "Did you mean 0.5?"),
        ("-0.1 < faramir.accept", 0, "from 0 to 1"),
        ("faramir.clean < faramir.accept < 1.5", 33, "from 0 to 1"),
        ("aesthetic.score > 0.5", 18, "from 1 to 10"),
        ('coherence.label == "semi_incoherent"', 0, "'semi-incoherent'"),
        ('odd["blue eye"] > 0.5', 0, "'blue eyes'"),
    ],
)
def test_check_finds_what_does_not_exist(text: str, position: int, said: str) -> None:
    gate = Gate.parse(text)
    with pytest.raises(GateError) as caught:
        gate.check(labels_of)
    assert caught.value.position == position
    assert said in caught.value.message


def test_check_passes_what_fits_and_what_is_not_known_yet() -> None:
    gate = Gate.parse(
        'aesthetic.score > 5.5 and faramir.label in ("clean", "explicit") and odd["label"] > 0.1 and odd.nan < 1'
    )
    gate.check(labels_of)
    Gate.parse("new.thing > 50").check(lambda _: None)


def test_the_answer_and_a_label_named_label_are_two_things() -> None:
    odd = Prediction("odd", ODD, np.array([0.75, 0.0, 0.0, 0.0]), label="blue eyes")
    assert reason('odd["label"] > 0.5', odd) == 'accept: odd["label"] 0.75 > 0.50; blue eyes'
    assert reason('odd.label == "blue eyes"', odd) == "accept: odd is blue eyes"


def test_the_numbers_that_a_gate_reads() -> None:
    gate = Gate.parse('reject: a.x < 0.2 or b.label == "bad"\naccept: 0.1 < a["label"] < c.y and not a.x > c.y')
    assert [str(value) for value in gate.values] == ["a.x", 'a["label"]', "c.y", "a.x", "c.y"]
    assert [(str(link.left), str(link.right)) for link in gate.links] == [
        ("a.x", "0.2"),
        ("0.1", 'a["label"]'),
        ('a["label"]', "c.y"),
        ("a.x", "c.y"),
    ]
    assert len(gate.terms) == 4
    assert gate.models == ("a", "b", "c")


def test_a_word_counts_as_long_as_one_number_is_there() -> None:
    some, none = (np.array([np.nan, value, np.nan]) for value in (0.9, np.nan))
    said = Prediction("coherence", COHERENCE, some, label="coherent", margin=np.inf)
    assert outcome('accept: coherence.label == "coherent"', said) == "accept"
    lost = decide('accept: coherence.label == "coherent"', replace(said, values=none)).verdict
    assert lost is not None and not lost.judged


def test_a_true_or_is_explained_by_its_first_true_part() -> None:
    gate = "accept: coherence.coherent > 0.95 or faramir.accept > 0.5 or coherence.coherent > 0.2"
    assert reason(gate, coherence(0.9), faramir(0.7)) == "accept: faramir.accept 0.70 > 0.50; degraded"


@pytest.mark.parametrize(
    ("code", "kind", "lasts"),
    [
        ("missing_weights", "missing", False),
        ("download_failed", "missing", False),
        ("corrupt_weights", "failure", False),
        ("model_failed", "failure", False),
        ("non_finite", "not_a_number", True),
        ("truncated", "unreadable", True),
        ("not_image", "unreadable", True),
        ("io", "failure", False),
        ("changed", "failure", False),
    ],
)
def test_whether_it_would_be_the_same_the_next_time(code: str, kind: str, lasts: bool) -> None:
    assert kind_of(code) == kind
    assert Unjudged("", kind_of(code), "why").lasts == lasts


def test_what_was_never_asked_may_be_asked_the_next_time() -> None:
    assert not Unjudged("m", "unasked", "why").lasts
    for both in itertools.permutations((Unjudged("m", "missing", "a"), Unjudged("m", "unreadable", "b"))):
        assert not not_judged(*both).lasts


def test_the_limits_of_a_text_are_exact() -> None:
    fits = "faramir.accept > 0.5".ljust(10_000)
    assert Gate.parse(fits).models == ("faramir",)
    with pytest.raises(GateError, match="at most 10,000"):
        Gate.parse(fits + " ")
    deepest = "(" * 64 + "faramir.accept > 0.5" + ")" * 64
    assert Gate.parse(deepest).models == ("faramir",)
    with pytest.raises(GateError, match="64 deep"):
        Gate.parse(f"({deepest})")
    assert Gate.parse("aesthetic.score < 3.4e38").models == ("aesthetic",)
    with pytest.raises(GateError, match="larger than any score"):
        Gate.parse("aesthetic.score < 3.5e38")  # infinite as float32
