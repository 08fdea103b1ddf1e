"""The frameworks that are guarded, by name. None is imported before the program imports it."""

from __future__ import annotations

import functools
import importlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import CodeType, FrameType
from typing import Any, Protocol

from safe_numpy.callsite.frames import Site
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import Door, Problem, Remark, Subject
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.guard.outcome import Outcome
from safe_numpy.patching import Target


class Responder(Protocol):
    """What a guarded function asks when the stock code fails."""

    def respond(self, error: Exception, x: Any, door: Door) -> Outcome:
        """Say what the guarded function, which calls this, is to do about a stock `error`."""

    def warn_hazard(self, x: Any, hazard: str, find_place: Callable[[FrameType], str | None] | None = None) -> None:
        """Warn, once per call site, of what was lost in a conversion that worked; `find_place` adds where."""

    def check(self, x: Any, door: Door) -> Outcome | None:
        """Return the error to raise, as an outcome, for a conversion that worked, where strict mode finds it wrong."""

    def warn_exported(self, x: Any) -> None:
        """Warn, once per call site, where DLPack exports something else than the tensor's values."""

    def permits(self, x: Any, door: Door) -> bool:
        """Tell whether a conversion of `x` at `door` would be made, here and now."""

    def convert(self, x: Any, door: Door) -> Any:
        """Convert `x`, which `permits` allowed: booked, and warned about; NotImplemented if that fails."""

    def warn_hazard_at(
        self, frame: FrameType, x: Any, hazard: str, find_place: Callable[[FrameType], str | None] | None = None
    ) -> None:
        """Do so for the line that `frame` runs."""

    def warn_severed(self, names: Sequence[str], site: Site, expression: str) -> None:
        """Warn of parameters that got no gradient, since a conversion cut their path."""

    def convert_ahead(self, x: Any, plan: Plan, caller: FrameType) -> Any:
        """Return the array for `caller` without asking the stock code first, or NotImplemented."""


class Watch(Protocol):
    """Looks after the gradients that conversions cut."""

    steps: int
    """steps of optimizers so far"""

    def remember(self, x: Any, key: object, site: Site, expression: str, frame: FrameType) -> int:
        """Note a cut in the line `site`, which `frame` runs; return the `steps` of the next one worth a look."""


