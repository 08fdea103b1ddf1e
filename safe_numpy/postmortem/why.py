"""`why`: the reason for an error that no guard saw, found from the objects that it is about.

Each rule looks at one way to fail on the way to NumPy, and brings its sentences. It says nothing unless an object
confirms it: the object that lacked the attribute, an operand, an argument.
"""

from __future__ import annotations

import itertools
import re
import sys
from typing import TYPE_CHECKING

from safe_numpy.diagnosis.diagnosis import make_line_row
from safe_numpy.diagnosis.facts import Site
from safe_numpy.errors.base import ConversionError
from safe_numpy.messages.layout import Displayed, Message, Row
from safe_numpy.messages.units import name_type
from safe_numpy.patching import LOADING

if TYPE_CHECKING:
    from safe_numpy.postmortem.error_site import Finding

_EXPLAINED = (AttributeError, TypeError, ValueError, RuntimeError, LookupError)
_OTHERS = ("cv2", "multiprocessing.pool")
"""modules whose own errors are explained too"""

_MOST_ERRORS = 100
_WRAPPERS = ("keras", "tensorflow")
_MOST_NAMED = 4
_HEADLINE = re.compile(r"(?:cannot|should not) become a NumPy array.*:$")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""colours, as others put around the text of an error"""

_ROW = re.compile(r"  (\S*\s{2,})(\S.*)")


class Explanation(Displayed):
    """What is to be said of an error; false if it has nothing to do with converting tensors.

    It shows itself at the prompt and in a notebook; ``str()`` gives the text.
    """

    def __init__(self, message: Message, says_something: bool = True) -> None:
        self._message = message
        self._says_something = says_something

    def __bool__(self) -> bool:
        return self._says_something

    def compose(self) -> Message:
        """Return the explanation."""
        return self._message

    __repr__ = Displayed.__str__


def why(exc: BaseException | None = None) -> Explanation:
    """Explain an error in terms of tensors and arrays, also one that reached no guard.

    Args:
        exc: the error; the one being handled, or else the last one that was shown, if none is given.

    Raises:
        TypeError: `exc` is no exception.
    """
    if exc is not None and not isinstance(exc, BaseException):
        raise TypeError(f"expected an exception, or nothing for the last one; got {name_type(exc)}")
    error = exc or sys.exc_info()[1] or getattr(sys, "last_value", None)
    if error is None:
        return Explanation(Message("There is no error to explain.", ()), False)
    explained = find_explained(error)
    if explained is not None:
        said = explained.diagnosis.compose() if explained.diagnosis is not None else read_explanation(str(explained))
        if said is not None:
            return Explanation(said)
    return explain_unseen(error) or Explanation(Message(_say_nothing(error), ()), False)


def read_explanation(text: str) -> Message | None:
    """Return the explanation that stands in the text of an error which was made anew of its text alone."""
    lines = _STYLE.sub("", text).splitlines()
    heads = [i for i, line in enumerate(lines) if _HEADLINE.search(line)]
    if not heads:
        return None
    blocks: list[list[Row]] = [[]]
    for line in lines[heads[-1] + 1 :]:
        row = _ROW.fullmatch(line)
        if row is not None:
            word = row[1].strip()
            blocks[-1].append(Row(word, row[2], is_code=True, is_fix=word == "fix"))
        elif not line.strip():
            blocks.append([])
        else:
            break
    return Message(lines[heads[-1]], blocks)


def find_unsaid(error: BaseException) -> Explanation | None:
    """Return what is to be said of an error that does not say it itself; None if there is nothing; never raises."""
    return None if find_explained(error) is not None else explain_unseen(error)


def find_explained(error: BaseException) -> ConversionError | None:
    """Return the error that carries an explanation, of all that Python shows with one."""
    return next((e for e in list_errors(error) if isinstance(e, ConversionError)), None)


def list_errors(error: BaseException) -> list[BaseException]:
    """Return an error and those that Python shows with it, the most telling first.

    What one was raised from tells more than it does, and so do the members of a group; what merely was being handled
    tells less.
    """
    found: list[BaseException] = []
    _add_errors(error, found, set())
    return found


def _add_errors(error: BaseException | None, found: list[BaseException], seen: set[int]) -> None:
    if error is None or id(error) in seen or len(seen) > _MOST_ERRORS:
        return
    seen.add(id(error))
    _add_errors(error.__cause__, found, seen)
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        _add_errors(inner, found, seen)
    is_wrapped = error.__suppress_context__ and error.__cause__ is None and _is_raised_anew(error)
    _add_errors(error.__context__ if is_wrapped else None, found, seen)
    found.append(error)
    _add_errors(None if error.__suppress_context__ else error.__context__, found, seen)


def _is_raised_anew(error: BaseException) -> bool:
    """Tell whether Keras or TensorFlow raised an error in the place of another, ``from None``, as both do.

    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/utils/traceback_utils.py#L122
    """
    entry = error.__traceback__
    while entry is not None and str(dict.get(entry.tb_frame.f_globals, "__name__")).partition(".")[0] not in _WRAPPERS:
        entry = entry.tb_next
    return entry is not None


def explain_unseen(error: BaseException) -> Explanation | None:
    """Explain an error that reached no guard, or say nothing; never raises."""
    try:
        for current in list_errors(error):
            found = _explain_one(current)
            if found is not None:
                return found
    except Exception:  # an error of ours is of no interest to somebody who has one of their own
        return None
    return None


def _explain_one(error: BaseException) -> Explanation | None:
    text = find_remote_text(error)
    if not text and not isinstance(error, _EXPLAINED) and type(error).__module__ not in _OTHERS:
        return None
    with LOADING:
        from safe_numpy.postmortem import error_site, rules  # here: they bring a parser along
        from safe_numpy.postmortem.remote import explain_remote
    if text:
        finding, where = explain_remote(text)
        if finding is not None and where is not None:
            return _present(finding, where)
    for rule, place in itertools.product(rules.RULES, error_site.list_error_sites(error.__traceback__)):
        try:
            finding = rule(error, place)
        except Exception:
            continue  # one rule that fails must not silence the others
        if finding is not None:
            return _present(finding, place.site)
    return None


def find_remote_text(error: BaseException) -> str:
    """Return the traceback of the process that an error comes from; nothing if it is this one."""
    if not isinstance(error, Exception):
        return ""
    cause = error.__cause__
    if type(cause).__name__ in ("_RemoteTraceback", "RemoteTraceback"):
        return str(getattr(cause, "tb", "") or cause)
    text = str(error)
    return text if "Traceback (most recent call last):" in text and "File " in text else ""


def _present(finding: Finding, site: Site) -> Explanation:
    where = make_line_row(site, f"inside {site.library}" if site.library else "")
    ways_out = []
    if finding.fix is not None:
        place = f"({finding.place})" if finding.place else ""
        ways_out.append(Row("fix", finding.fix, is_code=True, is_fix=True, aside=place))
    ways_out += [Row("note", text) for text in (finding.note, finding.more) if text]
    if finding.alternative is not None and finding.alternative != finding.fix:
        ways_out.append(Row("or", finding.alternative, is_code=True, is_fix=True, aside=f"({finding.when})"))
    return Explanation(Message(finding.headline, ((), [where], ways_out)))


def _say_nothing(error: BaseException) -> str:
    """Say that no reason is known, and which tensors the line has, if it has any."""
    tensors = []
    try:
        with LOADING:
            from safe_numpy.postmortem import error_site

        for place in error_site.list_error_sites(error.__traceback__)[-1:]:
            for name, tensor in place.find_line_tensors()[:_MOST_NAMED]:
                tensors.append(f"`{name}`, {error_site.describe_tensor(tensor)}")
    except Exception:
        tensors = []  # nothing is known, then
    if tensors:
        return f"No reason is known to safe_numpy. The line's tensors are: {'; '.join(tensors)}."
    return f"This {type(error).__name__} has nothing to do with converting tensors, as far as safe_numpy can see."
