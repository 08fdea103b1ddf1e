"""What happens when the package is imported: the guard, and what a notebook gets beside it."""

from __future__ import annotations

import sys
import warnings

from safe_numpy.installing import install_unless_off


def start() -> None:
    """Install, unless the mode is OFF, and give an IPython shell its magics and hooks, if one is running."""
    install_unless_off()
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    try:
        from safe_numpy.interfaces import ipython

        ipython.wire(shell)
    except Exception as error:  # an IPython that we do not know must not keep anybody from working
        warnings.warn(f"safe_numpy has no magics here ({type(error).__name__}: {error})", RuntimeWarning, stacklevel=2)