class Framework(Protocol):
    """What the guard knows of a framework; the only way from framework-free code to framework code."""

    name: str
    watch: Watch | None = None
    """looks after the gradients that conversions cut"""
    array_code: CodeType | None
    """code of the method behind ``np.asarray``, if that method calls ``x.numpy()`` itself"""

    def is_tensor_class(self, cls: type) -> bool:
        """Tell whether instances of `cls` are tensors of this framework."""

    def undisturbed(self) -> AbstractContextManager[object]:
        """Read attributes inside without running a subclass's or a mode's code."""

    def plan(self, x: Any, door: Door) -> Plan:
        """Say what stops `x` at `door`, and what cures it."""

    def plan_strictly(self, x: Any, door: Door) -> Plan:
        """Say what makes the array of `x` wrong, or a trap, though `door` gives one."""
        return self.plan(x, door)

    def plan_export(self, x: Any) -> Plan:
        """Say what makes the capsule that DLPack exports of `x` another tensor than `x`."""
        return self.plan(x, Door.DLPACK)

    def be_strict(self, is_on: bool) -> None:
        """Be told whether anybody is in strict mode: what looks at every conversion is in place as long."""
        return

    @property
    def names(self) -> Mapping[str, Any]:
        """The modules that the fixes mention, by the name that they mention them by."""

    def describe(self, x: Any) -> Callable[[], Subject]:
        """Return what will say what `x` is, in words; it holds no reference to `x`."""

    def result_nbytes(self, x: Any, plan: Plan) -> int:
        """Return the size in bytes of the array that `plan` makes."""

    def count_bytes(self, x: Any) -> int:
        """Return the bytes that the data of `x` takes where it lives; 0 where it has none."""
        return 0

    def protect(self, result: Any) -> Any:
        """Return what a conversion gave, made read-only."""
        return result

    def order(self, door: Door) -> tuple[str, ...]:
        """Return the kinds in the order in which the stock code checks them."""

    def targets(self, guard: Responder) -> list[Target]:
        """Return the doors to guard."""

    def to_array(self, x: Any) -> Any:
        """Convert as the unguarded framework does, errors included."""

    def read_member(self, owner: Any, key: str | int, is_item: bool) -> Any:
        """Return ``owner.key``, or ``owner[key]``, of a container of the framework's own; else NotImplemented.

        Runs no code but the framework's.
        """
        return NotImplemented

    def identify_data(self, x: Any) -> object | None:
        """Return what is the same for tensors that are the same values in the same memory; None where nothing is."""
        return None

    def find_devices(self) -> list[str]:
        """Return the accelerators that are there."""
        return []

    def find_trouble(self) -> str | None:
        """Return what keeps every tensor from becoming an array here, as a sentence; None if nothing does."""
        return None

    def remember(self, x: Any) -> Any:
        """Return what `look_closer` may want to know of `x` when it is gone; it must not keep `x` alive."""
        return None

    def unite(self, plan: Plan, other: Plan) -> Plan | None:
        """Return one plan for the tensors of two, which one line of code converts; None: there is none."""
        return plan if plan.array == other.array else None

    def foresee(self, x: Any) -> Plan | None:
        """Return the plan at ``numpy()`` of a tensor of the commonest kind, cheaply; None: that takes a closer look."""
        return None

    def find_alias(self, x: Any, frame: FrameType) -> str:
        """Return whose memory an array that shares that of `x` would also share; a key of `_wording.ALIASES`.

        `frame` is where the user's line runs.
        """
        return ""

    def release(self) -> None:
        """Be told that the guard is taken off."""
        return

    def look_closer(
        self, x: Any, clue: Any, problems: Sequence[Problem], path: str, stack: Sequence[FrameType]
    ) -> tuple[Sequence[Problem], Sequence[Remark]]:
        """Say more, now that somebody reads: the problems, with more facts, and what else is to be known.

        Args:
            x: the tensor; None if it is gone.
            clue: what `remember` gave, if the tensor was going to be.
            problems: what stops it.
            path: the end of its name that leads into a container.
            stack: the frames from the user's outwards.
        """
        return problems, ()


def loaded() -> Iterator[Framework]:
    """Yield the frameworks that this program has imported."""
    for module in FRAMEWORKS:
        if sys.modules.get(module) is not None:
            yield load(module)


@functools.cache
def load(module: str) -> Framework:
    """Return our side of the framework `module`, which is imported already."""
    framework: Framework = importlib.import_module(FRAMEWORKS[module]).FRAMEWORK
    return framework


def read_member(owner: Any, key: str | int, is_item: bool) -> Any:
    """Return a member that a framework's own container keeps out of its instance's dict; else NotImplemented."""
    for framework in loaded():
        member = framework.read_member(owner, key, is_item)
        if member is not NotImplemented:
            return member
    return NotImplemented


def identify_data(x: object) -> object | None:
    """Return what is the same for tensors that are the same values in the same memory; None for anything else."""
    framework = of(x)
    return None if framework is None else framework.identify_data(x)


def is_tensor_class(cls: type) -> bool:
    """Tell whether instances of `cls` are tensors of a framework that is loaded."""
    return any(framework.is_tensor_class(cls) for framework in loaded())


_known: dict[int, tuple[weakref.ref[type], Framework | None]] = {}
"""by the id of a class, whose frameworks do not change; an entry goes when its class does"""


def of(x: object) -> Framework | None:
    """Return the framework whose tensor `x` is, or None."""
    cls = type(x)  # `isinstance` would ask an object of a class that knows nothing of us for its __class__
    known = _known.get(id(cls))
    return _find(cls) if known is None else known[1]


def _find(cls: type) -> Framework | None:
    key, forget = id(cls), _known.pop
    found = next((f for f in loaded() if f.is_tensor_class(cls)), None)
    _known[key] = weakref.ref(cls, lambda _: forget(key, None)), found
    return found
