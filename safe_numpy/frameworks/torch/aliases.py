"""Whom a write to an array would harm: a parameter, or a value that autograd keeps for the backward pass."""

from __future__ import annotations

import functools
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from safe_numpy.frameworks.torch import detect as sights
from safe_numpy.frameworks.torch.gradients import get_next
from safe_numpy.frameworks.torch.modules import find_members, find_modules, iterate_variables
from safe_numpy.frameworks.torch.names import walk_parameters

_MOST_TENSORS = 50
_MOST_NODES = 500
_SECONDS = 0.02


class Harmed(NamedTuple):
    """Whose memory it is."""

    kind: str
    """``parameter``, ``leaf`` or ``saved``: keys of `_wording.ALIASES` and `_wording.HARMS`"""
    name: str = ""
    """the user's, of a parameter or a leaf"""


def find_harmed(x: Tensor, stack: Sequence[FrameType]) -> Harmed | None:
    """Return who shares the memory of `x`, where that can be told from what these frames see; else None."""
    if type(x) not in sights.PLAIN or x.layout is not torch.strided:
        return None
    same = [t for t in (x, x._base) if t is not None]
    leaf = next((t for t in same if t.is_leaf and t.requires_grad), None)
    if leaf is not None:
        return Harmed("parameter" if isinstance(leaf, Parameter) else "leaf")
    memory = x.untyped_storage()._cdata
    if not x.requires_grad:
        leaf_in_sight = _find_leaf(memory, stack)
        if leaf_in_sight is not None:
            return leaf_in_sight
    nodes = [t.grad_fn for t in same if t.grad_fn is not None]
    return Harmed("saved") if any(_saves(n, memory) for n in (*nodes, *_walk_graphs(stack))) else None


def _find_leaf(memory: int, stack: Sequence[FrameType]) -> Harmed | None:
    for name, value in iterate_variables(stack):
        if type(value) in sights.PLAIN and value.requires_grad and value.is_leaf and _is_at(value, memory):
            return Harmed("parameter" if isinstance(value, Parameter) else "leaf", name)
    deadline = time.perf_counter() + _SECONDS
    for variable, module in (*find_modules(stack).values(), *find_members(stack).values()):
        for path, parameter in walk_parameters(module, deadline):
            if parameter is not None and parameter.requires_grad and _is_at(parameter, memory):
                return Harmed("parameter", f"{variable}.{path}")
    return None


def _is_at(x: Tensor, memory: int) -> bool:
    return type(x) in sights.PLAIN and x.layout is torch.strided and bool(x.untyped_storage()._cdata == memory)


def _walk_graphs(stack: Sequence[FrameType]) -> Iterator[Any]:
    """Yield the nodes of the graphs that these frames see."""
    tensors = (v for _, v in iterate_variables(stack) if type(v) in sights.PLAIN and v.grad_fn is not None)
    pending: deque[Any] = deque(t.grad_fn for t in itertools.islice(tensors, _MOST_TENSORS))
    seen = set(pending)
    while pending and len(seen) < _MOST_NODES:
        node = pending.popleft()
        yield node
        following = {n for n, _ in get_next(node) if n is not None} - seen
        pending += following
        seen |= following


@functools.cache
def _list_saved(node_class: type) -> tuple[str, ...]:
    return tuple(name for name in dir(node_class) if name.startswith("_raw_saved_"))


def _saves(node: Any, memory: int) -> bool:
    """Tell whether a node keeps a tensor in this memory.

    Looks at what is kept without unpacking it, since that may run a hook: a checkpoint's would run its forward again.
    """
    for name in _list_saved(node.__class__):
        kept = getattr(node, name, None)
        for saved in kept if isinstance(kept, (list, tuple)) else (kept,):
            data = getattr(saved, "data", None) if getattr(saved, "unpack_hook", None) is None else None
            if isinstance(data, Tensor) and _is_at(data, memory):
                return True
    return False
