"""Doors to NumPy, and what comes out of them: an array or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import safe_numpy

METHODS: dict[str, Callable[[Any], Any]] = {"numpy": lambda x: x.numpy(), "asarray": np.asarray}


def catch(door: Callable[[Any], Any], mode: str) -> Callable[[Any], Exception | None]:
    """Pass the door in a mode and return what it raised."""

    def go(x: Any) -> Exception | None:
        try:
            with safe_numpy.mode(mode):
                door(x)
        except Exception as error:
            return error
        return None

    return go
