"""Who is tracing which function of the user's, told by the frames of an error, or of where a tensor was made."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import FrameType
from typing import Any, NamedTuple

import tensorflow as tf

from safe_numpy.callsite.frames import find_translator, is_between, is_foreign, is_users, locate, read_variables
from safe_numpy.messages.units import name_place

_TRACERS = {
    "tensorflow.python.data.ops.structured_function": "traced_by_dataset",
    "keras.src": "traced_by_keras",
    "tensorflow.python.eager.polymorphic_function": "traced",
}
"""modules whose functions stand around a traced one, the innermost first, and the cause that they are"""

_DATASETS = "tensorflow.python.data.ops.dataset_ops"
_MACHINERY = ("func_graph_from_py_func", "compute_output_spec")
"""functions that trace: those that they call in the end are the user's"""
_SCRATCH = "scratch_graph"
"""how the graph is named in which Keras finds out shapes (keras/src/backend/tensorflow/core.py)"""


class Tracing(NamedTuple):
    """A function of the user's that is, or was, traced."""

    cause: str
    """the row of the table that says so"""
    function: str
    """empty: it is not known"""
    operation: str = ""
    """of a Dataset; empty: another traces"""
    place: str = ""
    """where in it the tensor was made, where that is to be told: `` (train.py:12)``"""


def find_tracing(stack: Sequence[FrameType]) -> Tracing | None:
    """Return who is tracing the line that the first of some frames runs; None where nobody is seen to.

    Args:
        stack: the frames from the user's outwards.
    """
    function, is_inside = "", True
    for frame in stack:
        is_inside = is_inside and (is_users(frame) or is_between(frame))
        if is_inside and is_users(frame):
            function = _name_traced(frame)
        module = _get_module(frame)
        cause = next((c for name, c in _TRACERS.items() if module.startswith(name)), None)
        if cause is not None:
            return Tracing(cause, function, _find_operation(stack) if cause == "traced_by_dataset" else "")
    return None


def find_origin(x: Any) -> Tracing | None:
    """Return the tracing by which a symbolic tensor was made that has left it; None where that is not known."""
    try:
        made = list(x.op.traceback)
    except Exception:  # a composite, a graph that is gone
        return None
    last = max((i for i, entry in enumerate(made) if entry.name in _MACHINERY), default=-1)
    users = [entry for entry in made[last + 1 :] if not is_foreign(entry.filename)] if last >= 0 else []
    is_kerass = any(f"{sep}keras{sep}src{sep}" in entry.filename for entry in made for sep in "/\\")
    place = f" ({name_place(users[-1].filename, users[-1].lineno)})" if users else ""
    return Tracing("leaked_from_keras" if is_kerass else "leaked", users[0].name if users else "", place=place)


def is_open(graph: Any, stack: Sequence[FrameType]) -> bool:
    """Tell whether one of some frames is making a graph, though what it calls may have left it for values."""
    if getattr(graph, "name", "").startswith(_SCRATCH) and any(f.f_code.co_name == _MACHINERY[1] for f in stack):
        return True
    traced = (read_variables(f).get("func_graph") for f in stack if f.f_code.co_name == _MACHINERY[0])
    return any(one is graph for one in traced)


def is_called_by_keras(stack: Sequence[FrameType]) -> bool:
    """Tell whether Keras called the line: it is a part of a layer, a loss, a metric."""
    return any(_get_module(frame).startswith("keras.src") for frame in stack)


def is_for_gradient(stack: Sequence[FrameType]) -> bool:
    """Tell whether the line is part of what a gradient is computed of: of a loss of Keras', or inside a tape."""
    return any(_computes_loss(frame) for frame in stack)


def _computes_loss(frame: FrameType) -> bool:
    if _get_module(frame).startswith("keras.src.losses") or frame.f_code.co_name == "compute_loss":
        return True
    return is_users(frame) and any(isinstance(value, tf.GradientTape) for value in read_variables(frame).values())


def _find_operation(stack: Sequence[FrameType]) -> str:
    """Return the method of a Dataset that is running."""
    return next((f.f_code.co_name for f in stack if _get_module(f).startswith(_DATASETS)), "map")


def _get_module(frame: FrameType) -> str:
    name = dict.get(frame.f_globals, "__name__")
    return name if isinstance(name, str) else ""


def _name_traced(frame: FrameType) -> str:
    """Return the function that a frame runs as its writer would call it: ``Model.train_step``, ``load``."""
    if find_translator(frame.f_code) is None:
        return frame.f_code.co_qualname.rpartition("<locals>.")[2]
    name = (locate(frame).function or frame.f_code.co_name).removeprefix("tf__")  # AutoGraph has no name for some
    owner = type(read_variables(frame).get("self"))
    return f"{owner.__name__}.{name}" if inspect.getattr_static(owner, name, None) is not None else name
