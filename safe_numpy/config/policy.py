"""How permissive mode converts, where there is a choice."""

from __future__ import annotations

import importlib.util

from safe_numpy.config.setting import SWITCH, Setting, make_parser
from safe_numpy.messages.units import parse_size


def _parse_dtype(value: object) -> str:
    word = _parse_dtype_word(value)
    if word == "ml_dtypes" and importlib.util.find_spec("ml_dtypes") is None:
        raise ValueError(f"{value!r} needs the package ml_dtypes, which is not installed: pip install ml_dtypes")
    return word


_parse_dtype_word = make_parser(
    "dtype policy",
    {word: word for word in ("float32", "ml_dtypes", "raise")},
    "'float32', 'ml_dtypes' (the exact dtype) or 'raise'",
)


def _parse_max_bytes(value: object) -> int | None:
    found = parse_size(value) if isinstance(value, str) else value
    if type(found) is int and found >= 0:
        return found
    if value == "available":
        return None
    raise ValueError(f"{value!r} is no size; expected bytes, such as 1_000_000 or '8GiB', or 'available'")


DTYPE: Setting[str] = Setting("dtype", "SAFE_NUMPY_DTYPE", _parse_dtype, "float32", "float32 is used")
"""what a tensor of low precision becomes"""

MAX_BYTES: Setting[int | None] = Setting(
    "max_bytes", "SAFE_NUMPY_MAX_BYTES", _parse_max_bytes, None, "the memory available is used"
)
"""bytes that an array may take; None: what is free"""

ONLY: Setting[str] = Setting(
    "only",
    "SAFE_NUMPY_ONLY",
    make_parser("kind of conversion", {"explicit": "explicit", "all": "all"}, "'explicit' or 'all'"),
    "all",
    "all are converted",
)
"""which conversions are made: with ``explicit`` those by ``numpy()``, not those by ``np.asarray`` and its like"""

READONLY: Setting[bool] = Setting(
    "readonly",
    "SAFE_NUMPY_READONLY",
    make_parser("switch", SWITCH, "True or False, or one of 1 true yes on 0 false no off"),
    False,
    "arrays stay writable",
)
"""arrays that share their memory with a tensor cannot be written to"""

SETTINGS = (DTYPE, MAX_BYTES, ONLY, READONLY)
"""all of them; each is a keyword of `mode` and `set_mode`, and a variable"""
