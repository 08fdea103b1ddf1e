"""Installing: which frameworks, when, and taking it all off again."""

from __future__ import annotations

import sys
import threading
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from safe_numpy._modes import Mode, get_mode, on_wake
from safe_numpy._patching import PatchStack, when_imported
from safe_numpy._registry import FRAMEWORKS

if TYPE_CHECKING:
    from safe_numpy._guard import Guard

_lock = threading.RLock()
_patches = PatchStack()
_guards: dict[str, Guard] = {}
_hooked: set[str] = set()
_installed = False


def install() -> None:
    """Guard torch: at once if it is imported already, else as soon as it is. Harmless when called twice."""
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
        for module in FRAMEWORKS:
            if module in _hooked:
                _guard_if_loaded(module)
            else:
                _hooked.add(module)
                when_imported(module, _on_import)


def uninstall() -> None:
    """Restore every class exactly as it was.

    A guard that another library has patched over stays where it is, lets everything through, and is named in a
    warning. Harmless when called twice.
    """
    global _installed
    with _lock:
        _installed = False
        for guard in _guards.values():
            guard.active = False
        _guards.clear()
        left = _patches.undo()
    if left:
        warnings.warn(
            f"another library has patched {', '.join(left)} on top of safe_numpy's guard, which therefore stays in "
            "place, and does nothing any more",
            RuntimeWarning,
            stacklevel=2,
        )


def is_installed() -> bool:
    """Tell whether the guard is on, or waiting for a framework to be imported."""
    return _installed


def _on_import(module: ModuleType) -> None:
    with _lock:
        if _installed:
            _guard_if_loaded(module.__name__)


def _guard_if_loaded(module: str) -> None:
    if module in _guards or module not in sys.modules:
        return
    # here: a program that never imports a framework need not wait for the machinery behind the guard
    from safe_numpy import frameworks
    from safe_numpy._guard import Guard

    framework = frameworks.load(module)
    guard = Guard(framework)
    _patches.apply(framework.targets(guard))
    _guards[module] = guard


def install_unless_off() -> None:
    """Install, unless the mode is OFF: then wait for the first caller that asks for another one."""
    if get_mode() is Mode.OFF:
        on_wake(install)
    else:
        install()
