"""PyTorch's hazards: conversions that work and should not. Strict mode adds them to the table of causes.

Each was reproduced on stock torch 2.13; see tests/test_strict.py.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from safe_numpy.callsite.flow import Flow, follow
from safe_numpy.callsite.frames import find_caller, find_direct_caller, list_callers, list_sites
from safe_numpy.diagnosis.causes import Cause, Plan, find_headline
from safe_numpy.diagnosis.diagnosis import make_diagnosis
from safe_numpy.diagnosis.facts import Door, Facts, Kind, Sharer, Site
from safe_numpy.diagnosis.framework import make_plan
from safe_numpy.frameworks.torch import causes, detect, modules
from safe_numpy.frameworks.torch.gradients import find_forward, get_next
from safe_numpy.frameworks.torch.modules import find_members, find_modules, iterate_variables, walk_parameters

_MOST_FRAMES = 30
_MOST_TENSORS = 50
_MOST_NODES = 500
_MOST_CALLERS = 10
_MOST_FLOWS = 1000
_SECONDS = 0.02

EXPORTED = "the array that DLPack makes of {subject} is silently wrong: {detail}"

_LOUD = frozenset({Kind.GRAD, Kind.CONJ, Kind.LAYOUT, Kind.NESTED, Kind.DTYPE, Kind.QUANTIZED, Kind.DEVICE})
"""what ``__dlpack__`` refuses itself (torch/_tensor.py), or NumPy, when it is handed the capsule; not the negative bit:
https://github.com/pytorch/pytorch/pull/145000"""


_SAVED = Sharer(
    "",
    "a value that autograd has saved for backward()",
    "which autograd has saved for backward()",
    "gives wrong gradients",
)


def _make_sharer(leaf: Tensor, name: str = "") -> Sharer:
    if isinstance(leaf, Parameter):
        effect = "changes the model, and autograd does not notice"
        return Sharer(name, "a parameter", "and it is a parameter", effect, "a step of the optimizer")
    effect = "changes it, and autograd does not notice"
    what = "and autograd computes its gradient"
    return Sharer(name, "a leaf of autograd's graph", what, effect, "a step of the optimizer")


def find_sharer(x: Tensor, stack: Sequence[FrameType]) -> Sharer | None:
    """Return who shares the memory of `x`, where that can be told from what these frames see; else None."""
    if not detect.is_plain(x) or x.layout is not torch.strided:
        return None
    same = [t for t in (x, x._base) if t is not None]
    leaf = next((t for t in same if t.is_leaf and t.requires_grad), None)
    if leaf is not None:
        return _make_sharer(leaf)
    memory = x.untyped_storage()._cdata
    variables = list(iterate_variables(stack))
    in_sight = None if x.requires_grad else _find_leaf(memory, variables)
    if in_sight is not None:
        return in_sight
    nodes = [t.grad_fn for t in same if t.grad_fn is not None]
    return _SAVED if any(_saves(n, memory) for n in (*nodes, *_walk_graphs(variables))) else None


def _find_leaf(memory: int, variables: modules.Variables) -> Sharer | None:
    for name, value in variables:
        if detect.is_plain(value) and value.requires_grad and value.is_leaf and _is_at(value, memory):
            return _make_sharer(value, name)
    deadline = time.perf_counter() + _SECONDS
    for variable, module in (*find_modules(variables).values(), *find_members(variables).values()):
        for path, parameter in walk_parameters(module, deadline):
            if parameter is not None and parameter.requires_grad and _is_at(parameter, memory):
                return _make_sharer(parameter, f"{variable}.{path}")
    return None


def _is_at(x: Tensor, memory: int) -> bool:
    return detect.is_plain(x) and x.layout is torch.strided and bool(x.untyped_storage()._cdata == memory)


