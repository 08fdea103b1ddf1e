"""Says why a tensor cannot become a NumPy array: every reason at once, with a fix that runs.

``import safe_numpy`` at the top of a program is all there is to do. It imports no framework, and of itself no more
than the patching needs: the public names below come when they are asked for. What is not in ``__all__`` is private,
every module included. See the README, and docs/architecture.md for the layout.
"""

from typing import TYPE_CHECKING, Any

from safe_numpy.config.modes import Mode, get_mode, mode, set_mode
from safe_numpy.installing import install, is_installed, uninstall
from safe_numpy.interfaces.start import start
from safe_numpy.version import __version__ as __version__

if TYPE_CHECKING:
    from safe_numpy.diagnosis.diagnosis import Diagnosis
    from safe_numpy.errors.base import ConversionError
    from safe_numpy.errors.pages import (  # isort: skip
        CompositeError, ConjError, ConversionWarning, DeviceError, DTypeError, GradError, HandleError, HazardWarning,
        LayoutError, MaskedError, NegError, NestedError, NoDataError, NumpyError, QuantizedError,
        SeveredGradientWarning, ShardedError, SilentError, SubclassError, SymbolicError, TransformError, ZeroError,
    )  # fmt: skip
    from safe_numpy.ledger.report import report
    from safe_numpy.nesting import diagnose, to_numpy
    from safe_numpy.postmortem.why import why

__all__ = [
    "CompositeError", "ConjError", "ConversionError", "ConversionWarning", "DTypeError", "DeviceError", "Diagnosis",
    "GradError", "HandleError", "HazardWarning", "LayoutError", "MaskedError", "Mode", "NegError", "NestedError",
    "NoDataError", "NumpyError", "QuantizedError", "SeveredGradientWarning", "ShardedError", "SilentError",
    "SubclassError", "SymbolicError", "TransformError", "ZeroError", "diagnose", "get_mode", "install",
    "is_installed", "mode", "report", "set_mode", "to_numpy", "uninstall", "why",
]  # fmt: skip

_HOMES = {
    "Diagnosis": "diagnosis.diagnosis",
    "report": "ledger.report",
    "diagnose": "nesting",
    "to_numpy": "nesting",
    "why": "postmortem.why",
}


def load_ipython_extension(shell: Any) -> None:
    """Serve ``%load_ext safe_numpy``: the guard, the magics, and explanations below a traceback."""
    from safe_numpy.interfaces import ipython

    ipython.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Serve ``%unload_ext safe_numpy``: take everything out again."""
    from safe_numpy.interfaces import ipython

    ipython.unload(shell)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors.pages')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


start()
