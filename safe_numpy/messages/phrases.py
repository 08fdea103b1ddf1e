"""The sentences that are common to all causes. Short, factual. What is said of one cause stands in its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safe_numpy.messages.units import join_names, name_place, show_controls


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is said of one cause; every field is a template over the cause's facts, ``{x}`` and ``{nbytes}``."""

    reason: str
    """why it stops the conversion"""
    done: str = ""
    """what the conversion did about it: past participle, for the warning in permissive mode"""
    instead: str = ""
    """the way out where there is no fix, or where the stock advice fails"""
    is_unguarded: bool = False
    """the stock code gives no error, so no guard is asked: only `to_numpy` and `diagnose` know of it"""


TOO_LARGE = Sentences(
    "the array would take {needed}, and {limit} may be used",
    instead="convert a part of it, or raise SAFE_NUMPY_MAX_BYTES",
)
OR_PERMISSIVE = "SAFE_NUMPY=permissive converts it for you, with a warning"
CONVERT_NAMED = "convert it before it gets there: `{code}`"
WITH_T = "with `t` for the tensor: {text}"
CONVERT_UNNAMED = "convert it before it gets there; with `t` for the tensor: `{code}`"
BOTH_WAYS = "writing to the array changes {whose}, and the other way round"
NOT_LEARNT = "No gradient passes through it, though one is computed of the result"
KEPT = {
    "learnt": "tensors stay tensors here, since a gradient is computed of the result",
    "taken": "tensors stay tensors here, since torch is given the result",
    "traced": "tensors stay tensors here: this line runs before there are values",
    "printed": "it prints at every run, when there are values",
    "noted": "it is called at every run, when there are values",
    "called": "it is called with values at every run; no gradient passes through it, and the shape of what it gives is "
    "lost: `set_shape` tells it again where a later step asks for it",
}
CHOICE = "`tf.where` takes one of two results by element, and `tf.cond` calls one of two functions"
LOOP = (
    "`tf.map_fn` calls a function for each part, and `tf.unstack` gives them where their number is known; so is a size "
    "that `x.shape[i]` gives, and not one of `tf.shape(x)`"
)
STORE = "an array cannot hold what has no value: `return {x}`, and store it where the function is called"
BYTES = (
    "code that wants strings is called by `{call}(f, [{x}], Tout)`, and is given bytes, which it is to `decode()`; "
    "`set_shape` of what it gives"
)

AT_EVERY_RUN = ("traced", "printed", "noted", "called")
"""fixes of code that is traced"""

KEEP = {
    "learnt": "stay with tensors here: a gradient is computed of the result, and no array has one",
    "taken": "stay with tensors here, or make one of the array: torch is given the result, and takes tensors",
}
LOOK = "for a value to look at: no gradient passes through it"
PART = "in place of that part of the statement"
IMPLICIT = "permissive mode converts explicit calls of numpy() alone here (only='explicit'), and this is none"
UNDECIDED = "permissive mode leaves the choice of a dtype to you here (dtype='raise')"

SHARED = "the array shares its memory"
READONLY = "the array shares its memory, and is read-only"
COPIED_FOR_EXPORT = "the array is a copy, since what DLPack exports could be written to"

_HAZARDS: dict[str, str] = {
    "alias": "{call} would give an array that must not be written to",
    "expanded": "{call} would give an array that must not be written to",
    "tangent": "{call} would drop the derivative without a word",
    "tape": "{call} would drop the gradient without a word",
    "object": "{call} would make objects of tensors",
    "composite": "{call} would make an object of a tensor",
}
"""by the kind of the problem"""

_MOST_NAMES = 20


def say_hazard(kind: str, call: str) -> str:
    """Return the first line of the error for a conversion that works, and should not."""
    return _HAZARDS.get(kind, "{call} would give wrong values, and no error").format(call=call)


def say_owner(whom: str, effect: str, changes: str) -> str:
    """Return what it means that the array has somebody's memory."""
    also = f"; {changes} changes the array, of which `.clone()` keeps a snapshot" if changes else ""
    return f"it is the memory of {whom}: writing to the array {effect}{also}"


def warn_severed(names: Sequence[str], filename: str, lineno: int, expression: str) -> str:
    """Return the warning for parameters that do not learn any more."""
    others = len(names) - _MOST_NAMES
    who = join_names([*names[:_MOST_NAMES], *([f"{others} others"] if others > 0 else [])])
    place = f"{name_place(filename, lineno)} `{expression}`".removesuffix(" ``")
    path = "its path was" if len(names) == 1 else "their paths were"
    return show_controls(f"{who} got no gradient; {path} cut at {place}")


def note_own_failure(error: Exception) -> str:
    """Return the one line that is added to the user's error when our own code failed."""
    return show_controls(f"safe_numpy could not explain this ({type(error).__name__}: {error})")


def note_failed_conversion(error: Exception) -> str:
    """Return the line that is added when permissive mode tried, and the conversion itself failed."""
    return show_controls(f"safe_numpy tried to convert it: {type(error).__name__}: {error}")
