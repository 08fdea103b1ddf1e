"""What a framework must tell, and which framework owns a tensor. None is imported before the program imports it."""

from __future__ import annotations

import functools
import importlib
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import CodeType, FrameType, MappingProxyType
from typing import Any, NamedTuple, Protocol

from safe_numpy.config.modes import Mode
from safe_numpy.diagnosis.causes import Cause, Plan
from safe_numpy.diagnosis.facts import Door, Problem, Sharer, Site
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.patching import Target


class Template(NamedTuple):
    """A function that a framework writes in another way."""

    parameters: tuple[str, ...]
    """NumPy's, in their order"""
    codes: Mapping[str, str]
    """by the names of those that are given, the code over them"""


def template_of_one(code: str) -> Template:
    """Return the template of a function of one argument, over ``{x}``."""
    return Template(("x",), {"x": code})


class Twins(NamedTuple):
    """Functions that NumPy and a framework both have, and how an array becomes a tensor beside another."""

    functions: Mapping[str, str]
    """by the name in NumPy's module, the framework's; empty: the tensor itself is meant"""
    joining: frozenset[str]
    """those that are given a list of tensors"""
    bounds: Mapping[str, str]
    """those of a tensor and a number that the framework writes in another way, over ``{x}`` and ``{bound}``"""
    keywords: Mapping[str, str]
    """NumPy's name of an argument, and the framework's"""
    stack: str
    """makes one tensor of a list, over ``{x}``"""
    from_array: str
    """makes a tensor of an array"""
    from_any: str
    """makes a tensor of an array or a number"""
    like: str
    """gives a tensor ``{x}`` the dtype and the device of another one, ``{y}``"""
    templates: Mapping[str, Template] = MappingProxyType({})
    """by the name in NumPy's module, ``builtins.`` and ``math.`` before others, and of arrays' methods"""
    dtype: str = ""
    """the dtype of a ``{name}``"""
    floats: frozenset[str] = frozenset()
    """functions that take no integers"""
    of_integers: str = ""
    """what they take for a tensor ``{x}`` of integers"""
    constant: str = ""
    """makes a tensor of an array ``{x}``"""
    unstack: str = ""
    """gives the parts of a tensor ``{x}`` along its first axis"""
    gather: str = ""
    """takes elements of an array ``{x}`` by a tensor ``{index}``"""
    show: str = ""
    """prints at every run of a traced function"""
    call: str = ""
    """calls Python at every run of it: ``{code}`` over ``{names}`` of ``{values}``, which gives a ``{dtype}``"""
    number: str = ""
    """gives that the shape of a number"""


class Introspection:
    """What only the reader of an error asks for, of a tensor that may be gone by then; it keeps none alive."""

    def __init__(self, x: Any) -> None:
        try:
            self.find_tensor: Any = weakref.ref(x)
            """gives the tensor, or None if it is gone"""
        except TypeError:  # a class with __slots__
            self.find_tensor = lambda: None

    def let_go(self) -> None:
        """Find out what is worth knowing of a tensor that is gone; called when nobody of ours holds it any more."""

    def identify_data(self) -> object | None:
        """Return what is the same for tensors that are the same values in the same memory; None where nothing is."""
        return None

    def find_sharer(self, frame: FrameType) -> Sharer | None:
        """Return whose memory an array has that shares the tensor's, if it is somebody's.

        `frame` is where the user's line runs.
        """
        return None

    def find_twins(self, stack: Sequence[FrameType]) -> Twins | None:
        """Return the functions that keep the tensor one, for the line that the first of some frames runs.

        None: none are known.
        """
        return None

    def is_learnt_from(self, stack: Sequence[FrameType]) -> bool:
        """Tell whether a traced line is part of what a gradient is computed of."""
        return False

    def look_closer(
        self, problems: Sequence[Problem], path: str, stack: Sequence[FrameType]
    ) -> tuple[Sequence[Problem], Sequence[str]]:
        """Say more: the problems, with more facts, and what else is to be known.

        Args:
            problems: what stops the tensor.
            path: the end of its name that leads into a container.
            stack: the frames from the user's outwards.
        """
        return problems, ()


class Cut(NamedTuple):
    """A conversion of what has a gradient, in permissive mode."""

    site: Site
    """the user's line"""
    expression: str
    """the conversion as the line has it, ``h.numpy()``; where a library converts, the tensor; empty: not known"""


class Watch(Protocol):
    """Looks after the gradients that conversions cut."""

    steps: int
    """steps of optimizers so far"""

    def remember(self, x: Any, key: object, site: Site, expression: str, frame: FrameType) -> int:
        """Note a cut in the line `site`, which `frame` runs; return the `steps` of the next one worth a look."""

    def find_cuts(self) -> Sequence[Cut]:
        """Return the latest cuts of this process whose arrays may have been learnt from, the newest last."""
        return ()


