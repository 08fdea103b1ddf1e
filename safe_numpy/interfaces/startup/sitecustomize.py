"""Loaded by Python's own start under ``safe-numpy run``: loads safe_numpy, and hands on to the next `sitecustomize`."""

import os
import sys


def _load_safe_numpy() -> None:
    try:
        import safe_numpy
    except ImportError:  # from a checkout, say
        home = os.environ.get("SAFE_NUMPY_HOME")
        if home is None or not os.path.isdir(home):
            return  # a child of another environment
        sys.path.append(home)
        try:
            import safe_numpy  # noqa: F401
        except ImportError:
            return
        finally:
            sys.path.remove(home)


def _hand_on() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    places = [i for i, path in enumerate(sys.path) if os.path.abspath(path) == here]
    for i in reversed(places):
        del sys.path[i]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - the next one
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_load_safe_numpy()
_hand_on()
