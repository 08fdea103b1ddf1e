"""`to_numpy` and `diagnose`: what a user calls on purpose, on one tensor or on a nesting of them."""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from safe_numpy.diagnosis.diagnosis import Diagnosis
from safe_numpy.diagnosis.framework import find_framework
from safe_numpy.guard.guard import convert_tensor, diagnose_tensor
from safe_numpy.messages.units import name_type
from safe_numpy.patching import LOADING

_ATOMS = (str, bytes, int, float, complex, bool, type(None), type)


class _Node(NamedTuple):
    """A container, opened."""

    keys: Sequence[Any]
    """of the children, or the names of the attributes that they are"""
    children: Sequence[Any]
    rebuild: Callable[[list[Any]], Any]
    """makes a new one of others"""
    has_names: bool = False


_Trail = tuple["_Trail", _Node, int] | None
"""the way to a tensor: to the container that holds it, that container, and which child of it"""


def diagnose(x: Any, name: str | None = None) -> Diagnosis:
    """Say what stops a tensor from becoming a NumPy array. Converts nothing, copies nothing.

    Args:
        x: a tensor of any imported framework.
        name: the expression that `Diagnosis.fix` and the explanation call the tensor by; ``x`` if not given.

    Returns:
        A `Diagnosis`. It holds no reference to `x`.

    Raises:
        TypeError: `x` is no tensor.
    """
    framework = find_framework(x)
    if framework is None:
        raise TypeError(f"expected a tensor of torch, TensorFlow or Keras, once that is imported; got {name_type(x)}")
    return diagnose_tensor(framework, x, name)


def to_numpy(tree: Any) -> Any:
    """Convert every tensor in a nesting, whatever stops it from converting by itself.

    Looks into dicts and other mappings, lists, tuples, named tuples, deques and dataclass instances; everything else
    comes back as it went in, and so do containers of other types. A container that holds a tensor is replaced by a new
    one; the input is untouched.
    An array shares memory with its tensor where the tensor's own ``numpy(force=True)`` would.

    Args:
        tree: a tensor, or a nesting.

    Raises:
        ConversionError: a tensor has no value to convert; the message says where (``batch['x'][3]``).
        TypeError: there is a generator or another iterator in it, which looking into would exhaust.
        ValueError: the nesting contains itself.
    """
    return _convert_leaves(tree, None, ())


def _convert_leaves(x: Any, trail: _Trail, above: tuple[int, ...]) -> Any:
    """Convert `x`, to which `trail` leads, inside the containers whose ids are `above`."""
    framework = find_framework(x)
    if framework is not None:
        return convert_tensor(framework, x, lambda: _name_trail(trail))
    if isinstance(x, _ATOMS) or not _has_hash(type(x)):
        return x
    if isinstance(x, Iterator) and type(x).__module__ in ("builtins", "itertools"):
        path = f"tree{_name_trail(trail)}"
        raise TypeError(f"{path} is a {name_type(x)}, which looking into would exhaust: pass `list({path})`")
    if id(x) in above:
        raise ValueError(
            f"tree{_name_trail(trail)} is one of the containers it stands in: a nesting without end cannot be converted"
        )
    node = _open_node(x)
    if node is None:
        return x
    inner = (*above, id(x))
    try:
        converted = [_convert_leaves(child, (trail, node, i), inner) for i, child in enumerate(node.children)]
    except RecursionError:
        raise ValueError("tree is nested too deeply to be looked into") from None
    if type(x) not in (dict, list, tuple) and all(map(operator.is_, converted, node.children)):
        return x  # nothing in it was ours to convert
    return node.rebuild(converted)


def _has_hash(cls: type) -> bool:
    """Tell whether a class can be looked up, as every registry of containers does; its metaclass decides that."""
    try:
        hash(cls)
    except Exception:
        return False
    return True


def _name_trail(trail: _Trail) -> str:
    """Return the way as the user would write it: ``.batch['x'][3]``."""
    path = ""
    while trail is not None:
        trail, node, i = trail
        path = (f".{node.keys[i]}" if node.has_names else f"[{node.keys[i]!r}]") + path
    return path


def _open_node(x: Any) -> _Node | None:
    """Open one level of a container; None if `x` is none that we look into."""
    cls = type(x)
    if cls is list or cls is tuple:
        return _Node(range(len(x)), x, cls)
    if cls is dict:
        keys = list(x)
        return _Node(keys, list(x.values()), lambda new: dict(zip(keys, new, strict=True)))
    if dataclasses.is_dataclass(x) and not isinstance(x, Mapping):
        names = [f.name for f in dataclasses.fields(x) if hasattr(x, f.name)]
        return _Node(names, [getattr(x, n) for n in names], lambda new: _with_fields(x, names, new), has_names=True)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        # not type(x)(*new): torch's PackedSequence, for one, wants tensors there
        return _Node(x._fields, x, lambda new: tuple.__new__(type(x), new), has_names=True)
    if isinstance(x, Mapping):
        keys = list(x)
        return _Node(keys, [x[k] for k in keys], lambda new: _with_items(x, keys, new))
    with LOADING:
        import optree  # here: it is large, and `import safe_numpy` is to be light

    if optree.tree_is_leaf(x, none_is_leaf=True):
        return None
    children, data, entries, unflatten = optree.tree_flatten_one_level(x, none_is_leaf=True)
    return _Node(entries, list(children), lambda new: unflatten(data, new))


def _with_fields(x: Any, names: Sequence[str], values: Sequence[Any]) -> Any:
    new = copy.copy(x)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(new, name, value)  # frozen ones too
    return new


def _with_items(x: Mapping[Any, Any], keys: Sequence[Any], values: Sequence[Any]) -> Any:
    items = dict(zip(keys, values, strict=True))
    if not isinstance(x, MutableMapping):
        return type(x)(items)  # type: ignore[call-arg]
    new = copy.copy(x)
    for key, value in items.items():
        new[key] = value
    return new
