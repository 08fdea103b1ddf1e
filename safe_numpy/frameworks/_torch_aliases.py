"""Whom a write to an array would harm: a parameter, or a value that autograd keeps for the backward pass."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from safe_numpy.frameworks import _torch_sights as sights
from safe_numpy.frameworks._torch_modules import iterate_variables
from safe_numpy.frameworks._torch_origin import get_next

_MOST_TENSORS = 50
_MOST_NODES = 500

_RESULTS = frozenset({"_saved_result", "_saved_output"})

_INPUTS = (
    "_saved_self", "_saved_other", "_saved_input", "_saved_weight", "_saved_mat1", "_saved_mat2", "_saved_vec",
    "_saved_mat", "_saved_batch1", "_saved_batch2", "_saved_tensor1", "_saved_tensor2", "_saved_tensors",
)  # fmt: skip
"""names under which a node keeps an input (tools/autograd/derivatives.yaml)"""


def find_alias(x: Tensor, frame: FrameType) -> str:
    """Return ``parameter``, ``leaf`` or ``saved`` for what shares the memory of `x`; nothing where that cannot be told.

    What is saved is told by the classes of the graph's nodes: to unpack it could run a checkpoint's forward again.
    """
    if type(x) not in sights.PLAIN or not x.requires_grad:
        return ""
    same = [t for t in (x, x._base) if t is not None]
    leaves = [t for t in same if t.is_leaf and t.requires_grad]
    if leaves:
        return "parameter" if isinstance(leaves[0], Parameter) else "leaf"
    nodes = {t.grad_fn for t in same if t.grad_fn is not None}
    if any(not _RESULTS.isdisjoint(dir(type(node))) for node in nodes):
        return "saved"
    return "saved" if any(_keeps_input(node) for node in _find_consumers(nodes, frame)) else ""


def _keeps_input(node: Any) -> bool:
    return any(name in _INPUTS for name in dir(type(node)))


def _find_consumers(nodes: set[Any], frame: FrameType) -> Iterator[Any]:
    """Yield what was computed from the results of `nodes`, and is part of a tensor that the caller can see."""
    tensors = (v for _, v in iterate_variables([frame]) if type(v) in sights.PLAIN and v.grad_fn is not None)
    pending: deque[Any] = deque(t.grad_fn for t in itertools.islice(tensors, _MOST_TENSORS))
    seen = set(pending)
    while pending and len(seen) < _MOST_NODES:
        node = pending.popleft()
        following = {n for n, _ in get_next(node) if n is not None}
        if following & nodes:
            yield node
        pending += following - seen
        seen |= following
