"""Reading `torch.nn.Module` and its like without running the code of a subclass."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from safe_numpy.callsite import frames as _callsite
from safe_numpy.callsite.members import read_members, read_variables

_MOST_FRAMES = 30
_MOST_VARIABLES = 2000
_MOST_MEMBERS = 100
_KINDS = ("_parameters", "_buffers", "_modules")
_SEQUENCES = (torch.nn.Sequential, torch.nn.ModuleList)


def read_member(owner: Any, key: str | int, is_item: bool) -> Any:
    """Return ``owner.key`` or ``owner[key]`` if `owner` is a module that keeps it in its usual place.

    Returns NotImplemented where a class says otherwise.
    """
    cls = type(owner)
    if not issubclass(cls, Module):
        return NotImplemented
    members = read_members(owner)
    if is_item:
        children = list(get_dict(members, "_modules").values())
        is_there = cls in _SEQUENCES and type(key) is int and -len(children) <= key < len(children)
        return children[key] if is_there else NotImplemented  # type: ignore[index]
    if getattr(cls, "__getattr__", None) is not Module.__getattr__ or hasattr(cls, str(key)):
        return NotImplemented
    return next((get_dict(members, kind)[key] for kind in _KINDS if key in get_dict(members, kind)), NotImplemented)


def get_dict(members: Mapping[str, Any], name: str) -> Mapping[Any, Any]:
    """Return one of a module's dicts, or an empty one."""
    value = members.get(name)
    return value if type(value) is dict or type(value) is OrderedDict else {}  # the latter before torch 2.5


def find_modules(stack: Sequence[FrameType]) -> dict[int, tuple[str, Module]]:
    """Return the modules that variables of these frames hold, with the variable, by id; the innermost first."""
    found: dict[int, tuple[str, Module]] = {}
    for name, value in iterate_variables(stack):
        if issubclass(type(value), Module) and found.get(id(value), ("self",))[0] == "self":
            found[id(value)] = name, value
    return found


def find_members(stack: Sequence[FrameType]) -> dict[int, tuple[str, Module]]:
    """Return the modules that members of objects hold which variables of these frames hold: ``self.model``."""
    found: dict[int, tuple[str, Module]] = {}
    for name, value in iterate_variables(stack):
        if _is_object(value):
            for member, inner in itertools.islice(read_members(value).items(), _MOST_MEMBERS):
                if issubclass(type(inner), Module):
                    found.setdefault(id(inner), (f"{name}.{member}", inner))
    return found


def _is_object(value: Any) -> bool:
    return not issubclass(type(value), (type, Tensor, Module)) and type(value).__module__ != "builtins"


def iterate_variables(stack: Sequence[FrameType]) -> Iterator[tuple[str, Any]]:
    """Yield the variables in sight of these frames: their own, the innermost first, then those of their modules."""
    modules: dict[int, dict[str, Any]] = {}
    for frame in itertools.islice(stack, _MOST_FRAMES):
        yield from itertools.islice(read_variables(frame).items(), _MOST_VARIABLES)
        if not _callsite.is_foreign(frame.f_code.co_filename) and type(frame.f_globals) is dict:
            modules[id(frame.f_globals)] = frame.f_globals
    for variables in modules.values():
        yield from itertools.islice(list(variables.items()), _MOST_VARIABLES)