class Framework(Protocol):
    """What the guard knows of a framework; the only way from framework-free code to framework code."""

    name: str
    causes: Sequence[Cause] = ()
    """the table, in the order of the fix"""
    watch: Watch | None = None
    """looks after the gradients that conversions cut"""
    array_code: CodeType | None = None
    """code of the method behind ``np.asarray``, if that method calls ``x.numpy()`` itself"""

    def is_tensor_class(self, cls: type) -> bool:
        """Tell whether instances of `cls` are tensors of this framework."""

    def undisturbed(self) -> AbstractContextManager[object]:
        """Read attributes inside without running a subclass's or a mode's code."""

    def plan(self, x: Any, door: Door) -> Plan:
        """Say what stops `x` at `door`, and what cures it."""

    def plan_hazards(self, x: Any, door: Door) -> Plan:
        """Say what makes the array of `x` wrong, or a trap, though `door` gives one."""
        return self.plan(x, door)

    def foresee(self, x: Any) -> Plan | None:
        """Return the plan at ``numpy()`` of a tensor of the commonest sort, cheaply; None: that takes a closer look."""
        return None

    def introspect(self, x: Any) -> Introspection:
        """Return what a reader may ask later."""
        return Introspection(x)

    def read_member(self, owner: Any, key: str | int, is_item: bool) -> Any:
        """Return ``owner.key``, or ``owner[key]``, of a container of the framework's own; else NotImplemented.

        Runs no code but the framework's.
        """
        return NotImplemented

    def list_targets(self, guard: Any) -> list[Target]:
        """Return the doors to guard; `guard` is the `Guard` that answers for them."""

    def follow_mode(self, mode: Mode) -> None:
        """Take note of the most demanding mode that holds anywhere, by which a door may choose what stands in it.

        OFF: the guard is taken off.
        """
        return

    def gather(self, own: Any, group: Any) -> list[Any] | None:
        """Return what all ranks of a process group give; None: `group` is none of this framework's.

        Raises:
            ValueError: this process does not belong to it.
        """
        return None

    def examine_environment(self) -> tuple[list[str], str | None]:
        """Return the accelerators that are there, and what keeps every tensor from becoming an array, if anything."""
        return [], None


def iterate_loaded() -> Iterator[Framework]:
    """Yield the frameworks that this program has imported."""
    for module in FRAMEWORKS:
        framework = _find_whole(module)
        if framework is not None:
            yield framework


_strange: dict[str, object] = {}
"""what stands in `sys.modules` for a framework, and is none: a stand-in of somebody's tests, a stub"""


def _find_whole(module: str) -> Framework | None:
    """Return our side of a framework that the program has imported; None where it has not, or only a stand-in."""
    imported = sys.modules.get(module)
    if imported is None or _strange.get(module) is imported:
        return None
    try:
        return load_framework(module)
    except Exception:
        if any(_is_being_imported(name) for name in (module, FRAMEWORKS[module])):
            raise
        _strange[module] = imported
        return None


def _is_being_imported(name: str) -> bool:
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False) is True


@functools.cache
def load_framework(module: str) -> Framework:
    """Return our side of the framework `module`, which is imported already."""
    framework: Framework = importlib.import_module(FRAMEWORKS[module]).FRAMEWORK
    return framework


def read_member(owner: Any, key: str | int, is_item: bool) -> Any:
    """Return a member that a framework's own container keeps out of its instance's dict; else NotImplemented."""
    for framework in iterate_loaded():
        member = framework.read_member(owner, key, is_item)
        if member is not NotImplemented:
            return member
    return NotImplemented


def is_tensor_class(value: Any) -> bool:
    """Tell whether a value is a class whose instances are tensors of a framework that is loaded."""
    return issubclass(type(value), type) and any(framework.is_tensor_class(value) for framework in iterate_loaded())


_known: dict[int, tuple[weakref.ref[type], Framework | None]] = {}
"""by the id of a class, whose frameworks do not change; an entry goes when its class does"""


def find_framework(x: object) -> Framework | None:
    """Return the framework whose tensor `x` is, or None."""
    cls = type(x)  # `isinstance` would ask an object of a class that knows nothing of us for its __class__
    known = _known.get(id(cls))
    return _find_for_class(cls) if known is None else known[1]


def _find_for_class(cls: type) -> Framework | None:
    key, forget = id(cls), _known.pop
    found = next((f for f in iterate_loaded() if f.is_tensor_class(cls)), None)
    _known[key] = weakref.ref(cls, lambda _: forget(key, None)), found
    return found


def make_plan(x: object, door: Door) -> Plan | None:
    """Return the plan of a tensor of any framework; None for anything else."""
    framework = find_framework(x)
    if framework is None:
        return None
    with framework.undisturbed():
        return framework.plan(x, door)
