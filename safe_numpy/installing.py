"""Installing: which frameworks, when, and taking it all off again."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from safe_numpy.config.modes import LOCK, Mode, find_demand, get_mode, on_demand, on_wake
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.ledger import at_exit
from safe_numpy.patching import PatchStack, when_imported
from safe_numpy.postmortem import excepthook

if TYPE_CHECKING:
    from safe_numpy.guard.guard import Guard


class _Installed:
    """What is in place."""

    def __init__(self) -> None:
        self.patches = PatchStack()
        self.consumers = PatchStack()
        """constructors of libraries that take tensors apart, while somebody is in strict mode"""
        self.guards: dict[str, Guard] = {}
        self.hooked: set[str] = set()
        self.installed = False
        self.asleep = False
        """the variable said `off` at import: the first caller that asks for more wakes us"""


_state: _Installed = globals().get("_state") or _Installed()  # a reload of this module must not forget


def install() -> None:
    """Guard torch: at once if it is imported already, else as soon as it is. Harmless when called twice."""
    with LOCK:
        _state.asleep = False
        if _state.installed:
            return
        _state.installed = True
        excepthook.add_hooks()
        for module in FRAMEWORKS:
            if module in _state.hooked:
                _guard_if_loaded(module)
            else:
                _state.hooked.add(module)
                when_imported(module, _on_import)
        _follow_mode(find_demand())


def uninstall() -> None:
    """Restore every class exactly as it was.

    A guard that another library has patched over stays where it is, lets everything through, and is named in a
    warning. Harmless when called twice.
    """
    with LOCK:
        _state.installed = _state.asleep = False
        excepthook.remove_hooks()
        for guard in _state.guards.values():
            guard.active = False
            guard.framework.follow_mode(Mode.OFF)
        _state.guards.clear()
        left = _state.patches.undo() + _state.consumers.undo()
    if left:
        warnings.warn(
            f"another library has patched {', '.join(left)} on top of safe_numpy's guard, which therefore stays in "
            "place, and does nothing any more",
            RuntimeWarning,
            stacklevel=2,
        )


def list_doors() -> dict[str, str]:
    """Return whose code stands in each door that was guarded."""
    return _state.patches.list_owners()


def is_installed() -> bool:
    """Tell whether the guard is on, or waiting for a framework to be imported."""
    return _state.installed


def _on_import(module: ModuleType) -> None:
    with LOCK:
        if _state.installed:
            _guard_if_loaded(module.__name__)


def _guard_if_loaded(module: str) -> None:
    if module in _state.guards or sys.modules.get(module) is None:
        return
    # here: a program that never imports a framework need not wait for the machinery behind the guard
    from safe_numpy.diagnosis.framework import load_framework
    from safe_numpy.guard.guard import Guard
    from safe_numpy.ledger.ledger import LEDGER

    framework = load_framework(module)
    guard = Guard(framework)
    _state.patches.apply(framework.list_targets(guard))
    _state.guards[module] = guard
    framework.follow_mode(find_demand())
    at_exit.watch(LEDGER)


def _follow_mode(mode: Mode) -> None:
    """Hand on which mode is the most demanding one that holds anywhere; what looks at lists is for strict mode."""
    with LOCK:
        for guard in _state.guards.values():
            guard.framework.follow_mode(mode)
        _state.consumers.undo()
        if mode is Mode.STRICT and "pandas" not in _state.hooked:
            _state.hooked.add("pandas")
            when_imported("pandas", _guard_consumers)
        elif mode is Mode.STRICT:
            _guard_consumers()


def _guard_consumers(module: ModuleType | None = None) -> None:
    if not (_state.installed and find_demand() is Mode.STRICT and sys.modules.get("pandas")):
        return
    from safe_numpy.frameworks import pandas

    _state.consumers.apply(pandas.list_constructors())


on_demand(_follow_mode)


def install_unless_off() -> None:
    """Install, unless the mode is OFF: then wait for the first caller that asks for another one."""
    _state.asleep = get_mode() is Mode.OFF
    if _state.asleep:
        on_wake(lambda: install() if _state.asleep else None)
    else:
        install()
    at_exit.arm()


def wake_if_asked() -> None:
    """Install, if the variable was `off` so far and has changed since."""
    if _state.asleep and get_mode() is not Mode.OFF:
        install()
