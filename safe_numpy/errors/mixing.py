"""Classes that are two things at once, made when they are first needed, and that pickle all the same.

Imports nothing of ours. pickle takes a class by its name, and a mixed class has none of its own: it displays as the
class of ours that it was mixed from. So it goes by its recipe.
"""

from __future__ import annotations

import copyreg
from typing import Any


class ByRecipe(type):
    """Class of the classes that `mix` mixes, and of their ancestors."""


_mixed: dict[tuple[type, type], Any] = {}


def mix(ours: type, theirs: type) -> Any:
    """Return the one class that is both `ours`, a `ByRecipe`, and `theirs`; it displays as `ours`."""
    known = _mixed.get((ours, theirs))
    if known is not None:
        return known
    names = {"__doc__": ours.__doc__, "__module__": ours.__module__, "__qualname__": ours.__qualname__}
    metaclass: Any = type(ours)
    cls = ours if issubclass(ours, theirs) else metaclass(ours.__name__, (ours, theirs), names)
    return _mixed.setdefault((ours, theirs), cls)


def _reduce_class(cls: type) -> Any:
    is_mixed = len(cls.__bases__) == 2 and _mixed.get(cls.__bases__) is cls
    return (mix, cls.__bases__) if is_mixed else cls.__qualname__


copyreg.pickle(ByRecipe, _reduce_class)
