"""What is known about a tensor: kinds of problems, and frozen records of them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


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


Facts = Mapping[str, str]
NO_FACTS: Facts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a tensor cannot become an array.

    ``cause`` names the row of the framework's table, and so its sentence; several causes share a ``kind``.
    ``refused`` says that nothing can be done about it here.
    """

    kind: Kind
    cause: str
    facts: Facts = field(hash=False)
    refused: bool = False

    def __reduce__(self) -> tuple[type[Problem], tuple[Kind, str, dict[str, str], bool]]:
        # A mappingproxy does not pickle; a plain dict says the same.
        return Problem, (self.kind, self.cause, dict(self.facts), self.refused)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the tensor is, in words a person knows it by; holds no tensor."""

    type_name: str
    dtype: str
    shape: str
    device: str
    """empty for what lives on none: a symbolic tensor, a placeholder"""
    nbytes: int
    """bytes that the tensor's own data takes where it lives; 0 where it has none"""

    def __str__(self) -> str:
        where = f" on {self.device}" if self.device else ""
        return f"{self.type_name} {self.dtype}{self.shape}{where}"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know beyond the reasons: where this situation leads, and the usual way out of it."""

    name: str
    """names the sentence"""
    facts: Facts = field(default_factory=dict, hash=False)


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
    fix: str | None = None
    """the user's expression with the tensor converted"""
    shown: str | None = None
    """the user's line with the tensor converted, or as much of it as can be pasted"""
    source: str = ""
    """the line as it is"""
    edits: tuple[Edit, ...] = ()
    """what to change in the file for the line to be `shown`"""


NOTHING_READ = Reading()
