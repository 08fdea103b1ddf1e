"""Warnings at the user's line: of a conversion, of a hazard once per call site, of parameters that do not learn."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from safe_numpy.callsite.frames import Caller, locate
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import Door, Site
from safe_numpy.diagnosis.framework import Introspection, make_plan
from safe_numpy.errors.pages import HazardWarning, SeveredGradientWarning
from safe_numpy.guard.failure import read_source
from safe_numpy.messages.phrases import warn_severed
from safe_numpy.messages.units import get_rank, show_controls

_MOST_HAZARDS = 10_000

FindDetail = Callable[[FrameType], str | None]
"""says where, or what else there is to say, for the user's frame; None: nothing was lost"""


class Claims:
    """Lets one of several threads that meet at a place go on; the others wait for nobody, and pass by.

    No lock: a signal handler, or a ``__del__``, may come in between.
    """

    def __init__(self) -> None:
        self._held: dict[object, object] = {}

    @contextmanager
    def claim(self, key: object) -> Iterator[bool]:
        """Tell whether this thread is the one; nobody else is before the block ends."""
        own = object()
        is_ours = self._held.setdefault(key, own) is own  # one step, for threads
        try:
            yield is_ours
        finally:
            if is_ours:
                del self._held[key]

    def release_all(self) -> None:
        """Forget who is at it: in a forked child they do not exist."""
        self._held.clear()


CLAIMS = Claims()
"""who is warning, by what is warned of"""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CLAIMS.release_all)


class HazardMemory:
    """The call sites that were warned of."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], CodeType] = {}

    def warn(self, frame: FrameType, x: Any, template: str, find_detail: FindDetail) -> None:
        """Warn of what was lost in a conversion of `x` that worked, in the line that `frame` runs; once there.

        `template` is the sentence, over ``{subject}``, ``{detail}`` and ``{x}``, what the line calls the tensor.

        Raises:
            HazardWarning: the user's filters make errors of our warnings.
        """
        key = (id(frame.f_code), frame.f_lineno)
        if key in self._known or len(self._known) >= _MOST_HAZARDS or get_rank():
            return
        with CLAIMS.claim((self, key)) as is_ours:
            if is_ours and key not in self._known:
                self._warn_once(frame, x, template, find_detail)

    def _warn_once(self, frame: FrameType, x: Any, template: str, find_detail: FindDetail) -> None:
        detail = find_detail(frame)
        if detail is None:
            return
        plan = make_plan(x, Door.NUMPY)
        name = _find_name(frame, x, plan) if plan is not None else None
        subject = plan and (f"`{name}` ({plan.subject})" if name else str(plan.subject))
        text = template.format(subject=subject, detail=detail, x=name or "x")
        warn_at(locate(frame), frame, HazardWarning(show_controls(text)))
        self._known[id(frame.f_code), frame.f_lineno] = frame.f_code  # keeps the id from being used again


def _find_name(frame: FrameType, x: Any, plan: Plan) -> str | None:
    """Return what the line that `frame` runs calls a tensor; None where that cannot be told."""
    caller = Caller(frame, None, True, "")
    introspection = Introspection(x)
    name: str | None = read_source(lambda lookup: lookup.name_tensor(introspection, plan, caller), None)
    return name


def warn_of_severed(names: Sequence[str], site: Site, expression: str) -> None:
    """Warn of parameters that got no gradient, since a conversion at `site` cut their path."""
    if not get_rank():
        warning = SeveredGradientWarning(warn_severed(names, site.filename, site.lineno, expression))
        warnings.warn_explicit(warning, SeveredGradientWarning, site.filename, site.lineno)


def warn_at(site: Site, frame: FrameType, warning: Warning) -> None:
    """Warn at a line, by the filters and the registry of its module."""
    name = dict.get(frame.f_globals, "__name__")
    warnings.warn_explicit(
        warning,
        type(warning),
        site.filename,
        site.lineno,
        module=name if isinstance(name, str) else "<string>",  # as `warnings.warn` says; None would silence it
        registry=dict.setdefault(frame.f_globals, "__warningregistry__", {}),
    )
