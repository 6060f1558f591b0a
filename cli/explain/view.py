"""An explanation of FARAMIR on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...models.faramir.explain import Contribution, Explanation, Reason
from ...models.faramir.labels import AESTHETIC
from ..console import console
from ..exit_codes import escaped

WIDTH = 24


@dataclass(frozen=True)
class Beside:
    """Another model's answer for the same image."""

    model: str
    label: str
    value: float | None
    why: str = ""
    """Why there is no value."""


def show(found: Explanation, scores: Sequence[Beside], top: int, notes: Sequence[str] = ()) -> None:
    """Print the explanation."""
    accept = found.prediction["accept"]
    verdict = Text("accepted", "bold green") if accept > 0.5 else Text("rejected", "bold red")
    decision = Text.assemble(verdict, f" at {accept:.3f} (logit {found.logit:+.2f}): {found.prediction.label}")
    console.print(decision)
    console.print(reasons("speaks for accepting", found.accepting[:top]))
    console.print(reasons("speaks for rejecting", found.rejecting[:top]))
    console.print(contributions(found, top))
    console.print(f"aesthetic head on FARAMIR's own view: {found.prediction[AESTHETIC]:.2f} of 10")
    for one in scores:
        said = f"{one.value:.3f}" if one.value is not None else f"unknown ({escaped(one.why)})"
        console.print(f"{one.model}.{one.label}: {said}")
    for note in notes:
        console.print(f"[dim]Note: {escaped(note)}.[/]")


def reasons(title: str, found: Sequence[Reason]) -> Table:
    """Classes with what was found, how far the gate is open, and what passes through."""
    table = Table("class", title=title, title_justify="left", title_style="bold", box=None)
    for name in ("found", "gate", "logit"):
        table.add_column(name, justify="right")
    table.add_column("")
    widest = max((abs(reason.value) for reason in found), default=1.0) or 1.0
    for one in found:
        numbers = (f"{one.raw:+.2f}", f"{one.gate:.0%}", f"{one.value:+.2f}")
        table.add_row(one.label, *numbers, bar(one.value / widest))
    return table


def contributions(found: Explanation, top: int) -> Group:
    """The strongest inputs of the decision, and the sum they contribute to."""
    table = Table("input", title="adds to the decision", title_justify="left", title_style="bold", box=None)
    for name in ("value", "adds", "slope"):
        table.add_column(name, justify="right")
    table.add_column("")
    shown, rest = found.contributions[:top], found.contributions[top:]
    widest = max(abs(one.adds) for one in shown) or 1.0
    table.add_row("(every gate closed)", "", f"{found.start:+.2f}", "", bar(0.0))
    for one in shown:
        table.add_row(one.label, *_numbers(one), bar(one.adds / widest))
    if rest:
        table.add_row(f"({len(rest)} more)", "", f"{sum(one.adds for one in rest):+.2f}", "", "")
    table.add_row("= logit", "", f"{found.logit:+.2f}", "", "", style="bold")
    return Group(table)


def _numbers(one: Contribution) -> tuple[str, str, str]:
    return f"{one.value:+.2f}", f"{one.adds:+.2f}", f"{one.slope:+.2f}"


def bar(share: float) -> Text:
    """A bar from the middle: to the right and green above 0, to the left and red below."""
    length = round(abs(share) * WIDTH / 2)
    half = WIDTH // 2
    if share < 0:
        return Text(" " * (half - length) + "█" * length, "red")
    return Text(" " * half + "█" * length, "green")
