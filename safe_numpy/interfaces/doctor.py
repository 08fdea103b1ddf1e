"""``safe-numpy doctor``: what this environment is made of, and what is broken in it."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from contextlib import suppress
from typing import Any

from safe_numpy.config.modes import MODE
from safe_numpy.diagnosis.framework import iterate_loaded
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.installing import list_doors
from safe_numpy.interfaces import autoload
from safe_numpy.version import __version__

_PACKAGES = ("numpy", "torch", "tensorflow", "keras", "wrapt")


def examine_everything() -> dict[str, Any]:
    """Import what is installed and look at it.

    Returns:
        Plain values: ``versions``, ``devices``, ``doors`` (whose code stands in each), ``mode``, ``set_by``,
        ``autoload``, ``broken`` (sentences; empty if all is well).
    """
    broken: list[str] = []
    modules = {name: _import(name, broken) for name in ("numpy", *FRAMEWORKS)}
    versions = {"python": platform.python_version(), "safe_numpy": __version__}
    versions |= {name: version for name in _PACKAGES if (version := _find_version(name, modules.get(name)))}
    devices: list[str] = []
    for framework in iterate_loaded():
        found, trouble = framework.examine_environment()
        devices += found
        if trouble:
            broken.append(trouble)
    if not any(modules[name] for name in FRAMEWORKS):
        broken.append("neither torch nor TensorFlow is installed: there is nothing to guard")
    return {
        "versions": versions,
        "devices": devices,
        "doors": list_doors(),
        "mode": MODE.get().value,
        "set_by": MODE.get_speaker(),
        "autoload": autoload.find_file().exists(),
        "broken": broken,
    }


def _import(name: str, broken: list[str]) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            broken.append(f"{name} cannot be imported: {error}")
        return None
    except Exception as error:
        broken.append(f"{name} cannot be imported: {type(error).__name__}: {error}")
        return None


def _find_version(name: str, module: Any) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return str(getattr(module, "__version__", None) or importlib.metadata.version(name))
    return None


def render_text(findings: dict[str, Any]) -> str:
    """Return the findings for a person."""
    rows = [(name, version) for name, version in findings["versions"].items()]
    rows.append(("devices", ", ".join(findings["devices"]) or "none"))
    rows.append(("mode", f"{findings['mode']}, set by {findings['set_by']}"))
    rows.append(("autoload", "on" if findings["autoload"] else "off"))
    rows += [("door", f"{door}: {owner}") for door, owner in findings["doors"].items()]
    rows += [("broken", sentence) for sentence in findings["broken"]] or [("broken", "nothing")]
    width = max(len(word) for word, _ in rows) + 2
    return "\n".join(f"{word:<{width}}{text}" for word, text in rows)
