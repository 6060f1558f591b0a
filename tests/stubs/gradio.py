"""A stub of gradio: components that remember how they were made. Only what both gradio 3.41 and 4.40 take.

IS_STUB tells it apart from the real library.
"""

from __future__ import annotations

from typing import Any

IS_STUB = True
COMMON = {"label", "value", "elem_id", "elem_classes", "visible", "interactive"}


class Component:
    """A field. Refuses arguments that one of the two gradio versions does not know."""

    takes: frozenset[str] = frozenset()
    first = "value"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        unknown = set(named) - COMMON - self.takes
        assert not unknown, f"gradio's {type(self).__name__} takes no {unknown}"
        self.value: Any = arguments[0] if arguments and self.first == "value" else named.get("value")
        self.label: str = named.get("label", "")
        self.elem_id: str = named.get("elem_id", "")
        self.given = {**named, **({self.first: arguments[0]} if arguments else {})}
        self.listeners: list[tuple[str, Any, list[Any], list[Any]]] = []

    def change(self, fn: Any, inputs: Any = None, outputs: Any = None, **named: Any) -> None:
        """Listen to every change."""
        self._listen("change", fn, inputs, outputs, named)

    def input(self, fn: Any, inputs: Any = None, outputs: Any = None, **named: Any) -> None:
        """Listen to what a person does."""
        self._listen("input", fn, inputs, outputs, named)

    def _listen(self, kind: str, fn: Any, inputs: Any, outputs: Any, named: dict[str, Any]) -> None:
        assert set(named) <= {"show_progress", "queue"}, named
        self.listeners.append((kind, fn, list(inputs or ()), list(outputs or ())))


class Frame:
    """Something that other components stand in."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments, self.named = arguments, named

    def __enter__(self) -> Frame:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Accordion(Frame):
    """As gradio's."""


class Row(Frame):
    """As gradio's."""


class Blocks(Frame):
    """As gradio's."""


class Checkbox(Component):
    """As gradio's."""


class Dropdown(Component):
    """As gradio's."""

    takes = frozenset({"choices", "multiselect"})
    first = "choices"


class Radio(Component):
    """As gradio's."""

    takes = frozenset({"choices"})
    first = "choices"


class Slider(Component):
    """As gradio's."""

    takes = frozenset({"minimum", "maximum", "step"})
    first = "minimum"


class Textbox(Component):
    """As gradio's."""

    takes = frozenset({"lines", "max_lines", "placeholder"})


class HTML(Component):
    """As gradio's."""


def update(**named: Any) -> dict[str, Any]:
    """What an event handler gives back to change a component."""
    return {"__type__": "update", **named}
