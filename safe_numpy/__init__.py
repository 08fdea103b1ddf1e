"""Says why a tensor cannot become a NumPy array: every reason at once, with a fix that runs.

``import safe_numpy`` at the top of a program is all there is to do. It imports no framework. See the README.
"""

from safe_numpy import _install
from safe_numpy._diagnosis import Diagnosis
from safe_numpy._errors import (
    ConjError,
    ConversionError,
    ConversionWarning,
    DeviceError,
    DTypeError,
    GradError,
    LayoutError,
    MaskedError,
    NegError,
    NestedError,
    NoDataError,
    NumpyError,
    QuantizedError,
    ShardedError,
    SubclassError,
    TransformError,
    ZeroError,
)
from safe_numpy._install import install, is_installed, uninstall
from safe_numpy._ledger import report
from safe_numpy._modes import Mode, get_mode, mode, set_mode
from safe_numpy._tree import diagnose, to_numpy
from safe_numpy._version import __version__ as __version__

__all__ = [
    "ConjError",
    "ConversionError",
    "ConversionWarning",
    "DTypeError",
    "DeviceError",
    "Diagnosis",
    "GradError",
    "LayoutError",
    "MaskedError",
    "Mode",
    "NegError",
    "NestedError",
    "NoDataError",
    "NumpyError",
    "QuantizedError",
    "ShardedError",
    "SubclassError",
    "TransformError",
    "ZeroError",
    "diagnose",
    "get_mode",
    "install",
    "is_installed",
    "mode",
    "report",
    "set_mode",
    "to_numpy",
    "uninstall",
]

_install.install_unless_off()
