"""Reading what objects and frames hold without running anybody's code. Imports nothing of ours."""

from __future__ import annotations

import inspect
import sys
from types import FrameType, GetSetDescriptorType
from typing import Any

_HELD_BY_FRAME_AND_US = 3  # the frame, our variable, and the argument of getrefcount

# By the descriptors of `type`: a metaclass can have these attributes made up.
_get_mro = type.__dict__["__mro__"].__get__
_get_class_dict = type.__dict__["__dict__"].__get__


def read_members(instance: Any) -> dict[str, Any]:
    """Return an instance's own dict, or an empty one where a class of somebody's own would have to be asked for it."""
    for cls in _get_mro(type(instance)):
        slot = _get_class_dict(cls).get("__dict__")
        if slot is not None:
            members = slot.__get__(instance) if type(slot) is GetSetDescriptorType else None
            return members if type(members) is dict else {}
    return {}


def read_variables(frame: FrameType) -> dict[str, Any]:
    """Return the local variables of a frame; none where a class of somebody's own keeps them.

    Before Python 3.13 ``f_locals`` of a function leaves a copy in the frame, which would keep what was deleted since
    alive until the function returns. So it is emptied, unless somebody else has hold of it: `locals` gives the same.
    """
    scope = frame.f_locals
    if type(scope) is not dict:
        return dict(scope) if type(scope).__name__ == "FrameLocalsProxy" else {}
    variables = scope.copy()
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(scope) <= _HELD_BY_FRAME_AND_US:
        scope.clear()
    return variables
