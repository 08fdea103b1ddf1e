"""``safe-numpy autoload``: one line that Python reads when it starts, in this environment's site-packages.

It looks at the variable, and does nothing more while that is unset.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

_NAME = "safe_numpy_autoload.pth"

_LINE = (
    # a .pth file runs a line that starts with `import`; an error in it would be shown with a traceback at every start
    # and in a virtual environment the file is read twice (https://github.com/python/cpython/issues/75723)
    "import os, sys; os.environ.get('SAFE_NUMPY', '').strip('\\'\" ') and not hasattr(sys, '_safe_numpy_autoload') "
    'and exec("sys._safe_numpy_autoload = True\\n'
    "try:\\n import safe_numpy\\n"
    "except Exception as e:\\n "
    "print('safe_numpy was not loaded (' + type(e).__name__ + ': ' + str(e) + '); "
    "`safe-numpy autoload off` or removing safe_numpy_autoload.pth ends this line', file=sys.stderr)\")\n"
)


def find_file() -> Path:
    """Return the file that holds the line, whether it exists or not."""
    return Path(sysconfig.get_path("purelib")) / _NAME


def switch_on() -> str:
    """Write the line; return what to tell.

    Raises:
        OSError: site-packages cannot be written.
    """
    file = find_file()
    file.write_text(_LINE)
    return f"autoload is on: {file}\nSAFE_NUMPY=explain (or permissive, strict) is all that a program needs now"


def switch_off() -> str:
    """Remove the line; return what to tell.

    Raises:
        OSError: site-packages cannot be written.
    """
    find_file().unlink(missing_ok=True)
    return "autoload is off"


def describe() -> str:
    """Return whether it is on."""
    file = find_file()
    if not file.exists():
        return "autoload is off"
    outdated = "" if file.read_text() == _LINE else " (of another version: `safe-numpy autoload on` renews it)"
    return f"autoload is on: {file}{outdated}"
