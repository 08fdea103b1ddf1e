"""Whose line: the frame of the user's own code that asked for an array. The one place that looks at frames."""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import CodeType, FrameType, GetSetDescriptorType, TracebackType
from typing import Any, NamedTuple

from safe_numpy.diagnosis.facts import Site

OWN_VARIABLE = "SAFE_NUMPY_OWN"
"""installed packages whose code counts as the user's, separated by commas: for those who debug one"""

_STDLIB = os.path.dirname(os.__file__) + os.sep
_ZIPPED_STDLIB = os.path.join(sys.base_prefix, "lib", f"python{sys.version_info.major}{sys.version_info.minor}.zip", "")
OURSELVES = os.path.dirname(os.path.dirname(__file__)) + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_PACKAGE = __name__.partition(".")[0]
_MOST_FRAMES = 1000

_foreign: dict[str, bool] = {}  # one entry per source file that was ever met on the way
_translators: dict[str, Translator] = {}
"""by a part of the names of the files that such code comes from; one is added by whatever thread imports a framework"""

# By the descriptors of `type`: a metaclass can have these attributes made up.
get_mro = type.__dict__["__mro__"].__get__
get_class_dict = type.__dict__["__dict__"].__get__
get_class_module = type.__dict__["__module__"].__get__


class Translator(NamedTuple):
    """Knows code that was made from other code, which is what its reader wrote."""

    translate: Callable[[FrameType, int], Site | None]
    """gives the line that was written, for a frame that runs a line of the code made of it"""
    restore: Callable[[ast.expr], ast.expr]
    """gives the expression that was written, for one that was made of it"""
    package: str
    """whose functions run between the frames of such code, and stand for no library's"""


class Caller(NamedTuple):
    """A line of the user's that is asking for an array, at this moment."""

    frame: FrameType
    """the innermost frame of the user's own code; where every frame is a library's, the one that asks"""
    called: FrameType | None
    """the library's frame that it called, and that asks on its behalf; None: the line asks itself"""
    asks: bool
    """the guarded method is called by the very instruction that `frame` runs"""
    library: str
    """top-level package of `called`; empty: there is none"""

    def make_site(self) -> Site:
        """Return what is kept of it."""
        return locate(self.frame, self.library, self.asks)


def find_caller(direct: FrameType, array_code: CodeType | None = None) -> Caller:
    """Find the line of the user's that called our code, by way of libraries or directly.

    Args:
        direct: the frame that called it, as `find_direct_caller` gives it.
        array_code: of the framework's own ``__array__``, which stands between a line and the guard as no library.
    """
    direct = _skip_between(direct)
    frame: FrameType | None = direct
    called = None
    while frame is not None and not is_users(frame):
        called = called if is_between(frame) else frame
        frame = frame.f_back
    if frame is None:
        frame, called = direct, None  # every frame is a library's
    if called is None or called.f_code is array_code or find_package(called) == _PACKAGE:
        return Caller(frame, None, frame is direct, "")
    return Caller(frame, called, False, find_package(called))


def is_between(frame: FrameType) -> bool:
    """Tell whether `frame` runs what stands between code that was made from other code, and what that calls."""
    if not _translators:
        return False
    name = dict.get(frame.f_globals, "__name__")  # `exec` takes a dict of somebody's own class, too
    return isinstance(name, str) and any(name.startswith(t.package) for t in _translators.copy().values())


def _skip_between(frame: FrameType) -> FrameType:
    """Return the next frame outwards that runs something else."""
    while frame.f_back is not None and is_between(frame):
        frame = frame.f_back
    return frame


def find_direct_caller(known: int = 1) -> FrameType:
    """Return the innermost frame that runs no code of ours; of the callers, so many are known to be ours."""
    frame = sys._getframe(known)
    while frame.f_code.co_filename.startswith(OURSELVES) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def find_caller_in(stack: list[FrameType], site: Site, array_code: CodeType | None) -> tuple[Caller | None, list[Any]]:
    """Return who called, after the fact, and the frames from there outwards.

    There is none if `stack`, innermost first, does not contain the line any more. Where the line is a library's, since
    a thread of its own runs it, it is the user's line that waited for the thread.
    """
    is_own = site.code is None or not is_foreign(site.filename)
    waiting = () if is_own else (i for i, frame in enumerate(stack) if is_users(frame))
    for i in waiting:
        return Caller(stack[i], None, False, find_package(stack[i - 1]) if i else ""), stack[i:]
    for i, frame in enumerate(stack):
        if frame.f_code is site.code:
            inner = next((f for f in reversed(stack[:i]) if not is_between(f)), None)
            called = inner if inner is not None and inner.f_code is not array_code else None
            return Caller(frame, called, site.asks, site.library), stack[i:]
    return None, []


def unroll(traceback: TracebackType | None) -> list[FrameType]:
    """Return every frame that a traceback leads to, the innermost first: those that it passed, and their callers."""
    tracebacks = []
    while traceback is not None:
        tracebacks.append(traceback)
        traceback = traceback.tb_next
    stack: dict[FrameType, None] = {}
    for entry in reversed(tracebacks):  # not the last alone: a generator that has ended has lost its caller
        frame: FrameType | None = entry.tb_frame
        while frame is not None and frame not in stack and len(stack) < _MOST_FRAMES:
            stack[frame] = None
            frame = frame.f_back
    return list(stack)


def list_callers(frame: FrameType | None, most: int = _MOST_FRAMES) -> list[FrameType]:
    """Return a frame and its callers, the innermost first, at most so many."""
    stack: list[FrameType] = []
    while frame is not None and len(stack) < most:
        stack.append(frame)
        frame = frame.f_back
    return stack


