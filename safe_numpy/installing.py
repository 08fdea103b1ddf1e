"""Installing: which frameworks, when, and taking it all off again."""

from __future__ import annotations

import sys
import threading
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from safe_numpy.config.modes import Mode, get_mode, is_strict_anywhere, on_strict, on_wake
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.ledger import at_exit
from safe_numpy.patching import PatchStack, when_imported
from safe_numpy.postmortem import excepthook as hooks

if TYPE_CHECKING:
    from safe_numpy.guard.guard import Guard


class _State:
    """What is in place."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.patches = PatchStack()
        self.consumers = PatchStack()
        """constructors of libraries that take tensors apart, while somebody is in strict mode"""
        self.guards: dict[str, Guard] = {}
        self.hooked: set[str] = set()
        self.installed = False
        self.asleep = False
        """the variable said `off` at import: the first caller that asks for more wakes us"""


_state: _State = globals().get("_state") or _State()  # a reload of this module must not forget


def install() -> None:
    """Guard torch: at once if it is imported already, else as soon as it is. Harmless when called twice."""
    with _state.lock:
        _state.asleep = False
        if _state.installed:
            return
        _state.installed = True
        hooks.install()
        for module in FRAMEWORKS:
            if module in _state.hooked:
                _guard_if_loaded(module)
            else:
                _state.hooked.add(module)
                when_imported(module, _on_import)
        if is_strict_anywhere():
            _be_strict(True)


def uninstall() -> None:
    """Restore every class exactly as it was.

    A guard that another library has patched over stays where it is, lets everything through, and is named in a
    warning. Harmless when called twice.
    """
    with _state.lock:
        _state.installed = _state.asleep = False
        hooks.uninstall()
        for guard in _state.guards.values():
            guard.active = False
            guard.framework.be_strict(False)
            guard.framework.release()
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
    with _state.lock:
        if _state.installed:
            _guard_if_loaded(module.__name__)


def _guard_if_loaded(module: str) -> None:
    if module in _state.guards or sys.modules.get(module) is None:
        return
    # here: a program that never imports a framework need not wait for the machinery behind the guard
    from safe_numpy.diagnosis import framework as frameworks
    from safe_numpy.guard.guard import Guard
    from safe_numpy.ledger.ledger import LEDGER

    framework = frameworks.load(module)
    guard = Guard(framework)
    _state.patches.apply(framework.targets(guard))
    _state.guards[module] = guard
    framework.be_strict(is_strict_anywhere())
    at_exit.watch(LEDGER)


def _be_strict(is_on: bool) -> None:
    """Put what looks at every conversion in place, or take it out."""
    with _state.lock:
        for guard in _state.guards.values():
            guard.framework.be_strict(is_on)
        _state.consumers.undo()
        if is_on and "pandas" not in _state.hooked:
            _state.hooked.add("pandas")
            when_imported("pandas", _guard_consumers)
        elif is_on:
            _guard_consumers()


def _guard_consumers(module: ModuleType | None = None) -> None:
    if not (_state.installed and is_strict_anywhere() and sys.modules.get("pandas")):
        return
    from safe_numpy.frameworks import pandas
    from safe_numpy.frameworks.lists import check_list

    _state.consumers.apply(pandas.list_targets(check_list))


on_strict(_be_strict)


def install_unless_off() -> None:
    """Install, unless the mode is OFF: then wait for the first caller that asks for another one."""
    _state.asleep = get_mode() is Mode.OFF
    if _state.asleep:
        on_wake(_wake)
    else:
        install()
    at_exit.arm()
    _wire_notebook()


def wake_if_asked() -> None:
    """Install, if the variable was `off` so far and has changed since."""
    if _state.asleep and get_mode() is not Mode.OFF:
        install()


def _wire_notebook() -> None:
    """Give an IPython shell its magics and hooks, if one is running."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    try:
        from safe_numpy.interfaces import ipython

        ipython.wire(shell)
    except Exception as error:  # an IPython that we do not know must not keep anybody from working
        warnings.warn(f"safe_numpy has no magics here ({type(error).__name__}: {error})", RuntimeWarning, stacklevel=2)


def _wake() -> None:
    if _state.asleep:
        install()
