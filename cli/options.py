"""Options that several commands share, grouped in one value.

A parameter whose type is a dataclass of options becomes one option for each of its fields:

    @dataclass(frozen=True)
    class Machine:
        device: Annotated[str, typer.Option(help="auto, cpu, cuda …"), Setting("device")] = "auto"
        batch: Annotated[int, typer.Option(help="Images that go through a net at once.")] = 8

    def scan(*, machine: Machine) -> None: ...
    def similar(*, machine: Annotated[Machine, Fields("device")]) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from ..core.settings import read_settings

CONTEXT = "_context"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Setting:
    """Marks an option that defaults to the user's settings when it is not on the command line."""

    key: str


class Fields:
    """Which fields of a group a command has as options, and the values that differ in this command.

    A field that has a value but is not named is not an option. A command's own value overrides the user's settings.
    """

    def __init__(self, *names: str, **values: object) -> None:
        self.names = names
        self.values = values


@dataclass(frozen=True)
class Group:
    """A parameter of a command that stands for several options."""

    kind: type[Any]
    options: dict[str, inspect.Parameter]
    fixed: dict[str, object] = field(default_factory=dict[str, object])

    @classmethod
    def of(cls, annotation: Any) -> Group | None:
        """The group that an annotation asks for; None for a plain option."""
        kind, *more = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
        if not dataclasses.is_dataclass(kind) or not isinstance(kind, type):
            return None
        asked = next((one for one in more if isinstance(one, Fields)), Fields())
        hints = get_type_hints(kind, include_extras=True)
        options = {
            one.name: _parameter(one, hints[one.name], asked.values)
            for one in dataclasses.fields(kind)
            if not asked.names or one.name in asked.names
        }
        return cls(kind, options, {name: value for name, value in asked.values.items() if name not in options})

    def value(self, values: dict[str, Any]) -> Any:
        """The group's value, from the values of all options."""
        return self.kind(**self.fixed, **{name: values[name] for name in self.options})


def _parameter(one: dataclasses.Field[Any], annotation: Any, values: dict[str, object]) -> inspect.Parameter:
    if one.name in values:  # settings do not replace a command's own default
        kind, *more = get_args(annotation)
        annotation = Annotated[(kind, *(part for part in more if not isinstance(part, Setting)))]  # type: ignore[valid-type]
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=values.get(one.name, one.default), annotation=annotation
    )


def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as typer needs it: one parameter for each option; a call puts the groups together again."""
    parameters: dict[str, inspect.Parameter] = {}
    groups: dict[str, Group] = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        group = Group.of(parameter.annotation)
        if group:
            groups[name] = group
            parameters |= group.options
        else:
            parameters[name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    own = next((name for name, one in parameters.items() if one.annotation is typer.Context), "")
    if not own:
        parameters[CONTEXT] = inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    marked = {name: key for name, one in parameters.items() if (key := _setting(one.annotation))}

    @functools.wraps(function)
    def called(**values: Any) -> Any:
        given = values[own] if own else values.pop(CONTEXT)
        if marked:
            settings = read_settings()
            for name, key in marked.items():
                if not is_given(given, name):
                    values[name] = getattr(settings, key) or values[name]
        made = {name: group.value(values) for name, group in groups.items()}
        taken = {name for group in groups.values() for name in group.options}
        return function(**{name: value for name, value in values.items() if name not in taken}, **made)

    called.__dict__["__signature__"] = inspect.Signature(list(parameters.values()))
    called.__annotations__ = {name: one.annotation for name, one in parameters.items()}
    return called


def _setting(annotation: Any) -> str:
    found = get_args(annotation) if get_origin(annotation) is Annotated else ()
    return next((one.key for one in found if isinstance(one, Setting)), "")


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def in_panel(title: str) -> Callable[..., Any]:
    """`typer.Option` for the options of one panel of the help."""
    return functools.partial(typer.Option, rich_help_panel=title)


def examples(*lines: str) -> Callable[[F], F]:
    """Command lines shown at the end of a command's help."""

    def remember(function: F) -> F:
        function.__dict__["examples"] = lines
        return function

    return remember


def examples_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The command lines given to `examples`."""
    return function.__dict__.get("examples", ())