def list_sites(frames: Iterable[FrameType], most: int, traceback: TracebackType | None = None) -> list[Site]:
    """Return the user's lines among some frames, at most so many.

    Args:
        frames: the innermost first.
        most: so many lines.
        traceback: of the error that passed them: what has met ``finally`` since stands elsewhere by now.
    """
    passed = {}
    while traceback is not None:
        passed[traceback.tb_frame] = traceback.tb_lineno, traceback.tb_lasti
        traceback = traceback.tb_next
    users = itertools.islice((frame for frame in frames if is_users(frame)), most)
    return [locate(frame, at=passed.get(frame)) for frame in users]


def is_users(frame: FrameType) -> bool:
    """Tell whether `frame` runs code of the user's own."""
    filename = frame.f_code.co_filename
    foreign = _foreign.get(filename)
    if foreign is None:
        if filename.startswith("<") and filename.endswith(">"):
            foreign = _is_pseudo_file_foreign(filename, frame)
        elif find_translator(frame.f_code) is not None:
            home = dict.get(frame.f_globals, "__file__")  # it shares the globals of what it was made from
            foreign = _foreign[filename] = isinstance(home, str) and is_foreign(home)
        else:
            foreign = _foreign[filename] = is_foreign(filename)
    return not foreign or _is_own(frame)


def find_package(frame: FrameType) -> str:
    """Return the top-level package whose code `frame` runs."""
    name = dict.get(frame.f_globals, "__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""


def _is_own(frame: FrameType) -> bool:
    """Tell whether the user has said that the package whose code `frame` runs is theirs."""
    own = os.environ.get(OWN_VARIABLE)
    return own is not None and find_package(frame) in [word.strip().strip("\"'") for word in own.split(",") if word]


def _is_pseudo_file_foreign(filename: str, frame: FrameType) -> bool:
    """Judge code without a file: frozen, a cell, or made by a library in the name of the module it is for."""
    if filename.startswith("<frozen "):
        return filename[len("<frozen ") : -1].partition(".")[0] in sys.stdlib_module_names
    if filename.startswith(("<safe_numpy ", "<__array_function__")):
        return True
    home = dict.get(frame.f_globals, "__file__")
    return isinstance(home, str) and is_foreign(home)


def is_foreign(filename: str) -> bool:
    """Tell whether a file is the standard library's, an installed package's or ours."""
    if any(mark in filename for mark in _PACKAGES):
        return True
    return filename.startswith((_STDLIB, _ZIPPED_STDLIB, OURSELVES))


def add_translator(mark: str, translator: Translator) -> None:
    """Have `translator` answer for code whose file name contains `mark`: it was made from other code."""
    _translators[mark] = translator


def find_translator(code: CodeType) -> Translator | None:
    """Return who knows what `code` was made from; None: it is what its reader wrote."""
    return next((translator for mark, translator in _translators.copy().items() if mark in code.co_filename), None)


def locate(frame: FrameType, library: str = "", asks: bool = False, at: tuple[int, int] | None = None) -> Site:
    """Return where `frame` stands, in the source that its reader wrote.

    Args:
        frame: the frame.
        library: the package that the line called.
        asks: the guarded method is called by the very instruction.
        at: the line and the instruction, where the frame has gone on since.
    """
    code, (lineno, lasti) = frame.f_code, at or (frame.f_lineno, frame.f_lasti)
    translator = find_translator(code)
    if translator is not None:
        with contextlib.suppress(Exception):  # the generated line is better than none
            site = translator.translate(frame, lineno)
            if site is not None:
                return replace(site, library=library, code=code, lasti=lasti, asks=asks)
    return Site(code.co_filename, lineno, code.co_name, library, "", "", code, lasti, asks)


def inherits(cls: type, *bases: type) -> bool:
    """Tell whether a class is one of these, or derived from one."""
    return any(own is base for own in get_mro(cls) for base in bases)  # an ABC would ask for the hash of the class


def is_exactly(value: object, *classes: type) -> bool:
    """Tell whether a value is of one of these classes itself."""
    cls = type(value)  # `in` would ask its metaclass what it equals
    return any(cls is each for each in classes)


def read_members(instance: Any) -> dict[str, Any]:
    """Return an instance's own dict, or an empty one where a class of somebody's own would have to be asked for it."""
    for cls in get_mro(type(instance)):
        slot = get_class_dict(cls).get("__dict__")
        if slot is not None:
            members = slot.__get__(instance) if type(slot) is GetSetDescriptorType else None
            return members if type(members) is dict else {}
    return {}


def read_variables(frame: FrameType) -> dict[str, Any]:
    """Return the local variables of a frame; none where a class of somebody's own keeps them.

    Before Python 3.13 ``f_locals`` of a function leaves a copy in the frame, which would keep what was deleted since
    alive until the function returns (https://peps.python.org/pep-0667/, https://github.com/python/cpython/issues/74929).
    So it is emptied, unless somebody else has hold of it: `locals` gives the same.
    """
    scope = frame.f_locals
    if type(scope) is not dict:
        return dict(scope) if type(scope).__name__ == "FrameLocalsProxy" else {}
    variables = scope.copy()
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(scope) <= _HELD_BY_FRAME_AND_US:
        scope.clear()
    return variables


def _count_holders() -> int:
    """Return how many have hold of a frame's variables while `read_variables` reads them, where nobody else has."""
    scope = sys._getframe().f_locals
    return sys.getrefcount(scope)


_HELD_BY_FRAME_AND_US = _count_holders()
