"""Reads a pickle as data: names in it stay names, and calls in it stay records of calls.

Python's own unpickler imports what a file names, and calls it. This one interprets the opcodes itself and can neither
import nor call. What the opcodes would have built comes back as a tree of plain values, `Name`, `Made` and `Stored`;
the reader of that tree decides what it understands.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from ...errors import CorruptWeights, UnsafeWeights

MOST_BYTES = 64 << 20
"""Of one pickle, without tensors. An exported learner that lists its training files takes about 10 MB."""
MOST_STEPS = 3_000_000


class Stream(Protocol):
    """What to read from: BytesIO, or a mapped file at its current position."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


@dataclass(frozen=True)
class Name:
    """Something the file wanted to import."""

    module: str
    name: str


@dataclass(eq=False)
class Made:
    """Something the file wanted called: the class or function, its arguments, and what was put into the result."""

    by: Any
    args: Any
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict[Any, Any])
    values: list[Any] = field(default_factory=list[Any])


@dataclass(eq=False)
class Stored:
    """Something outside the pickle, by the key the writer gave it: for torch, a storage."""

    key: Any


@dataclass(eq=False)
class Key:
    """A dictionary key that is neither hashed nor printed: a hostile one can take forever, or exhaust the stack."""

    value: Any


class _Mark:
    """The start of a run of values on the stack."""


class _Capped:
    """Passes on at most MOST_BYTES."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._end = stream.tell() + MOST_BYTES
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if self.tell() + size > self._end:
            raise UnsafeWeights("the description of its contents is too long, or damaged")
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline()
        if self.tell() > self._end:
            raise UnsafeWeights("the description of its contents is too long, or damaged")
        return line


def read_pickle(stream: Stream, stored: list[Stored] | None = None) -> Any:
    """The value that one pickle describes. The stream is left just after it; `stored` collects what lies outside it.

    Raises CorruptWeights for a damaged pickle, UnsafeWeights for one that is too large or uses opcodes no tensor file
    has.
    """
    machine = _Machine([] if stored is None else stored)
    try:
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(_Capped(stream))):  # pyright: ignore[reportArgumentType] duck-typed
            if steps > MOST_STEPS:
                raise UnsafeWeights("the description of its contents has too many steps")
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CorruptWeights(f"the description of its contents is damaged ({str(error)[:200]})") from None
    raise CorruptWeights("the description of its contents ends too early")


class _Machine:
    """The stack and the memo that opcodes work on."""

    def __init__(self, stored: list[Stored]) -> None:
        self._stored = stored
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _MEMO_PUT:
            self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]
        elif name in _MEMO_GET:
            self._stack.append(self._memo[argument])
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _NOTHING:
            raise UnsafeWeights(f"it uses {name}, which no tensor file needs")

    def pop(self) -> Any:
        value = self._stack.pop()
        if isinstance(value, _Mark):
            raise CorruptWeights("the description of its contents is damaged (a mark out of place)")
        return value

    def run(self) -> list[Any]:
        """Pops the values above the last mark, and the mark."""
        at = len(self._stack) - 1
        while not isinstance(self._stack[at], _Mark):
            at -= 1
            if at < 0:
                raise CorruptWeights("the description of its contents is damaged (a mark is missing)")
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def push(self, value: Any) -> None:
        self._stack.append(value)

    @property
    def top(self) -> Any:
        return self._stack[-1]

    def drop(self, _: Any) -> None:
        self._stack.pop()

    def drop_run(self, _: Any) -> None:
        self.run()

    def tuple_of(self, count: int) -> None:
        self.push(tuple([self.pop() for _ in range(count)][::-1]))

    def named(self, argument: str) -> Name:
        module, _, name = argument.partition(" ")
        return Name(module, name)

    def stack_name(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CorruptWeights("the description of its contents is damaged (a name that is not text)")
        self.push(Name(module, name))

    def make(self, _: Any) -> None:
        args, by = self.pop(), self.pop()
        self.push(Made(by, args))

    def make_with_names(self, _: Any) -> None:
        names, args, by = self.pop(), self.pop(), self.pop()
        self.push(Made(by, args, items=as_dict(names) or {}))

    def make_of_run(self, argument: str | None) -> None:
        values = self.run()
        by = self.named(argument) if argument is not None else values.pop(0)
        self.push(Made(by, tuple(values)))

    def build(self, _: Any) -> None:
        state = self.pop()
        if isinstance(self.top, Made):
            self.top.state = state

    def store(self, key: Any) -> None:
        self._stored.append(Stored(key))
        self.push(self._stored[-1])

    def put(self, values: list[Any]) -> None:
        target = self.top
        if isinstance(target, Made):
            target.values.extend(values)
        elif isinstance(target, list):
            cast("list[Any]", target).extend(values)

    def put_pairs(self, values: list[Any]) -> None:
        target = self.top.items if isinstance(self.top, Made) else as_dict(self.top)
        if target is None or len(values) % 2:
            raise CorruptWeights("the description of its contents is damaged (pairs out of place)")
        target.update(zip(map(_key, values[::2]), values[1::2], strict=True))

    def put_pair(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self.put_pairs([key, value])


def _key(value: Any) -> Any:
    """Only keys whose hash nobody can choose are used as they are."""
    small = isinstance(value, int) and abs(value) < 1 << 40
    return value if value is None or small or isinstance(value, str | bytes) else Key(value)


def as_dict(value: Any) -> dict[Any, Any] | None:
    """The value, if it is a dictionary."""
    return cast("dict[Any, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any]:
    """The values of a list or tuple; empty for anything else."""
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple) else []


def _dict_of(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_key, values[::2]), values[1::2], strict=True))


_ARGUMENTS = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)
"""Opcodes that push the value they carry in the file."""
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # a set would hash what is put into it
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}
_MEMO_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_MEMO_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_NOTHING = frozenset({"PROTO", "FRAME"})
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_run,
    "DUP": lambda m, _: m.push(m.top),
    "TUPLE": lambda m, _: m.push(tuple(m.run())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "LIST": lambda m, _: m.push(m.run()),
    "FROZENSET": lambda m, _: m.push(m.run()),
    "DICT": lambda m, _: m.push(_dict_of(m.run())),
    "GLOBAL": lambda m, argument: m.push(m.named(argument)),
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.make,
    "NEWOBJ": _Machine.make,
    "NEWOBJ_EX": _Machine.make_with_names,
    "INST": _Machine.make_of_run,
    "OBJ": lambda m, _: m.make_of_run(None),
    "BUILD": _Machine.build,
    "APPEND": lambda m, _: m.put([m.pop()]),
    "APPENDS": lambda m, _: m.put(m.run()),
    "ADDITEMS": lambda m, _: m.put(m.run()),
    "SETITEM": _Machine.put_pair,
    "SETITEMS": lambda m, _: m.put_pairs(m.run()),
    "PERSID": _Machine.store,
    "BINPERSID": lambda m, _: m.store(m.pop()),
}
