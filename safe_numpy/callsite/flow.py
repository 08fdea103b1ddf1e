"""Where a value goes that a line computes, as far as the source of the functions around it says.

From the line to the end of its function, and with what that returns into the statement that called. Frameworks are
known by the names alone under which people use them.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from enum import Enum
from types import FrameType

from safe_numpy.callsite.syntax import find_place, walk_statements
from safe_numpy.callsite.walk import Held, walk_from
from safe_numpy.diagnosis.facts import Site


class Flow(Enum):
    """What becomes of an array."""

    RETURNS = "it becomes a tensor again"
    ENDS = "it is shown, stored or thrown away"
    UNKNOWN = "its way cannot be followed"


def follow(sites: Sequence[Site]) -> Flow:
    """Follow the array that the first of these lines makes.

    Args:
        sites: the user's lines that were running, the innermost first.
    """
    held, is_lost, has_tensor, trees = Held.PART, False, False, dict[str, ast.Module]()
    for site in sites:
        walk = walk_from(site, held, trees)
        if walk is None:
            return Flow.UNKNOWN
        if walk.is_learnt:
            return Flow.RETURNS
        has_tensor |= walk.has_tensor
        # what a library's trainer does with a result of forward stands in no line of the user's
        is_lost |= walk.is_lost or walk.is_forward
        if not walk.returned:
            is_only_shown = walk.is_shown and not walk.is_used and not is_lost
            if has_tensor and not is_only_shown:
                return Flow.RETURNS
            return Flow.UNKNOWN if is_lost else Flow.ENDS
        held = walk.returned
    return Flow.RETURNS if has_tensor and Held.TENSOR in held else Flow.UNKNOWN


def is_learnt_from(sites: Sequence[Site], trees: dict[str, ast.Module] | None = None) -> bool:
    """Tell whether what the first of these lines computes takes part in training, as far as the source says.

    It does where it reaches the computation of a gradient (``loss.backward()``, ``torch.autograd.grad(loss, w)``), by
    way of variables, containers, members of ``self`` and returns; where a method named ``forward`` returns it, or hands
    it to a module or to torch; and where the line asks of it what arrays do not have (``np.log(x).unsqueeze(0)``).
    What is printed, plotted, logged or only collected does not. Where that is uncertain, the answer is False.

    Args:
        sites: the user's lines that were running, the innermost first.
        trees: what was parsed for another question, by its text.
    """
    held, trees = Held.PART | Held.ITSELF | Held.TENSOR, {} if trees is None else trees
    for site in sites:
        walk = walk_from(site, held, trees)
        if walk is None or walk.is_learnt:
            return walk is not None
        if not walk.returned:
            return False
        held = walk.returned
    return False


def sums_in_loop(frame: FrameType, name: str) -> bool:
    """Tell whether the function that `frame` runs adds to its variable `name` in a loop: ``total += loss``."""
    place = find_place(Site(frame.f_code.co_filename, frame.f_lineno, "", code=frame.f_code, lasti=frame.f_lasti), {})
    loops = (
        [s for s in walk_statements(place.scopes[-1]) if isinstance(s, (ast.For, ast.AsyncFor, ast.While))]
        if place is not None
        else []
    )
    for statement in (s for loop in loops for s in walk_statements(loop)):
        match statement:
            case ast.AugAssign(ast.Name(target), ast.Add()) if target == name:
                return True
            case ast.Assign([ast.Name(target)], ast.BinOp(ast.Name(one), ast.Add())) if target == one == name:
                return True
    return False


def is_taken_by_torch(sites: Sequence[Site], trees: dict[str, ast.Module] | None = None) -> bool:
    """Tell whether the array that the first of these lines makes goes on to what takes tensors, torch or a gradient.

    Args:
        sites: the user's lines that were running, the innermost first.
        trees: what was parsed for another question, by its text.
    """
    held, trees = Held.PART, {} if trees is None else trees
    for site in sites:
        walk = walk_from(site, held, trees, is_array=True)
        if walk is None or walk.is_taken:
            return walk is not None
        if not walk.returned or Held.TENSOR in walk.returned:
            return False
        held = walk.returned
    return False