def _walk_graphs(variables: modules.Variables) -> Iterator[Any]:
    """Yield the nodes of the graphs in sight."""
    tensors = (v for _, v in variables if detect.is_plain(v) and v.grad_fn is not None)
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

    Looks at what is kept without unpacking it, since that may run a hook: a checkpoint's would run its forward again
    (https://github.com/pytorch/pytorch/blob/v2.13.0/torch/utils/checkpoint.py#L1165-L1178).
    """
    for name in _list_saved(node.__class__):
        kept = getattr(node, name, None)
        for saved in kept if isinstance(kept, (list, tuple)) else (kept,):
            data = getattr(saved, "data", None) if getattr(saved, "unpack_hook", None) is None else None
            if isinstance(data, Tensor) and _is_at(data, memory):
                return True
    return False


def _has_tangent(x: Tensor, door: Door) -> bool:
    """Tell whether `x` carries a tangent of forward-mode AD, of the level that is open."""
    if forward_ad._current_level < 0 or not detect.is_plain(x):
        return False
    return forward_ad.unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]


def _find_expanded(x: Tensor, door: Door) -> Facts | None:
    """Find elements that share one place in memory."""
    if x.is_nested or x.layout is not torch.strided or not x.numel():
        return None
    times = math.prod(size for size, stride in zip(x.shape, x.stride(), strict=True) if stride == 0)
    return {"times": str(times)} if times > 1 else None


def _find_shared(x: Tensor, door: Door) -> Facts | None:
    """Find a parameter, or a value that autograd has saved, in the same memory."""
    if not detect.is_plain(x) or not x.is_cpu or not torch.is_grad_enabled() or _find_expanded(x, door):
        return None
    if x.dtype not in detect.NUMPY_DTYPES:
        return None  # what is widened is a copy
    sharer = find_sharer(x, list_callers(find_caller(find_direct_caller()).frame, _MOST_FRAMES))
    return sharer and {"whom": sharer.describe("x"), "effect": sharer.effect}


_flows: dict[tuple[tuple[int, int], ...], tuple[Sequence[Site], Flow]] = {}
"""by the instructions that were running; strict mode looks at every call, and reads the source of a line once"""


def _find_flow(frame: FrameType) -> Flow:
    sites = list_sites(list_callers(frame), _MOST_CALLERS)
    key = tuple((id(site.code), site.lasti) for site in sites)
    known = _flows.get(key)
    if known is None:
        if len(_flows) >= _MOST_FLOWS:
            _flows.clear()
        known = _flows[key] = sites, follow(sites)  # the sites keep the code, and so the ids
    return known[1]


def _find_detached(x: Tensor, door: Door) -> Facts | None:
    """Find that the array of a value which autograd records becomes a tensor again, in a module's forward.

    A value that was copied, ``h.detach().clone()``, or of which nothing else is left, cannot be told from any other.
    """
    if not detect.is_plain(x) or x.layout is not torch.strided or not torch.is_grad_enabled():
        return None
    frame = find_caller(find_direct_caller()).frame
    stack = list_callers(frame, _MOST_FRAMES)
    function = find_forward(stack)
    name = "it" if x.requires_grad else _find_recorded(x.untyped_storage()._cdata, stack) if function else ""
    if not function or not name or _find_flow(frame) is not Flow.RETURNS:
        return None
    return {"name": name, "function": function}


def _find_recorded(memory: int, stack: Sequence[FrameType]) -> str:
    """Return the variable that holds a tensor which autograd has computed in this memory, as code; empty: none does."""
    for name, value in iterate_variables(stack):
        if detect.is_plain(value) and value.grad_fn is not None and _is_at(value, memory):
            return f"`{name}`"
    return ""


HAZARDS: tuple[Cause, ...] = (
    Cause(
        Kind.TANGENT, "dual", _has_tangent, "torch.autograd.forward_ad.unpack_dual({x}).primal",
        "it is a dual number of forward-mode AD: it carries a tangent, which the array would lose",
        done="taken from its dual number, whose tangent does not see the array",
        copies=False, is_unguarded=True,
    ),
    Cause(
        Kind.EXPANDED, "expanded", _find_expanded, "{x}.contiguous()",
        "it is expanded: {times} elements share one place in memory, and one write to the array would change them "
        "all", done="copied out of expanded memory",
        is_unguarded=True,
    ),
    Cause(
        Kind.ALIAS, "alias", _find_shared, "{x}.clone()",
        "it shares the memory of {whom}: a write to the array {effect}", done="copied",
        instead="where nobody writes to the array, `with safe_numpy.mode('explain'):` lets it pass",
        is_unguarded=True,
    ),
    Cause(
        Kind.TAPE, "detached", _find_detached, None,
        "autograd records {name}, and not what `{function}` makes of the array, which becomes a tensor again: no "
        "gradient comes back this way",
        instead="compute it with torch, as by torch.tanh for np.tanh; where the gradient is to stop here, "
        "`with safe_numpy.mode('explain'):` lets it pass",
        is_unguarded=True,
    ),
)  # fmt: skip


def find_hazards(x: Tensor) -> Sequence[Cause]:
    """Return the causes that can concern `x`, the hazards where they belong: before the array is made."""
    known = causes.find_causes(x)
    end = next((i for i, cause in enumerate(known) if cause.ends and cause.code is not None), len(known))
    return (*known[:end], *HAZARDS, *known[end:])


def keep_hazards(plan: Plan) -> Plan:
    """Return a plan with what DLPack exports without an error, though it should not."""
    problems = tuple(p for p in plan.problems if p.kind not in _LOUD)
    return replace(plan, problems=problems, headline=find_headline(problems, causes.STOCK_ORDER[Door.DLPACK]))


def describe_export(x: Tensor) -> str | None:
    """Return what is wrong with the capsule of `x`, and what to write instead; None: it is right."""
    plan, whole = make_plan(x, Door.DLPACK), make_plan(x, Door.NUMPY)
    if plan is None or whole is None or not (problems := keep_hazards(plan).problems):
        return None
    diagnosis = make_diagnosis(whole)
    reasons = "; ".join(diagnosis.fill(p.says.reason, p.facts) for p in problems)
    return f"{reasons}. Written out: {diagnosis.fix}" if diagnosis.fix else reasons
