"""Axes for the X/Y/Z plot: a preset, a model's usual gate, and a threshold."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from modules import scripts

from ...core.gates.gate import Gate
from ...core.gates.tree import And, Clause, Comparison, Node, Not, Number, Or
from ...models.presets import PRESETS
from ...models.registry import REGISTRY
from ..host import host
from ..options.choices import Choices, WrongChoice

ATTRIBUTE = "_keepers_axes"
PREFIX = "[Keepers] "


def add_axes() -> None:
    """Add our axes to the host's X/Y/Z plot, once."""
    plot = next((d.module for d in scripts.scripts_data if d.script_class.__module__ == "xyz_grid.py"), None)
    if plot is None or any(str(axis.label).startswith(PREFIX) for axis in plot.axis_options):
        return
    plot.axis_options += [
        plot.AxisOption(f"{PREFIX}Preset", str, _sets("preset"), choices=lambda: list(PRESETS)),
        plot.AxisOption(f"{PREFIX}Model", str, _sets("model"), choices=_models_with_gates),
        plot.AxisOption(f"{PREFIX}Threshold", float, _sets("threshold")),
    ]


def chosen_by_plot(p: Any) -> bool:
    """Whether the plot uses one of our axes; Keepers is then on for this job."""
    return bool(getattr(p, ATTRIBUTE, None))


def changed_by_plot(p: Any, choices: Choices) -> Choices:
    """The choices, with the plot's values in place of the panel's. Raises KeepersError."""
    set_by_plot: Mapping[str, Any] = getattr(p, ATTRIBUTE, None) or {}
    if "preset" in set_by_plot:
        choices = replace(choices, preset=set_by_plot["preset"], gate="")
    if "model" in set_by_plot:
        choices = replace(choices, gate=_usual_gate(set_by_plot["model"]))
    if "threshold" in set_by_plot:
        choices = replace(choices, gate=with_threshold(choices.parsed_gate, float(set_by_plot["threshold"])))
    return choices


def with_threshold(gate: Gate, threshold: float) -> str:
    """The gate's text with every number in its accept clauses replaced by `threshold`. Raises WrongChoice."""
    changed = [
        Clause(clause.outcome, _with(clause.when, threshold) if clause.outcome == "accept" else clause.when)
        for clause in gate.clauses
    ]
    if tuple(changed) == gate.clauses and not _has_number(gate):
        raise WrongChoice("The gate has no number in an accept clause that an axis could change.")
    return "\n".join(map(str, changed))


def _has_number(gate: Gate) -> bool:
    return any(_with(c.when, 0.0) != _with(c.when, 1.0) for c in gate.clauses if c.outcome == "accept")


def _with(node: Node, threshold: float) -> Node:
    if isinstance(node, And | Or):
        return type(node)(tuple(_with(part, threshold) for part in node.parts))
    if isinstance(node, Not):
        return Not(_with(node.part, threshold))
    if isinstance(node, Comparison):
        operands = tuple(Number(threshold) if isinstance(each, Number) else each for each in node.operands)
        return Comparison(operands, node.operators)
    return node


def _sets(name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _: Any) -> None:
        setattr(p, ATTRIBUTE, {**(getattr(p, ATTRIBUTE, None) or {}), name: value})

    return apply


def _models_with_gates() -> list[str]:
    return [spec.id for spec in REGISTRY if spec.gate]


def _usual_gate(model: str) -> str:
    spec = REGISTRY.spec(model, host.judge().store)
    if not spec.gate:
        raise WrongChoice(f"{model} has no usual gate.")
    return spec.gate
