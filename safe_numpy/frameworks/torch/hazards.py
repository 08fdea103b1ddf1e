"""PyTorch's conversions that work and should not: what strict mode adds to the table of causes.

Each was reproduced on stock torch 2.13; see tests/test_strict.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from safe_numpy.callsite.frames import find_user_frame, list_callers
from safe_numpy.diagnosis.causes import EVERY_DOOR, Step
from safe_numpy.diagnosis.facts import NO_FACTS, Door, Facts, Kind
from safe_numpy.frameworks.torch import aliases as _torch_aliases
from safe_numpy.frameworks.torch import causes as table
from safe_numpy.frameworks.torch import detect as sights
from safe_numpy.messages.phrases import HARMS

_MOST_FRAMES = 30


def see_dual(x: Tensor, door: Door) -> Facts | None:
    """See a tangent of forward-mode AD, of the level that is open."""
    if forward_ad._current_level < 0 or type(x) not in sights.PLAIN:
        return None
    return NO_FACTS if forward_ad.unpack_dual(x).tangent is not None else None  # type: ignore[no-untyped-call]


def see_expanded(x: Tensor, door: Door) -> Facts | None:
    """See elements that share one place in memory."""
    if x.is_nested or x.layout is not torch.strided or not x.numel():
        return None
    times = 1
    for size, stride in zip(x.shape, x.stride(), strict=True):
        times *= size if stride == 0 else 1
    return {"times": str(times)} if times > 1 else None


def see_alias(x: Tensor, door: Door) -> Facts | None:
    """See a parameter, or a value that autograd has saved, in the same memory."""
    if type(x) not in sights.PLAIN or not x.is_cpu or not torch.is_grad_enabled() or see_expanded(x, door) is not None:
        return None
    if x.dtype not in sights.NUMPY_DTYPES:
        return None  # what is widened is a copy
    stack = list_callers(find_user_frame(sys._getframe(1)), _MOST_FRAMES)
    harmed = _torch_aliases.find_harmed(x, stack)
    if harmed is None:
        return None
    whom, harm = HARMS[harmed.kind]
    return {"whom": whom.format(name=harmed.name or "x"), "harm": harm}


STEPS: tuple[Step, ...] = (
    Step(Kind.TANGENT, "dual", see_dual, "torch.autograd.forward_ad.unpack_dual({x}).primal", EVERY_DOOR, copies=False),
    Step(Kind.EXPANDED, "expanded", see_expanded, "{x}.contiguous()", EVERY_DOOR),
    Step(Kind.ALIAS, "alias", see_alias, "{x}.clone()", EVERY_DOOR),
)


def find_steps(x: Tensor) -> Sequence[Step]:
    """Return the steps that can concern `x`, the silent ones where they belong: before the array is made."""
    steps = table.find_steps(x)
    end = next((i for i, step in enumerate(steps) if step.ends and step.source is not None), len(steps))
    return (*steps[:end], *STEPS, *steps[end:])
