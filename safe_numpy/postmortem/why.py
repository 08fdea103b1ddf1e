"""`why`: the reason for an error that no guard saw, found from the objects that it is about.

Each rule looks at one way to fail on the way to NumPy. It says nothing unless an object confirms it: the object that
lacked the attribute, an operand, an argument. Sentences stand in `_wording`.
"""

from __future__ import annotations

import sys

from safe_numpy.errors.pages import ConversionError
from safe_numpy.late import LOADING
from safe_numpy.messages import phrases as _wording
from safe_numpy.messages.layout import Message, to_ansi, to_html, to_text


class Explanation:
    """What is to be said of an error; false if it has nothing to do with converting tensors.

    It shows itself at the prompt and in a notebook; ``str()`` gives the text.
    """

    def __init__(self, message: Message, says_something: bool) -> None:
        self._message = message
        self._says_something = says_something

    def __bool__(self) -> bool:
        return self._says_something

    def __str__(self) -> str:
        return to_text(self._message)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return to_html(self._message)

    def in_colour(self) -> str:
        """Return the text for a terminal."""
        return to_ansi(self._message)


def why(exc: BaseException | None = None) -> Explanation:
    """Explain an error in terms of tensors and arrays, also one that reached no guard.

    Args:
        exc: the error; the one being handled, or else the last one that was shown, if none is given.

    Raises:
        TypeError: `exc` is no exception.
    """
    if exc is not None and not isinstance(exc, BaseException):
        raise TypeError(f"expected an exception, or nothing for the last one; got {_wording.name_type(exc)}")
    error = exc or sys.exc_info()[1] or getattr(sys, "last_value", None)
    if error is None:
        return Explanation(_wording.say("no_error"), False)
    explained = find_explained(error)
    if explained is not None and explained.diagnosis is not None:
        return Explanation(_wording.compose(explained.diagnosis), True)
    return explain_unseen(error) or Explanation(_wording.say("unrelated", {"type": type(error).__name__}), False)


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
            from safe_numpy.postmortem import attributes as _why_attributes
            from safe_numpy.postmortem import error_site as _scene  # here: they bring a parser along
            from safe_numpy.postmortem import operations as _why_operations

        scene = _scene.find_scene(error.__traceback__)
        if scene is None:
            return None
        for rule in (*_why_attributes.RULES, *_why_operations.RULES):
            finding = rule(error, scene)
            if finding is not None:
                message = _wording.say(finding.cause, finding.facts, finding.fix, finding.note, scene.site)
                return Explanation(message, True)
    except Exception:  # an error of ours is of no interest to somebody who has one of their own
        return None
    return None
