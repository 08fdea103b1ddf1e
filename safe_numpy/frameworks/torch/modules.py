"""Modules in sight, and the names that people know their parameters by; runs no code of a subclass."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from safe_numpy.callsite.frames import (
    get_class_dict,
    get_class_module,
    get_mro,
    is_exactly,
    is_foreign,
    read_members,
    read_variables,
)

_MOST_FRAMES = 30
_MOST_VARIABLES = 2000
_MOST_MEMBERS = 100
_MOST_MODULES = 10_000
_MOST_NAMES = 2

NOT_TIMED = 200
"""so many nodes or modules take well under a millisecond: a pause of the machine's must cost a small network nothing"""

_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""by these names a wrapper has its only child: DataParallel and its like, torch.compile, FSDP, checkpoint_wrapper"""

_HOLD_NOTHING = frozenset(
    map(id, (FunctionType, BuiltinFunctionType, ModuleType, type, str, bytes, int, float, bool, type(None)))
)
"""ids of classes: a metaclass may say how its classes are hashed"""

Variables = Sequence[tuple[str, Any]]
"""names, and what they hold"""

_KINDS = ("_parameters", "_buffers", "_modules")
_SEQUENCES = (torch.nn.Sequential, torch.nn.ModuleList)


def read_module_member(owner: Any, key: str | int, is_item: bool) -> Any:
    """Return ``owner.key`` or ``owner[key]`` if `owner` is a module that keeps it in its usual place.

    Returns NotImplemented where a class says otherwise.
    """
    cls = type(owner)
    if not issubclass(cls, Module):
        return NotImplemented
    members = read_members(owner)
    if is_item:
        children = list(get_module_dict(members, "_modules").values())
        is_there = is_exactly(owner, *_SEQUENCES) and type(key) is int and -len(children) <= key < len(children)
        return children[key] if is_there else NotImplemented  # type: ignore[index]
    own = [get_class_dict(base) for base in get_mro(cls)]
    answers = next(members["__getattr__"] for members in own if "__getattr__" in members)
    if answers is not Module.__getattr__ or any(key in members for members in own):
        return NotImplemented
    return next(
        (get_module_dict(members, kind)[key] for kind in _KINDS if key in get_module_dict(members, kind)),
        NotImplemented,
    )


def get_module_dict(members: Mapping[str, Any], name: str) -> Mapping[Any, Any]:
    """Return one of a module's dicts, or an empty one."""
    value = members.get(name)
    return value if type(value) is dict or type(value) is OrderedDict else {}  # the latter before torch 2.5


def find_modules(variables: Variables) -> dict[int, tuple[str, Module]]:
    """Return the modules that variables hold, with the variable, by id; in the order of the variables."""
    found: dict[int, tuple[str, Module]] = {}
    for name, value in variables:
        if issubclass(type(value), Module) and found.get(id(value), ("self",))[0] == "self":
            found[id(value)] = name, value
    return found


def find_members(variables: Variables) -> dict[int, tuple[str, Module]]:
    """Return the modules that members of objects hold which variables hold: ``self.model``."""
    found: dict[int, tuple[str, Module]] = {}
    for name, value in variables:
        is_object = not issubclass(type(value), (type, Tensor, Module)) and get_class_module(type(value)) != "builtins"
        if is_object:
            for member, inner in itertools.islice(read_members(value).items(), _MOST_MEMBERS):
                if issubclass(type(inner), Module):
                    found.setdefault(id(inner), (f"{name}.{member}", inner))
    return found


def iterate_variables(stack: Sequence[FrameType]) -> Iterator[tuple[str, Any]]:
    """Yield what these frames see: their own variables, the innermost first, then those of their modules.

    Not functions, classes, modules, numbers and strings, which are most of it: they hold no tensor.
    """
    modules: dict[int, dict[str, Any]] = {}
    for frame in itertools.islice(stack, _MOST_FRAMES):
        yield from _list_holders(read_variables(frame))
        if not is_foreign(frame.f_code.co_filename) and type(frame.f_globals) is dict:
            modules[id(frame.f_globals)] = frame.f_globals
    for variables in modules.values():
        yield from _list_holders(variables.copy())


def _list_holders(variables: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(n, v) for n, v in itertools.islice(variables.items(), _MOST_VARIABLES) if id(type(v)) not in _HOLD_NOTHING]


def name_parameters(wanted: set[int], modules: Mapping[int, tuple[str, Module]], deadline: float) -> dict[int, str]:
    """Return names by the id of the parameter, in the order of the modules.

    A name is the one that `named_parameters` gives, without what wrappers put before it. The variable's name goes in
    front where that says too little (``weight``, ``0.weight``) or where two modules have the same; a parameter that
    is shared has both its names.

    Args:
        wanted: ids of the parameters.
        modules: the modules in sight and their variables, by id, the innermost first.
        deadline: when to stop, by `time.perf_counter`.
    """
    found: dict[int, dict[int, list[str]]] = {}  # outermost module -> parameter -> paths
    inside: set[int] = set()
    for key in reversed(list(modules)):  # the outer frames have the larger ones
        if key in inside:
            continue
        module = modules[key][1]
        paths: dict[int, list[str]] = {}
        for path, parameter in walk_parameters(module, deadline, inside):
            if id(parameter) in wanted:
                paths.setdefault(id(parameter), []).append(path)
        found[key] = paths
    names: dict[int, str] = {}
    roots = {key: found[key] for key in modules if key not in inside and found.get(key)}
    all_paths = [path[0] for paths in roots.values() for path in paths.values()]
    for key, paths in roots.items():
        variable = modules[key][0]
        for parameter_id, own in paths.items():
            clear = (all_paths.count(path) <= 1 and "." in path and not path[0].isdigit() for path in own)
            shown = [path if is_clear else f"{variable}.{path}" for path, is_clear in zip(own, clear, strict=True)]
            names.setdefault(parameter_id, " = ".join(shown[:_MOST_NAMES]))
    return names


def walk_parameters(
    module: Any, deadline: float, inside: set[int] | None = None
) -> Iterator[tuple[str, Tensor | None]]:
    """Yield the parameters of a module and of those in it, with their names; note the ids of those in `inside`.

    Runs nobody's code: `named_parameters` may be overridden.
    """
    pending = [("", module)]
    for count in range(_MOST_MODULES):
        if not pending or (count > NOT_TIMED and time.perf_counter() > deadline):
            return
        path, current = pending.pop()
        members = read_members(current)
        for name, parameter in get_module_dict(members, "_parameters").items():
            yield path + name, parameter
        children = [(n, m) for n, m in get_module_dict(members, "_modules").items() if m is not None]
        if inside is not None:
            inside.update(id(m) for _, m in children)
        is_wrapper = len(children) == 1 and children[0][0] in _WRAPPERS
        pending += [(path if is_wrapper else f"{path}{name}.", m) for name, m in reversed(children)]
