"""The names that people know parameters by: those of `named_parameters`, in the outermost module in sight."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Module

from safe_numpy.callsite.members import read_members
from safe_numpy.frameworks.torch.modules import get_dict

_MOST_MODULES = 10_000
_MOST_NAMES = 2

NOT_TIMED = 200
"""so many nodes or modules take well under a millisecond: a pause of the machine's must cost a small network nothing"""

_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""by these names a wrapper has its only child: DataParallel and its like, torch.compile, FSDP, checkpoint_wrapper"""


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
            shown = [_put_in_front(variable, path, all_paths.count(path) > 1) for path in own[:_MOST_NAMES]]
            names.setdefault(parameter_id, " = ".join(shown))
    return names


def _put_in_front(variable: str, path: str, is_ambiguous: bool) -> str:
    return f"{variable}.{path}" if is_ambiguous or "." not in path or path[0].isdigit() else path


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
        for name, parameter in get_dict(members, "_parameters").items():
            yield path + name, parameter
        children = [(n, m) for n, m in get_dict(members, "_modules").items() if m is not None]
        if inside is not None:
            inside.update(id(m) for _, m in children)
        is_wrapper = len(children) == 1 and children[0][0] in _WRAPPERS
        pending += [(path if is_wrapper else f"{path}{name}.", m) for name, m in reversed(children)]
