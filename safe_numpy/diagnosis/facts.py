"""What is known about a tensor and a line of code: frozen records, and the words for what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import CodeType, MappingProxyType
from typing import Any, Literal, NamedTuple

from safe_numpy.messages.phrases import Sentences


class Kind(StrEnum):
    """Why a tensor cannot become a NumPy array."""

    DEVICE = "device"
    GRAD = "grad"
    CONJ = "conj"
    NEG = "neg"
    ZERO = "zero"
    LAYOUT = "layout"
    NESTED = "nested"
    DTYPE = "dtype"
    QUANTIZED = "quantized"
    MASKED = "masked"
    NO_DATA = "no_data"
    TRANSFORM = "transform"
    SUBCLASS = "subclass"
    SHARDED = "sharded"
    SYMBOLIC = "symbolic"
    COMPOSITE = "composite"
    HANDLE = "handle"
    NUMPY = "numpy"
    TANGENT = "tangent"
    EXPANDED = "expanded"
    ALIAS = "alias"
    TAPE = "tape"
    OBJECT = "object"


class Door(StrEnum):
    """The way by which a tensor was asked for its array."""

    NUMPY = "numpy"
    """``x.numpy()``"""
    FORCE = "force"
    """``x.numpy(force=True)``"""
    ARRAY = "array"
    """``x.__array__()``, as ``np.asarray(x)`` and most libraries call it"""
    DLPACK = "dlpack"
    """``x.__dlpack__()``, as ``np.from_dlpack(x)`` calls it"""

    @property
    def is_explicit(self) -> bool:
        """The tensor was asked by its name: ``numpy()`` stands in the code."""
        return self in (Door.NUMPY, Door.FORCE)

    @property
    def call(self) -> str:
        """The call by which people know it."""
        return {"numpy": "numpy()", "force": "numpy(force=True)", "array": "np.asarray"}.get(self, "__dlpack__()")


Stays = Literal["learnt", "taken", "traced", "printed", "noted", "called", ""]
"""why what a line computes has to stay a tensor: a gradient is computed of it; the framework takes it further on; the
line is traced before there are values, and the code to write computes with them when there are, prints them, hands
them to what has an effect, or to what gives arrays"""

Facts = Mapping[str, str]
NO_FACTS: Facts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a tensor cannot become an array."""

    kind: Kind
    cause: str
    """names the row of the framework's table; several causes share a kind"""
    says: Sentences
    facts: Facts = field(hash=False)
    is_refused: bool = False
    """nothing can be done about it here"""

    def __reduce__(self) -> tuple[type[Problem], tuple[Any, ...]]:
        # A mappingproxy does not pickle; a plain dict says the same.
        return Problem, (self.kind, self.cause, self.says, dict(self.facts), self.is_refused)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the tensor is, in words a person knows it by; holds no tensor."""

    type_name: str
    dtype: str
    shape: str
    device: str
    """empty for what lives on none: a symbolic tensor, a placeholder"""

    def __str__(self) -> str:
        where = f" on {self.device}" if self.device else ""
        return f"{self.type_name} {self.dtype}{self.shape}{where}"


class Sharer(NamedTuple):
    """Whose memory it is."""

    name: str
    """of what holds it; empty: the tensor itself, or what has no name"""
    kind: str
    """what that is: ``a parameter``"""
    what: str
    """the same, of the memory"""
    effect: str
    """what a write to the array does"""
    changes: str = ""
    """what changes the array; empty: nothing that is usual"""

    def describe(self, name: str) -> str:
        """Return whose memory it is, in words; `name` is the tensor's."""
        if self.changes:
            return f"{self.name or name}, {self.kind}"
        return self.kind


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code that asked for an array, as it is kept. Holds no frame: frames hold tensors."""

    filename: str
    lineno: int
    function: str
    library: str = ""
    """the package that this line called, and that asked for the array on its behalf; empty: the line asked itself"""
    source: str = ""
    """what the line says, where that is known"""
    rank: str = ""
    """which of several cooperating processes ran it: ``rank 1 of 4``"""
    code: CodeType | None = field(default=None, repr=False, compare=False)
    """what ran; it is not pickled, and neither are the others below"""
    lasti: int = field(default=-1, repr=False, compare=False)
    """offset of the instruction in the bytecode"""
    asks: bool = field(default=False, repr=False, compare=False)
    """the guarded method was called by this very instruction"""

    def __reduce__(self) -> tuple[type[Site], tuple[Any, ...]]:
        return Site, (self.filename, self.lineno, self.function, self.library, self.source, self.rank)


class Edit(NamedTuple):
    """A piece of a source file, and what to write there."""

    start: tuple[int, int]
    """line, from 1, and column in characters, from 0"""
    end: tuple[int, int]
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the source says of a tensor; only text."""

    name: str | None = None
    """the user's expression for the tensor; None: it cannot be told"""
    path: str = ""
    """the end of `name` that leads into a container: ``[3]``"""
    inside: str = ""
    """the operation that the tensor is somewhere inside of, where `name` cannot be told"""
    asked: str = ""
    """``name.numpy()``, where the line asks the tensor itself"""
    returned_by: str = ""
    """the function that gave the tensor to a library; `shown` is its `return`"""
    place: str = ""
    """where that stands; empty: in the line itself"""
    remark: str = ""
    """the usual way out of this very situation, where there is no code"""
    fix: str | None = None
    """the user's expression with the tensor converted"""
    shown: str | None = None
    """the user's statement with the tensor converted, or as much of it as can be pasted"""
    is_part: bool = False
    """`shown` is a part of the statement"""
    stays: Stays = ""
    """why what the line computes has to stay a tensor; `fix` and `shown`, if there are any, keep tensors"""
    look: str | None = None
    """the statement with the tensor converted, where `shown` is something else"""
    source: str = ""
    """the line as it is"""
    keeps: Literal["array", "copy", ""] = "array"
    """what the program gets of the array that is made: itself, a copy of it, or nothing"""
    nbytes: int | None = None
    """bytes that are allocated for all the arrays of `shown`; None: not known, or it converts one tensor alone"""
    edits: tuple[Edit, ...] = ()
    """what to change in the file for the line to be `shown`"""


NOTHING_READ = Reading()
