"""`Diagnosis`: what `diagnose` answers, and what an explained error carries. Frozen facts, no tensor."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from safe_numpy import _wording
from safe_numpy._facts import Problem, Subject
from safe_numpy._steps import Plan


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a tensor cannot become a NumPy array, and what to write instead.

    ``str()`` gives the explanation; in a notebook it displays itself.
    """

    problems: tuple[Problem, ...]
    """every reason, in the order of the fix; empty if the tensor converts as it is"""
    fix: str | None
    """a Python expression over `name` (and ``np``, ``torch``) whose value is the array; None: there is none"""
    convertible: bool
    """permissive mode and `to_numpy` convert it"""
    shares_memory: bool
    """the fixed array aliases the tensor: writing to one changes the other"""
    nbytes: int
    """bytes of the tensor where it lives; 0 if it has no data"""
    subject: Subject
    """type, dtype, shape, device"""
    name: str = "x"
    named: bool = False
    """`name` is the user's own; False: it stands for a name that is not known"""
    headline: Problem | None = None
    """the problem that the framework meets first, whose error the user sees"""

    def __str__(self) -> str:
        return _wording.explain(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def make_diagnosis(plan: Plan, subject: Subject, stock_order: Sequence[str], name: str | None = None) -> Diagnosis:
    """Put a plan into words: `name` is the user's expression for the tensor, where it is known."""
    return Diagnosis(
        problems=plan.problems,
        fix=plan.render(name or "x"),
        convertible=not plan.refused,
        shares_memory=not plan.copies and plan.array is not None,
        nbytes=subject.nbytes,
        subject=subject,
        name=name or "x",
        named=name is not None,
        headline=find_headline(plan.problems, stock_order),
    )


def find_headline(problems: Sequence[Problem], stock_order: Sequence[str]) -> Problem | None:
    """Return the problem that the framework meets first: `stock_order` has the kinds as it checks them."""
    if len(problems) <= 1:
        return problems[0] if problems else None
    ranks = {kind: rank for rank, kind in enumerate(stock_order)}
    return min(problems, key=lambda p: ranks.get(p.kind, len(ranks)))
