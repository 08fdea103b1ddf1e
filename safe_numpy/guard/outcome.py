"""What a guarded function does after a failure: one of three things. Imports nothing of ours."""

from __future__ import annotations

from typing import Any


class Outcome:
    """Let the stock error pass, raise another one, or return a value.

    The error is handed over, not shared: a frame that kept it would stand in the traceback that the error holds, and
    that circle would keep the tensor alive until the next garbage collection.
    """

    __slots__ = ("_error", "cause", "lets_pass", "value")

    def __init__(
        self, value: Any = None, error: Exception | None = None, cause: Exception | None = None, lets_pass: bool = False
    ) -> None:
        self.value = value
        """the array; at the DLPack door, the tensor to export"""
        self.cause = cause
        self.lets_pass = lets_pass
        self._error = error

    @property
    def is_error(self) -> bool:
        """Whether there is an error to raise."""
        return self._error is not None

    def take_error(self) -> Exception:
        """Return the error to raise, once."""
        error, self._error = self._error, None
        if error is None:
            raise AssertionError("the error was taken already")
        return error


STOCK = Outcome(lets_pass=True)
"""the stock error is to pass as it is"""
