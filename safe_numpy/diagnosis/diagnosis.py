"""`Diagnosis`: what `diagnose` answers, and what an explained error carries. Frozen facts, no tensor."""

from __future__ import annotations

import linecache
from dataclasses import dataclass, replace

from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import NOTHING_READ, Facts, Problem, Reading, Site, Subject
from safe_numpy.messages.layout import Displayed, Message, Row
from safe_numpy.messages.phrases import OR_PERMISSIVE
from safe_numpy.messages.units import find_rank, format_bytes, name_place

_LONGEST_WORD = 12
"""a longer name would push every line to the right"""


@dataclass(frozen=True, slots=True)
class Diagnosis(Displayed):
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
    remarks: tuple[str, ...] = ()
    """what else is to be known in this situation, and the usual way out of it"""
    is_hazard: bool = False
    """the stock conversion works, and its result is wrong or a trap"""
    is_unwanted: bool = False
    """permissive mode is on, and was told not to make this conversion"""

    _repr_pretty_ = Displayed._repr_pretty_  # IPython prefers the own repr of a class to what it inherits

    def compose(self) -> Message:
        """Return the explanation, in its one shape: every reason, what the tensor is, where it stands, and the fix."""
        return Message(self._make_headline(), (self._list_reasons(), self._list_facts(), self._list_ways_out()))

    def fill(self, template: str, facts: Facts) -> str:
        """Put the facts of a problem into a sentence of its cause."""
        return template.format_map({"x": self.name, "nbytes": format_bytes(self.nbytes), **facts})

    def _make_headline(self) -> str:
        if self.named:
            who = f"`{self.name}`"
        elif self.inside:
            who = f"A tensor inside `{self.inside}`"
        else:
            who = f"This tensor (`{self.name}` below)"
        count = len(self.problems)
        if count == 0:
            return f"{who} can become a NumPy array as it is."
        what = "should not become a NumPy array this way" if self.is_hazard else "cannot become a NumPy array"
        return f"{who} {what}, for {count} reason{'s' if count > 1 else ''}:"

    def _list_reasons(self) -> list[Row]:
        """The problem whose error the user saw stands first, the others in the order of the fix."""
        ordered = sorted(self.problems, key=lambda p: p is not self.headline)
        return [Row(p.kind, self.fill(p.says.reason, p.facts)) for p in ordered]

    def _list_facts(self) -> list[Row]:
        size = f", {format_bytes(self.nbytes)}" if self.nbytes else ""
        word = self.name if len(self.name) <= _LONGEST_WORD else "tensor"
        rows = [Row(word, f"{self.subject}{size}")]
        if self.site is not None:
            rows.append(make_line_row(self.site, f"converted inside {self.site.library}" if self.site.library else ""))
        return rows

    def _list_ways_out(self) -> list[Row]:
        rows = []
        if self.shown is not None:
            rows += [Row("fix", self.shown, is_code=True, is_fix=True), Row("", self._describe_sharing())]
        for problem in self.problems:
            text = self.fill(problem.says.instead, problem.facts)
            if text and (self.fix is not None or problem.is_refused):
                rows.append(Row("instead" if self.fix is None else "note", text))
        rows += [Row("note", remark) for remark in self.remarks]
        is_unguarded = any(p.says.is_unguarded for p in self.problems)
        if self.problems and self.convertible and not (is_unguarded or self.is_unwanted or self.is_hazard):
            rows.append(Row("or", OR_PERMISSIVE))
        return rows

    def _describe_sharing(self) -> str:
        whose = self.name if len(self.name) <= _LONGEST_WORD and not self.inside else "the tensor"
        if self.shares_memory:
            return f"nothing is copied: writing to the array changes {whose}"
        size = f" of {format_bytes(self.array_nbytes)}" if self.array_nbytes else ""
        device = next((p.facts["device"] for p in self.problems if p.cause == "device"), None)
        wait = f", made once {device} has finished" if device else ""
        return f"a copy{size}{wait}: writing to the array does not change {whose}"

    def describe_conversion(self, sharing: str) -> str:
        """Return what permissive mode did, and the code to write instead.

        Args:
            sharing: what is to be said of an array that is no copy.
        """
        deeds = ", ".join(self.fill(p.says.done, p.facts) for p in self.problems)
        who = f"`{self.name}`, {self.subject}," if self.named else str(self.subject)
        rank = find_rank()
        share = sharing if self.shares_memory else "the array is a copy"
        before = f"{rank}: " if rank else ""
        return f"{before}{who} became a NumPy array: {deeds}; {share}. Written out: {self.shown}"


def make_line_row(site: Site, library: str) -> Row:
    """Return ``line  file.py:57  the source of that line``, and what is to be said of a library that it called."""
    source = site.source or linecache.getline(site.filename, site.lineno).strip()
    asides = ", ".join(filter(None, (library, site.rank)))
    text = f"{name_place(site.filename, site.lineno)}  {source}".rstrip()
    return Row("line", text, is_code=True, is_cut=True, aside=f"({asides})" if asides else "")


def make_diagnosis(
    plan: Plan,
    reading: Reading = NOTHING_READ,
    site: Site | None = None,
    remarks: tuple[str, ...] = (),
    is_hazard: bool = False,
    is_unwanted: bool = False,
) -> Diagnosis:
    """Put together what was found out: `reading` knows the user's expression, and his line corrected."""
    # `x`, where nothing is known; but next to code that may have an `x` of its own, something else
    name = reading.name or ("tensor" if reading.inside else "x")
    fix = plan.render(name)
    return Diagnosis(
        problems=plan.problems,
        fix=fix and (reading.fix or fix),
        convertible=not plan.is_refused,
        shares_memory=not plan.copies and plan.array is not None,
        nbytes=plan.nbytes,
        subject=plan.subject,
        name=name,
        named=reading.name is not None,
        headline=plan.headline,
        array_nbytes=plan.array_nbytes,
        inside=reading.inside,
        shown=fix and (reading.shown or fix),
        site=site and replace(site, source=reading.source, rank=find_rank()),
        remarks=remarks,
        is_hazard=is_hazard,
        is_unwanted=is_unwanted,
    )
