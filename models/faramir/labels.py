"""FARAMIR's output: its columns, their ranges, and the answer in one word."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...core.prediction import LOGIT, PROBABILITY, Floats, Labels, Range

ACCEPTED = (
    *("3d_realism", "3d_human", "3d_scene", "3d_environment", "3d_untex", "3d_untex_human"),
    *("2d_fantasy", "2d_human", "2d_anime"),
)
REJECTED = (
    *("2d_sketch", "2d_bad", "2d_cute", "3d_model_bad", "3d_model_simple", "3d_scene_bad", "3d_untex_bad"),
    *("3d_multi", "3d_untex_multi", "2d_multi", "multi_img", "3d_cute", "3d_no_fur", "3d_miniature", "3d_rig"),
    *("3d_wireframe", "text", "real_human", "technology", "ui", "degraded"),
)
CLASSES = (*ACCEPTED, *REJECTED)
AESTHETIC = "aesthetic_on_faramir_view"
"""Not the published aesthetic score: that is `aesthetic.score`, and it comes from another view of the picture."""

COLUMNS: tuple[tuple[str, str, Range], ...] = (
    ("accept", "decision", PROBABILITY),
    *((name, "accept", PROBABILITY) for name in ACCEPTED),
    *((name, "reject", PROBABILITY) for name in REJECTED),
    ("confidence", "decision", PROBABILITY),
    ("accept logit", "decision", LOGIT),
    *((f"{name} logit", "logit", LOGIT) for name in CLASSES),
    *((f"{name} raw", "raw", LOGIT) for name in CLASSES),
    *((f"{name} gate", "gate", LOGIT) for name in CLASSES),
    ("free 1", "free", LOGIT),
    ("free 2", "free", LOGIT),
    (AESTHETIC, "aesthetic", Range(1.0, 10.0, "score")),
)
"""Label, group and range. `confidence` is the original's own name for the probability of acceptance.

A class's logit is its raw logit times the sigmoid of its gate; the thirty logits and the two free values are the exact
inputs of the decision.
"""

DRIFTS = (("decision", 0.1), ("accept", 0.08), ("reject", 0.08), ("aesthetic", 0.3))
"""How far bfloat16 may move the numbers of a group; see benchmarks/drift.py. Logits have no bounds, hence no drift."""
LABELS = Labels(
    *cast("tuple[tuple[str, ...], tuple[str, ...], tuple[Range, ...]]", tuple(zip(*COLUMNS, strict=True))), DRIFTS
)
THRESHOLD = 0.5
LOGITS = slice(LABELS.index(f"{CLASSES[0]} logit"), LABELS.index(f"{CLASSES[-1]} logit") + 1)


def name(values: Floats) -> tuple[str, float]:
    """The strongest accepting class when accepted at 0.5, else the strongest rejecting one.

    The margin is in probability: the decision's distance from the threshold, or half the lead of the strongest class,
    whichever is less.
    """
    accept = float(values[0])
    logits = values[LOGITS]
    if np.isnan(accept) or np.isnan(logits).any():
        return "", 0.0
    start, stop = (0, len(ACCEPTED)) if accept > THRESHOLD else (len(ACCEPTED), len(CLASSES))
    order = start + np.argsort(-logits[start:stop], kind="stable")
    first, second = (float(values[1 + index]) for index in order[:2])
    return CLASSES[int(order[0])], min(abs(accept - THRESHOLD), (first - second) / 2)
