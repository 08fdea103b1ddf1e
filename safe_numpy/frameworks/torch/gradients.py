"""Where a PyTorch gradient comes from: the leaves, by the names that people know them by; and what to advise.

Asked only when somebody reads an explanation. Bounded: a thousand nodes of the graph, five milliseconds; of a tensor
that the failing call was the last to hold, a third of a millisecond as the call fails, of which most take a hundredth.
"""

from __future__ import annotations

import itertools
import time
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from safe_numpy.callsite.flow import sums_in_loop
from safe_numpy.callsite.frames import get_class_module, is_exactly, is_foreign, read_members, read_variables
from safe_numpy.diagnosis.facts import Problem
from safe_numpy.frameworks.torch import modules
from safe_numpy.messages.units import count_noun, join_names, name_place

_MOST_NODES = 1000
_MOST_AHEAD = 16
_MOST_FRAMES = 30
_MOST_MEMBERS = 2000
_SECONDS = 0.005
_SECONDS_AHEAD = 0.0003
"""for a tensor that is going to be gone; some 600 nodes, at 0.45 µs each"""

_SHOWN = 2

_DICTS = (dict, OrderedDict, defaultdict)
_COLLECTIONS = (list, deque, type(dict[int, int]().values()))

REMARKS = {
    "forward": "`{function}` is running: what is computed from the array has no gradient, and learning stops here",
    "accumulated": "collect `loss.item()` or `loss.detach()` where a loss is computed: "
    "as they are, they keep every graph in memory",
    "evaluation": "`{module}` is in evaluation mode: inside `with torch.inference_mode():` autograd records nothing",
}
"""what else is to be known, and the usual way out"""

_next_of_python_node = torch._C._FunctionBase.__dict__["next_functions"].__get__


@dataclass(frozen=True, slots=True)
class Origin:
    """The operation that made a tensor, and what that was computed from."""

    operation: str
    """empty: none, it is a leaf"""
    leaves: Sequence[Tensor]
    """the nearest first"""
    is_complete: bool
    is_scalar: bool
    stacked: int
    """so many scalars it is the stack of"""
    seen: int
    """so many operations were looked at"""


def _look_back(node: Any, dim: int, most: int = _MOST_NODES, seconds: float = _SECONDS) -> Origin:
    """Return where a tensor of so many dimensions comes from, of which `node` is the ``grad_fn``."""
    if node is None:
        return Origin("", (), True, False, 0, 0)
    leaves, is_complete, seen = _search_leaves(node, time.perf_counter() + seconds, most)
    line, name = _find_line(node), node.name()
    operation = f"{name}, made at {line}" if line else name
    stacked = len(get_next(node)) if name == "StackBackward0" and dim == 1 else 0
    return Origin(operation, leaves, is_complete, dim == 0, stacked, seen)


def remember_origin(node: Any, dim: int) -> Callable[[], Origin]:
    """Look back at a tensor that is gone: as far as the names take that will be shown, and no further.

    What it finds is held weakly.

    Args:
        node: the tensor's ``grad_fn``.
        dim: how many dimensions it had.
    """
    origin = _look_back(node, dim, _MOST_AHEAD)
    if not origin.is_complete and sum(issubclass(type(leaf), Parameter) for leaf in origin.leaves) < _SHOWN:
        origin = _look_back(node, dim, _MOST_NODES, _SECONDS_AHEAD)
    references = [weakref.ref(leaf) for leaf in origin.leaves]
    origin = replace(origin, leaves=())
    return lambda: replace(origin, leaves=[leaf for r in references if (leaf := r()) is not None])


def explain_gradient(
    x: Tensor | None,
    clue: Callable[[], Origin] | None,
    problems: Sequence[Problem],
    path: str,
    stack: Sequence[FrameType],
) -> tuple[Sequence[Problem], Sequence[str]]:
    """Return the problems, that of the gradient with its whole origin, and the most urgent remark."""
    origin = clue() if clue is not None else None
    if x is not None:
        origin = _look_back(x.grad_fn, x.dim())
        origin = origin if origin.operation else replace(origin, leaves=[x])
    variables = list(modules.iterate_variables(stack))
    remarks = list(itertools.islice(_find_advice(x, origin, path, stack, variables), 1))
    if origin is None:
        return problems, remarks
    text = _describe(origin, variables)
    return [replace(p, facts={**p.facts, "origin": text}) if p.cause == "grad" else p for p in problems], remarks


