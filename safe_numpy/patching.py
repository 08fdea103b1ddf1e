"""Patches on classes, undone exactly, and hooks for later imports. The only file that imports wrapt.

A patch is marked with the record of what it replaced, on our own function, so that a second copy of this package
(after a reload, or under another name) takes the first one's patch off instead of stacking its own on top.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import wrapt

_MARK = "__safe_numpy_patch__"


class Target(NamedTuple):
    """One attribute to guard: `build` takes the stock callable and returns the guarded one."""

    owner: type
    name: str
    build: Callable[[Any], Any]


class _Applied(NamedTuple):
    """A patch in place, and how to take it off."""

    owner: type
    name: str
    guarded: Callable[..., Any]
    own: Any
    """what stood in the class's own dictionary; None if the attribute was inherited"""

    @property
    def path(self) -> str:
        """The name of the attribute, whole."""
        return f"{self.owner.__module__}.{self.owner.__qualname__}.{self.name}"

    def undo(self) -> bool:
        """Put back what was there. Return False, and do nothing, if another patch lies on top."""
        if vars(self.owner).get(self.name) is not self.guarded:
            return False
        if self.own is None:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.own)
        return True


def _find_mark(function: Any) -> Any:
    """Return the record of a patch of ours; none for a wrapper of somebody's, which may show what it wraps has."""
    mark = getattr(function, _MARK, None)
    return mark if getattr(mark, "guarded", None) is function else None


class PatchStack:
    """The patches that this copy of the package has in place."""

    def __init__(self) -> None:
        self._applied: list[_Applied] = []

    def apply(self, targets: Iterable[Target]) -> None:
        """Put the guards in place; all of them, or none if one fails."""
        done = len(self._applied)
        try:
            for target in targets:
                self._apply(target)
        except BaseException:
            while len(self._applied) > done:
                self._applied.pop().undo()
            raise

    def _apply(self, target: Target) -> None:
        owner, name = target.owner, target.name
        while (earlier := _find_mark(vars(owner).get(name))) is not None and earlier.undo():
            pass
        own = vars(owner).get(name)
        # what is not there at all is looked up, and fails, as `object` does it
        inherited = getattr(owner, name, object.__getattribute__ if name == "__getattr__" else None)
        guarded = target.build(inherited if own is None else own)
        applied = _Applied(owner, name, guarded, own)
        setattr(guarded, _MARK, applied)
        setattr(owner, name, guarded)
        self._applied.append(applied)

    def list_owners(self) -> dict[str, str]:
        """Return whose code stands in each guarded attribute now: ours, or what others have put on top of it."""
        owners = {}
        for applied in self._applied:
            current = vars(applied.owner).get(applied.name)
            module = getattr(current, "__module__", None) or type(current).__module__
            owners[applied.path] = "safe_numpy" if current is applied.guarded else f"{module}, over safe_numpy"
        return owners

    def undo(self) -> list[str]:
        """Take the guards off, last first. Return the names of those that another library has patched over."""
        left = []
        while self._applied:
            applied = self._applied.pop()
            # somebody's patch stands where ours did; or else ours was taken off already
            if not applied.undo() and vars(applied.owner).get(applied.name, applied.own) is not applied.own:
                left.append(applied.path)
        return left


def when_imported(module: str, action: Callable[[ModuleType], None]) -> None:
    """Call `action` once `module` has been imported; at once if it is already.

    `action` never breaks that import: what it raises becomes a warning.
    """

    def run(imported: ModuleType) -> None:
        try:
            action(imported)
        except Exception as error:
            warnings.warn(
                f"safe_numpy does not guard {module}: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    wrapt.register_post_import_hook(run, module)


LOADING = threading.RLock()
"""held while modules of ours are imported late, when somebody first needs them"""
