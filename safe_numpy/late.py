"""Imports that are made late, when somebody first needs them, and that a fork must not cut in two.

A child has none of its parent's other threads. If one of them was importing a module at that moment, the module's lock
is held by nobody, and whoever wants the module in the child waits for ever.
"""

from __future__ import annotations

import os
import threading

LOADING = threading.RLock()
"""held while modules are imported late; a fork waits for it"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release)
