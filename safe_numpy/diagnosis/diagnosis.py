"""`Diagnosis`: what `diagnose` answers, and what an explained error carries. Frozen facts, no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import NOTHING_READ, Facts, Problem, Reading, Sharer, Site, Stays, Subject
from safe_numpy.messages import phrases
from safe_numpy.messages.layout import Displayed, Message, Row
from safe_numpy.messages.units import find_rank, format_bytes, name_place, read_line_text, show_controls

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
    returned_by: str = ""
    """the function of the user's that gave the tensor to the library, where `name` is not known"""
    shown: str | None = None
    """the user's statement with the tensor converted, ready to be pasted; None: there is no line, or no fix"""
    shown_at: str = ""
    """which statement that is; empty: the one of `site`"""
    is_part: bool = False
    """`shown` is only a part of the statement"""
    stays: Stays = ""
    """why what the line computes has to stay a tensor; `fix` and `shown`, if there are any, keep tensors"""
    look: str | None = None
    """the statement with the tensor converted, where `shown` keeps it a tensor, or there is no such code"""
    conversion: str | None = None
    """the conversion of `name` alone, or of ``t`` where that is not known; None: there is none"""
    owner: str = ""
    """whose memory the array has that shares the tensor's, and what that means, where it is known"""
    keeps: Literal["array", "copy", ""] = "array"
    """what the program gets of the array that is made: itself, a copy of it, or nothing"""
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
        elif self.returned_by:
            who = f"The tensor that {self.returned_by} returned"
        elif self.inside:
            who = f"A tensor inside `{self.inside}`"
        else:
            who = "This tensor" if self.site is not None else f"This tensor (`{self.name}` below)"
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
        is_known = self.named or self.site is None
        word = self.name if is_known and len(self.name) <= _LONGEST_WORD else "tensor"
        rows = [Row(word, f"{self.subject}{size}")]
        if self.site is not None:
            rows.append(make_line_row(self.site, f"converted inside {self.site.library}" if self.site.library else ""))
        return rows

    def _list_ways_out(self) -> list[Row]:
        rows = []
        if self.shown is not None:
            place = f"({self.shown_at})" if self.shown_at else ""
            rows.append(Row("fix", self.shown, is_code=True, is_fix=True, aside=place))
            about = [phrases.PART] if self.is_part else []
            about += [phrases.KEPT[self.stays]] if self.stays else [self._describe_sharing()] if self.keeps else []
            rows += [Row("", "; ".join(about))] if about else []
        elif self.stays:
            rows.append(Row("instead", phrases.KEEP[self.stays]))
        elif self.conversion is not None and self.problems:
            rows.append(Row("instead", self._advise()))
        for problem in self.problems:
            text = self.fill(problem.says.instead, problem.facts)
            if text and "{x}" in problem.says.instead and not self.named and self.site is not None:
                text = phrases.WITH_T.format(text=text)
            if text and (self.conversion is not None or problem.is_refused) and self.stays not in phrases.AT_EVERY_RUN:
                rows.append(Row("instead" if self.conversion is None else "note", text))
        rows += [Row("note", remark) for remark in self.remarks]
        if self.stays:
            if self.look is not None:
                place = f"({self.shown_at})" if self.shown_at else ""
                rows += [Row("or", self.look, is_code=True, aside=place), Row("", phrases.LOOK)]
            return rows
        is_unguarded = any(p.says.is_unguarded for p in self.problems)
        if self.problems and self.convertible and not (is_unguarded or self.is_unwanted or self.is_hazard):
            rows.append(Row("or", phrases.OR_PERMISSIVE))
        return rows

    def _advise(self) -> str:
        """Say what to do where it is not certain which code is right."""
        template = phrases.CONVERT_NAMED if self.named else phrases.CONVERT_UNNAMED
        return template.format(code=self.conversion)

    def _describe_sharing(self) -> str:
        is_known = self.named or self.site is None
        whose = self.name if is_known and len(self.name) <= _LONGEST_WORD else "the tensor"
        if self.shares_memory and self.keeps == "array":
            return f"nothing is copied: {self.owner or phrases.BOTH_WAYS.format(whose=whose)}"
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
        return show_controls(f"{before}{who} became a NumPy array: {deeds}; {share}. {self._write_out()}")

    def _write_out(self) -> str:
        """Return the code to write instead of what permissive mode did."""
        if self.stays == "learnt":
            return f"{phrases.NOT_LEARNT}: {self.shown}" if self.shown else phrases.NOT_LEARNT
        name = f"`{self.name}`" if self.named else "with `t` for the tensor"
        return f"Written out: {self.shown or f'{name}: {self.conversion}'}"


def make_line_row(site: Site, library: str) -> Row:
    """Return ``line  file.py:57  the source of that line``, and what is to be said of a library that it called."""
    source = site.source or read_line_text(site.filename, site.lineno)
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
    sharer: Sharer | None = None,
) -> Diagnosis:
    """Put together what was found out: `reading` knows the user's expression, and his line corrected."""
    # where nothing is known, `x`; next to code that may have an `x` of its own, another name
    name = reading.name or ("x" if site is None and not reading.inside else "t")
    conversion = plan.render(name)
    is_stated = reading.name is not None or name == "x"
    fix = reading.fix
    if fix is None and is_stated and not reading.stays:
        fix = conversion
    return Diagnosis(
        problems=plan.problems,
        fix=fix,
        convertible=not plan.is_refused,
        shares_memory=not plan.copies and plan.array is not None,
        nbytes=plan.nbytes,
        subject=plan.subject,
        name=name,
        named=reading.name is not None,
        headline=plan.headline,
        array_nbytes=plan.array_nbytes if reading.nbytes is None else reading.nbytes,
        inside=reading.inside,
        shown=fix and (reading.shown or (fix if site is None and not reading.inside else None)),
        shown_at=reading.place,
        is_part=reading.is_part,
        stays=reading.stays,
        look=reading.look,
        returned_by=reading.returned_by,
        conversion=conversion,
        keeps=reading.keeps,
        owner="" if sharer is None else phrases.say_owner(sharer.describe(name), sharer.effect, sharer.changes),
        site=site and replace(site, source=reading.source, rank=find_rank()),
        remarks=(reading.remark, *remarks) if reading.remark else remarks,
        is_hazard=is_hazard,
        is_unwanted=is_unwanted,
    )