def _describe(origin: Origin, variables: modules.Variables) -> str:
    """Return ``AddmmBackward0, from head.weight and head.bias``."""
    by_id = find_names(origin.leaves, variables, time.perf_counter() + _SECONDS)
    nearest = [id(leaf) for leaf in origin.leaves if id(leaf) in by_id]
    # the nearest first, but in the order of their module
    names = [by_id[key] for key in sorted(nearest[:_SHOWN], key=list(by_id).index) + nearest[_SHOWN:]]
    if not origin.operation:
        return f"the parameter {names[0]}" if names and "." in names[0] else "a leaf that requires grad"
    if not origin.leaves and not origin.is_complete:
        return f"{origin.operation}, from parameters beyond the nearest {origin.seen:,} operations"
    if not names:
        return origin.operation
    others = len(origin.leaves) - min(len(names), _SHOWN)
    shown = names[:_SHOWN]
    if others or not origin.is_complete:
        shown.append(count_noun(others, "other") if origin.is_complete else "others")
    return f"{origin.operation}, from {join_names(shown)}"


def find_leaves(node: Any, deadline: float, most: int = _MOST_NODES) -> tuple[list[Tensor], bool]:
    """Return the leaf tensors that a graph node was computed from, the nearest first; and whether these are all.

    Args:
        node: a tensor's ``grad_fn``.
        deadline: when to stop, by `time.perf_counter`; the first nodes are looked at without one.
        most: how many nodes to look at.
    """
    return _search_leaves(node, deadline, most)[:2]


def _search_leaves(node: Any, deadline: float, most: int) -> tuple[list[Tensor], bool, int]:
    """Return the number of nodes that were met as well."""
    leaves: dict[int, Tensor] = {}
    seen, pending = {node}, deque([node])
    while pending:
        if len(seen) > most or (len(seen) > modules.NOT_TIMED and time.perf_counter() > deadline):
            return list(leaves.values()), False, min(len(seen), most)
        current = pending.popleft()
        if type(current).__name__ == "AccumulateGrad":
            leaf = current.variable
            leaves[id(leaf)] = leaf
            continue
        for following, _ in get_next(current):
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    return list(leaves.values()), True, len(seen)


def get_next(node: Any) -> Any:
    """Return the nodes that a node's inputs came from, each with the number of the output."""
    if isinstance(node, torch._C._FunctionBase):  # of a class of somebody's own
        return _next_of_python_node(node)
    return node.next_functions


def _find_line(node: Any) -> str:
    """Return the line that made an operation, which torch knows in anomaly mode alone."""
    if not torch.is_anomaly_enabled() or isinstance(node, torch._C._FunctionBase):
        return ""
    made: Sequence[str] = node.metadata.get("traceback_", ())
    for entry in reversed(made):  # as traceback.format_stack gives them
        head, _, function = entry.strip().partition("\n")[0].rpartition(", in ")
        filename, _, lineno = head.removeprefix('File "').rpartition('", line ')
        if function and lineno.isdigit() and not is_foreign(filename):
            return name_place(filename, int(lineno))
    return ""


def find_names(leaves: Sequence[Tensor], variables: modules.Variables, deadline: float) -> dict[int, str]:
    """Return the names of those leaves that have one in sight, by id, in the order of their module."""
    wanted = {id(leaf) for leaf in leaves}
    names = modules.name_parameters(wanted, modules.find_modules(variables), deadline) if wanted else {}
    if len(names) < len(wanted):
        names |= modules.name_parameters(wanted - names.keys(), modules.find_members(variables), deadline)
    unnamed = [leaf for leaf in leaves if id(leaf) not in names]
    others = _name_by_variables({id(leaf) for leaf in unnamed}, variables) if unnamed else {}
    return names | {id(leaf): others[id(leaf)] for leaf in unnamed if id(leaf) in others}


