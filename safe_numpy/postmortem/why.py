"""`why`: the reason for an error that no guard saw, found from the objects that it is about.

Each rule looks at one way to fail on the way to NumPy, and brings its sentences. It says nothing unless an object
confirms it: the object that lacked the attribute, an operand, an argument.
"""

from __future__ import annotations

import sys

from safe_numpy.diagnosis.diagnosis import make_line_row
from safe_numpy.errors.base import ConversionError
from safe_numpy.messages.layout import Displayed, Message, Row
from safe_numpy.messages.units import name_type
from safe_numpy.patching import LOADING


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
    if explained is not None and explained.diagnosis is not None:
        return Explanation(explained.diagnosis.compose())
    nothing = f"This {type(error).__name__} has nothing to do with converting tensors, as far as safe_numpy can see."
    return explain_unseen(error) or Explanation(Message(nothing, ()), False)


def find_unsaid(error: BaseException) -> Explanation | None:
    """Return what is to be said of an error that does not say it itself; None if there is nothing; never raises."""
    return None if find_explained(error) is not None else explain_unseen(error)


def find_explained(error: BaseException) -> ConversionError | None:
    """Return the first error in a chain, as Python shows it, that carries an explanation."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, ConversionError):
            return current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return None


def explain_unseen(error: BaseException) -> Explanation | None:
    """Explain an error that reached no guard, or say nothing; never raises."""
    if not isinstance(error, (AttributeError, TypeError, ValueError)) and type(error).__module__ != "cv2":
        return None
    try:
        with LOADING:
            from safe_numpy.postmortem import error_site, rules  # here: they bring a parser along

        place = error_site.find_error_site(error.__traceback__)
        if place is None:
            return None
        for rule in rules.RULES:
            finding = rule(error, place)
            if finding is not None:
                where = make_line_row(place.site, f"inside {place.site.library}" if place.site.library else "")
                ways_out = [Row("fix", finding.fix, is_code=True, is_fix=True)] if finding.fix is not None else []
                ways_out += [Row("note", text) for text in (finding.note, finding.more) if text]
                return Explanation(Message(finding.headline, ((), [where], ways_out)))
    except Exception:  # an error of ours is of no interest to somebody who has one of their own
        return None
    return None
