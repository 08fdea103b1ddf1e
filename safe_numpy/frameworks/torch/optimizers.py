"""Who stops learning: the leaves whose path to the loss a conversion has cut, looked at when an optimizer steps.

A cut is remembered by its line and by weak references to the leaves upstream. If a step finds such a leaf without a
gradient, and the source says that the array became a tensor again, or the leaf starves step after step, its name is
worth a warning. A leaf that has a gradient at any step gets it another way: plots and metrics are left in peace.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from safe_numpy.callsite.flow import Flow, follow
from safe_numpy.callsite.frames import list_callers, list_sites
from safe_numpy.diagnosis.facts import Site
from safe_numpy.diagnosis.framework import Cut, Watch
from safe_numpy.frameworks.torch.detect import dtype_name
from safe_numpy.frameworks.torch.gradients import find_leaves, find_names
from safe_numpy.frameworks.torch.modules import iterate_variables

_MOST_NODES = 10_000
_MOST_CUTS = 1000
_MOST_CALLERS = 10
_MOST_WALKS = 32
"""graphs that are walked for one line between two steps"""

_MOST_TOLD = 20

_EVERY_STEP = 8
"""so many steps are looked at one by one, and then ever fewer"""

_SECONDS = 0.02
_PATIENCE = 3
"""so many steps a leaf may starve where the source does not say what became of the array"""


@dataclass(eq=False)
class _Cut:
    """One line that converts tensors which autograd records."""

    site: Site
    expression: str
    sites: Sequence[Site]
    """the user's lines that were running, the innermost first"""
    leaves: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)
    """what was upstream of it since the latest step, by id"""
    step: int = -1
    """the step before which `leaves` were found"""
    next_step: int = 0
    """when to look again"""
    looks: int = 0
    walks: int = 0
    number: int = 0
    """of the latest conversion that was looked at"""
    starved: dict[int, tuple[weakref.ref[Tensor], int]] = field(default_factory=dict)
    """leaves without a gradient, and at how many steps, by id"""
    flow: Flow | None = None
    """what becomes of the array; None: nobody has asked yet"""

    def find_flow(self) -> Flow:
        """Return what becomes of the array; the source is read once."""
        if self.flow is None:
            self.flow = follow(self.sites)
        return self.flow

    def is_to_walk(self, step: int) -> bool:
        """Tell whether to look at a conversion before the next step; note that it is done."""
        if step != self.step:
            if step < self.next_step:
                return False
            self.step, self.walks = step, 0
            self.leaves.clear()
            self.looks += 1
            self.next_step = step + max(1, 2 ** min(self.looks - _EVERY_STEP, 12))
        self.walks += 1
        return self.walks <= _MOST_WALKS


class OptimizerWatch(Watch):
    """The cuts of this process, and the optimizers that meet them."""

    def __init__(self) -> None:
        self.steps = 0
        """steps of optimizers so far"""
        self.tell: Callable[[Sequence[str], Site, str], None] = lambda names, site, expression: None
        self._cuts: dict[object, _Cut] = {}
        self._number = 0
        self._seen: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()
        self._fed: dict[int, weakref.ref[Tensor]] = {}
        self._handle: Any = None

    def remember(self, x: Tensor, key: object, site: Site, expression: str, frame: FrameType) -> int:
        """Note a conversion of `x`, which autograd records, in the line that `frame` runs.

        Returns:
            how many steps there have to be before the next conversion there is worth a look.
        """
        cut = self._cuts.get(key)
        if cut is None:
            if len(self._cuts) >= _MOST_CUTS:
                return sys.maxsize
            cut = self._cuts[key] = _Cut(site, expression, list_sites(list_callers(frame), _MOST_CALLERS))
        if not cut.is_to_walk(self.steps):
            return max(cut.next_step, self.steps + 1)
        leaves = [x] if x.grad_fn is None else find_leaves(x.grad_fn, time.perf_counter() + _SECONDS, _MOST_NODES)[0]
        for leaf in leaves:
            cut.leaves[id(leaf)] = weakref.ref(leaf)
        self._number += 1
        cut.number = self._number
        if self._handle is None:
            self._handle = register_optimizer_step_pre_hook(self._before_step)
        return self.steps

    def find_cuts(self) -> Sequence[Cut]:
        """Return the latest cuts whose arrays are not known to end in plots and metrics, the newest last; some twenty.

        Reads source. Where ``backward()`` finds nothing to differentiate, it was most often the last of them.
        """
        latest = sorted(self._cuts.copy().values(), key=lambda cut: cut.number)[-_MOST_TOLD:]
        return [Cut(cut.site, cut.expression) for cut in latest if cut.find_flow() is not Flow.ENDS]

    def forget(self) -> None:
        """Watch nothing any more."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = None
        self._cuts.clear()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self.steps += 1
        seen = self._seen.get(optimizer, 0)
        if seen == self._number:
            return
        self._seen[optimizer] = self._number
        try:
            # a step that is given a closure computes its gradients later
            computes_later = len(args) > 1 or kwargs.get("closure") is not None
            found = self._examine(optimizer, [c for c in self._cuts.copy().values() if c.number > seen], computes_later)
            stack = list_callers(sys._getframe(1)) if found else []
            severed = [(_name_all(leaves, stack), cut.site, cut.expression) for cut, leaves in found]
        except Exception:
            return  # a step of the user's must not fail for this
        for each in severed:
            self.tell(*each)

    def _examine(self, optimizer: Optimizer, cuts: list[_Cut], computes_later: bool) -> list[tuple[_Cut, list[Tensor]]]:
        """Return the leaves that starve for each cut, of those that this optimizer is to update."""
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if computes_later and not any(p.grad is not None for g in optimizer.param_groups for p in g["params"]):
            return []
        found = []
        for cut in cuts:
            leaves = [leaf for r in cut.leaves.copy().values() if (leaf := r()) is not None]
            due = []
            for leaf in leaves:
                if id(leaf) not in own or not leaf.requires_grad:
                    continue
                if leaf.grad is not None:
                    if id(leaf) not in self._fed:
                        self._note_fed(leaf)
                elif self._fed.get(id(leaf), lambda: None)() is not leaf and _is_due(cut, leaf):
                    due.append(leaf)
                    self._note_fed(leaf)  # told once
            if due:
                found.append((cut, due))
        return found

    def _note_fed(self, leaf: Tensor) -> None:
        fed, key = self._fed, id(leaf)
        fed[key] = weakref.ref(leaf, lambda reference: fed.pop(key, None))


def _is_due(cut: _Cut, leaf: Tensor) -> bool:
    """Tell whether it is certain enough that this leaf would have a gradient without the cut."""
    flow = cut.find_flow()
    if flow is Flow.ENDS:
        return False
    reference, steps = cut.starved.get(id(leaf), (None, 0))
    steps = steps + 1 if reference is not None and reference() is leaf else 1  # the id may be another's by now
    cut.starved[id(leaf)] = weakref.ref(leaf), steps
    return flow is Flow.RETURNS or steps >= _PATIENCE


def _name_all(leaves: Sequence[Tensor], stack: Sequence[FrameType]) -> list[str]:
    """Return a name for each leaf, as their module has them; for one that has none, what it looks like."""
    names = find_names(leaves, list(iterate_variables(stack)), time.perf_counter() + _SECONDS)
    unnamed = [leaf for leaf in leaves if id(leaf) not in names]
    return [*names.values(), *(f"a parameter {dtype_name(leaf.dtype)}{list(leaf.shape)}" for leaf in unnamed)]


WATCH = OptimizerWatch()
