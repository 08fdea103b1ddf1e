"""``python -m safe_numpy``; see `safe_numpy.interfaces.cli`."""

import sys

from safe_numpy.interfaces.cli import main

if __name__ == "__main__":
    sys.exit(main())
