"""How an explained error is built: an instance of one of our classes *and* of the class that the framework raised.

`except` clauses that caught the stock error keep catching, and the stock text stands first and whole in ``str()``.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

from safe_numpy.diagnosis.diagnosis import Diagnosis
from safe_numpy.diagnosis.facts import Kind, Site
from safe_numpy.messages.layout import is_displayed, wants_colour
from safe_numpy.messages.phrases import note_own_failure

_OWN = frozenset({"site", "_stock_text", "_diagnosis"})
_PLAIN = (str, int, float, type(None))
MakeDiagnosis = Callable[[TracebackType | None], Diagnosis]
"""makes the diagnosis of an error, given its traceback"""


class ByRecipe(type):
    """Class of the classes that `mix` mixes, and of their ancestors.

    pickle takes a class by its name, and a mixed class has none of its own: it displays as the class of ours that it
    was mixed from. So it goes by its recipe; `copyreg` is asked for the metaclass first
    (https://github.com/python/cpython/blob/v3.13.5/Lib/pickle.py#L563-L571).
    """


_mixed: dict[tuple[type, type], Any] = {}


def mix(ours: type, theirs: type) -> Any:
    """Return the one class that is both `ours`, a `ByRecipe`, and `theirs`; it displays as `ours`."""
    known = _mixed.get((ours, theirs))
    if known is not None:
        return known
    names = {"__doc__": ours.__doc__, "__module__": ours.__module__, "__qualname__": ours.__qualname__}
    metaclass: Any = type(ours)
    cls = ours if issubclass(ours, theirs) else metaclass(ours.__name__, (ours, theirs), names)
    return _mixed.setdefault((ours, theirs), cls)


def _reduce_class(cls: type) -> Any:
    is_mixed = len(cls.__bases__) == 2 and _mixed.get(cls.__bases__) is cls
    return (mix, cls.__bases__) if is_mixed else cls.__qualname__


copyreg.pickle(ByRecipe, _reduce_class)


class ConversionError(Exception, metaclass=ByRecipe):
    """A tensor cannot become a NumPy array. Base class of all the others.

    `diagnosis` holds the facts; it is None on an error that was rebuilt from its text alone.

    >>> import torch, safe_numpy
    >>> weights = torch.ones(2, requires_grad=True)
    >>> try:
    ...     weights.numpy()
    ... except safe_numpy.ConversionError as error:
    ...     error.diagnosis.fix
    'weights.detach().numpy()'
    """

    kind: ClassVar[Kind | None] = None
    # AutoGraph would turn an unknown class into StagingError
    # (https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/autograph/impl/api.py#L113-L128)
    ag_pass_through = True

    def __init__(
        self, message: str = "", diagnosis: Diagnosis | MakeDiagnosis | None = None, site: Site | None = None
    ) -> None:
        # Not super(): the framework's own class may ask for other arguments.
        Exception.__init__(self, message)
        rebuilt = _find_rebuilt(message) if diagnosis is None else None
        self.site: Site | None = rebuilt.site if rebuilt is not None else site
        self._stock_text = message  # not `message`: tf.errors has a property of that name
        self._diagnosis: Diagnosis | MakeDiagnosis | None = rebuilt._diagnosis if rebuilt is not None else diagnosis

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The facts; made when somebody asks, since most errors are caught and thrown away."""
        if callable(self._diagnosis):
            self._diagnosis = self._diagnosis(self.__traceback__)
        return self._diagnosis

    def __str__(self) -> str:
        try:
            if self.diagnosis is None:
                return self._stock_text
            message = self.diagnosis.compose()
            in_colour = is_displayed(sys._getframe()) and wants_colour()
            return f"{self._stock_text}\n\n{message.to_ansi() if in_colour else message.to_text()}"
        except Exception as error:
            return f"{self._stock_text}\n{note_own_failure(error)}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Of the framework's own attributes the plain ones go along: an operation or a graph stays where it is.
        plain = {k: v for k, v in vars(self).items() if k not in _OWN and isinstance(v, _PLAIN)}
        return type(self), (self._stock_text, self.diagnosis, self.site), plain or None


def _find_rebuilt(message: str) -> ConversionError | None:
    """Return the error being handled, if `message` has its stock text, and no explanation.

    Keras makes a new error of the same class from ``args[0]``
    (https://github.com/keras-team/keras/blob/v3.15.1/keras/src/utils/traceback_utils.py#L182-L214).
    """
    handled = sys.exc_info()[1]
    if not isinstance(handled, ConversionError) or not handled._stock_text or handled._stock_text not in message:
        return None
    return None if str(handled) in message else handled
