"""Finds the tensors and their names in the tree that a pickle describes: a state dict, module, learner or script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from ...errors import CorruptWeights, UnsafeWeights
from .inert_pickle import Made, Name, Stored, as_dict, as_list
from .tensor_file import MOST_TENSORS, Spot, spot

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "params_ema", "params", "ema")
"""The keys under which trainers save the weights beside other things, in order of preference."""
_DEEPEST = 64


class Storage(NamedTuple):
    """Where the elements of a storage lie in the file."""

    dtype: torch.dtype
    start: int
    elements: int
    order: str


Locate = Callable[[Stored], Storage]


def state_dict(tree: Any, locate: Locate) -> dict[str, Spot]:
    """The places of all tensors, by the names that `module.state_dict()` gives them.

    Raises CorruptWeights if there are none, UnsafeWeights for tensors that are not plain and dense.
    """
    found = {name: _tensor(node, locate) for name, node in _Walk().tensors(tree)}
    if not found:
        raise CorruptWeights("it holds no tensors that a model could use")
    return found


class _Walk:
    """Walks a tree, with a limit: a small file can refer to itself in endless ways."""

    def __init__(self) -> None:
        self._visits = 0

    def tensors(self, node: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Made]]:
        """The names and nodes of all tensors below a node."""
        self._visits += 1
        if depth > _DEEPEST or self._visits > MOST_TENSORS:
            raise UnsafeWeights("it has too many modules, or nests them too deep")
        fields = _fields(node)
        if "_parameters" in fields and "_modules" in fields:
            yield from self._module(fields, prefix, depth)
        elif _is_script(node):
            yield from self._children(fields, prefix, depth)
        elif any(_is_tensor(value) for value in fields.values()):
            yield from _own(fields, prefix)
        else:
            yield from self._wrapped(fields, depth)

    def _module(self, fields: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Made]]:
        left_out = _members(fields.get("_non_persistent_buffers_set"))
        yield from _own(_fields(fields["_parameters"]), prefix)
        buffers = _fields(fields.get("_buffers"))
        yield from _own({name: value for name, value in buffers.items() if name not in left_out}, prefix)
        yield from self._children(_fields(fields["_modules"]), prefix, depth)

    def _children(self, fields: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Made]]:
        yield from _own(fields, prefix)
        for name, child in fields.items():
            if isinstance(name, str) and isinstance(child, Made) and not _is_tensor(child) and child.state is not None:
                yield from self.tensors(child, f"{prefix}{name}.", depth + 1)

    def _wrapped(self, fields: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Made]]:
        for name in WRAPPERS:
            if isinstance(fields.get(name), dict | Made):
                yield from self.tensors(fields[name], "", depth + 1)
                return


def _own(fields: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Made]]:
    return ((f"{prefix}{name}", value) for name, value in fields.items() if isinstance(name, str) and _is_tensor(value))


def _fields(node: Any) -> Mapping[Any, Any]:
    """The named contents of a dictionary, or of an object: what was put into it, else its state."""
    if not isinstance(node, Made):
        return as_dict(node) or {}
    if node.items:
        return node.items
    return as_dict(node.state) or as_dict(next(iter(as_list(node.state)), None)) or {}


def _members(node: Any) -> frozenset[str]:
    """The strings in a set, in either of the two forms that pickles have for one."""
    values = next(iter(as_list(node.args)), None) if isinstance(node, Made) else node
    return frozenset(value for value in as_list(values) if isinstance(value, str))


def _is_script(node: Any) -> bool:
    return isinstance(node, Made) and isinstance(node.by, Name) and node.by.module.startswith("__torch__")


def _is_tensor(node: Any) -> bool:
    return (
        isinstance(node, Made)
        and isinstance(node.by, Name)
        and node.by.module.startswith("torch")
        and (node.by.name.startswith("_rebuild_"))
    )


def _tensor(node: Any, locate: Locate, depth: int = 0) -> Spot:
    if depth > 4 or not isinstance(node, Made) or not isinstance(node.by, Name):
        raise CorruptWeights("it describes a tensor in a way that makes no sense")
    match node.by.name, node.args:
        case "_rebuild_tensor" | "_rebuild_tensor_v2", (Stored() as stored, offset, size, stride, *_):
            return _dense(locate(stored), offset, size, stride)
        case "_rebuild_tensor_v3", (Stored() as stored, offset, size, stride, _, _, Name("torch", name), *_):
            return _dense(_typed(locate(stored), name), offset, size, stride)
        case "_rebuild_parameter" | "_rebuild_parameter_with_state", (inner, *_):
            return _tensor(inner, locate, depth + 1)
        case "_rebuild_from_type_v2", (Name() as by, _, args, _):
            return _tensor(Made(by, args), locate, depth + 1)
        case _:
            raise UnsafeWeights(f"it has a tensor made by {node.by.name!r:.80}; only plain dense tensors are read")


def _typed(storage: Storage, name: str) -> Storage:
    dtype = getattr(torch, name, None) if name.isidentifier() else None
    if not isinstance(dtype, torch.dtype):
        raise UnsafeWeights(f"it has a tensor of the unknown type {name!r:.80}")
    return Storage(dtype, storage.start, storage.elements * storage.dtype.itemsize // dtype.itemsize, storage.order)


def _dense(storage: Storage, offset: Any, size: Any, stride: Any) -> Spot:
    sizes, strides = as_list(size), as_list(stride)
    shaped = isinstance(size, tuple) and isinstance(stride, tuple)
    if not shaped or not all(type(number) is int and abs(number) < 1 << 62 for number in (offset, *sizes, *strides)):
        raise CorruptWeights("it describes a tensor without a shape")
    place = (storage.start, storage.elements)
    return spot(storage.dtype, place, tuple(sizes), tuple(strides), offset, storage.order)
