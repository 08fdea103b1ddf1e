"""`Diagnosis`: what `diagnose` answers, and what an explained error carries. Frozen facts, no tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from safe_numpy.callsite.frames import Site
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import NOTHING_READ, Problem, Reading, Remark, Subject
from safe_numpy.messages import phrases as _wording
from safe_numpy.messages.place import find_rank


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a tensor cannot become a NumPy array, and what to write instead.

    ``str()`` gives the explanation; in a notebook it displays itself.
    """

    problems: tuple[Problem, ...]
    """every reason, in the order of the fix; empty if the tensor converts as it is"""
    fix: str | None
    """a Python expression: the user's own, with the tensor converted, where that is known, else the conversion of
    `name` alone; None: there is none"""
    convertible: bool
    """permissive mode and `to_numpy` convert it"""
    shares_memory: bool
    """the fixed array aliases the tensor: writing to one changes the other"""
    nbytes: int
    """bytes of the tensor where it lives; 0 if it has no data"""
    subject: Subject
    """type, dtype, shape, device"""
    name: str = "x"
    """the user's expression for the tensor, or what stands for it"""
    named: bool = False
    """`name` is the user's own; False: it stands for a name that is not known"""
    headline: Problem | None = None
    """the problem that the framework meets first, whose error the user sees"""
    array_nbytes: int = 0
    """bytes that the fix allocates for the array; 0 if it shares memory"""
    inside: str = ""
    """the operation that the tensor is somewhere inside of, where its name is not known"""
    shown: str | None = None
    """the user's line with the tensor converted, ready to be pasted; None: there is no line, or no fix"""
    site: Site | None = None
    """the user's line"""
    remarks: tuple[Remark, ...] = ()
    """what else is to be known in this situation"""
    is_silent: bool = False
    """the stock conversion works, and its result is wrong or a trap"""

    def __str__(self) -> str:
        return _wording.explain(self)

    def _repr_html_(self) -> str:
        return _wording.explain_in_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # what an IPython prompt shows


def make_diagnosis(
    plan: Plan,
    subject: Subject,
    stock_order: Sequence[str] = (),
    *,
    reading: Reading = NOTHING_READ,
    site: Site | None = None,
    array_nbytes: int = 0,
    remarks: tuple[Remark, ...] = (),
    is_silent: bool = False,
) -> Diagnosis:
    """Put together what was found out: `reading` knows the user's expression, and his line corrected."""
    # `x`, where nothing is known; but next to code that may have an `x` of its own, something else
    name = reading.name or ("tensor" if reading.inside else "x")
    fix = plan.render(name)
    return Diagnosis(
        problems=plan.problems,
        fix=fix and (reading.fix or fix),
        convertible=not plan.refused,
        shares_memory=not plan.copies and plan.array is not None,
        nbytes=subject.nbytes,
        subject=subject,
        name=name,
        named=reading.name is not None,
        headline=find_headline(plan.problems, stock_order),
        array_nbytes=array_nbytes,
        inside=reading.inside,
        shown=fix and (reading.shown or fix),
        site=site and replace(site, source=reading.source, rank=find_rank()),
        remarks=remarks,
        is_silent=is_silent,
    )


def find_headline(problems: Sequence[Problem], stock_order: Sequence[str]) -> Problem | None:
    """Return the problem that the framework meets first: `stock_order` has the kinds as it checks them."""
    if len(problems) <= 1:
        return problems[0] if problems else None
    ranks = {kind: rank for rank, kind in enumerate(stock_order)}
    return min(problems, key=lambda p: ranks.get(p.kind, len(ranks)))