def _name_by_variables(wanted: set[int], variables: modules.Variables) -> dict[int, str]:
    """Return the variables, and the members of `self`, that are some tensors, by the id of those wanted."""
    names: dict[int, str] = {}
    for name, value in variables:
        if id(value) in wanted:
            names.setdefault(id(value), name)
        for member, inner in itertools.islice(read_members(value).items(), _MOST_MEMBERS) if name == "self" else ():
            if id(inner) in wanted:
                names.setdefault(id(inner), f"self.{member}")
    return names


def _find_advice(
    x: Tensor | None, origin: Origin | None, path: str, stack: Sequence[FrameType], variables: modules.Variables
) -> Iterator[str]:
    """Yield what else is to be said of a tensor that autograd records, the most urgent first."""
    function = find_forward(stack)
    if function:
        yield REMARKS["forward"].format(function=function)
    if origin is not None and origin.operation and _is_accumulated(x, origin, path, stack, variables):
        yield REMARKS["accumulated"]
    for variable, module in modules.find_modules(variables).values():
        if read_members(module).get("training") is False:
            parameters = modules.walk_parameters(module, time.perf_counter() + _SECONDS)
            if any(p is not None and p.requires_grad for _, p in itertools.islice(parameters, 100)):
                yield REMARKS["evaluation"].format(module=variable)
                return


def _is_accumulated(
    x: Tensor | None, origin: Origin, path: str, stack: Sequence[FrameType], variables: modules.Variables
) -> bool:
    """Tell whether it is one of many losses that were collected with their graphs, or what was made of all of them."""
    if origin.stacked > 1:
        return any(len(items) == origin.stacked for items in _find_collections(variables))
    if not origin.is_scalar or x is None:
        return False
    if "[" in path:
        return any(item is x for items in _find_collections(variables) for item in items)
    if not origin.operation.startswith("AddBackward0"):
        return False
    users = (frame for frame in itertools.islice(stack, _MOST_FRAMES) if not is_foreign(frame.f_code.co_filename))
    return any(value is x and sums_in_loop(f, name) for f in users for name, value in read_variables(f).items())


def _find_collections(variables: modules.Variables) -> Iterator[Sequence[Tensor]]:
    """Yield the lists and the like in sight that hold scalars which autograd records, several of them."""
    for _, value in variables:
        is_object = get_class_module(type(value)) != "builtins" and not issubclass(
            type(value), (type, Tensor, *_COLLECTIONS)
        )
        holders = list(read_members(value).values()) if is_object and not is_exactly(value, *_DICTS) else [value]
        for holder in itertools.islice(holders, _MOST_MEMBERS):
            nested = holder.values() if is_exactly(holder, *_DICTS) else ()
            # by numbers of steps, which names of figures are not
            by_step = is_exactly(holder, *_DICTS) and type(next(iter(holder), None)) is int
            for items in itertools.islice((nested if by_step else holder, *nested), _MOST_MEMBERS):
                found = _list_scalars(items)
                if len(found) > 1:
                    yield found


def _list_scalars(items: Any) -> list[Tensor]:
    """Return what a container holds if all of it is scalars that autograd records, as far as a look goes."""
    if not is_exactly(items, *_COLLECTIONS):
        return []
    found = list(itertools.islice(items, _MOST_NODES))
    return found if all(type(x) is Tensor and x.dim() == 0 and x.requires_grad for x in found) else []


def find_forward(stack: Sequence[FrameType]) -> str:
    """Return ``Net.forward`` if one is running."""
    for frame in itertools.islice(stack, _MOST_FRAMES):
        code = frame.f_code
        if code.co_name == "forward" and code.co_argcount and not is_foreign(code.co_filename):
            module = read_variables(frame).get(code.co_varnames[0])
            if issubclass(type(module), Module):
                return f"{type(module).__name__}.forward"
    return ""
