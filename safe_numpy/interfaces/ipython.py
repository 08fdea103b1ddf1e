"""IPython and Jupyter: magics, and what is shown below a traceback. Imported only where IPython is running."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.display import display

from safe_numpy.config import modes
from safe_numpy.config.modes import Mode
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.installing import install, is_installed, uninstall, wake_if_asked
from safe_numpy.ledger.report import report
from safe_numpy.messages.units import suggest
from safe_numpy.postmortem.why import find_unsaid

_WORDS = (*(m.value for m in Mode), "report", "status")


def wire(shell: Any) -> None:
    """Register the magics and the two hooks; harmless when called twice."""
    shell.register_magics(SafeNumpyMagics)
    # IPython registers a function once, however often it is asked to (https://github.com/ipython/ipython/pull/12625)
    shell.events.register("pre_run_cell", before_cell)
    shell.events.register("post_run_cell", after_cell)


def unwire(shell: Any) -> None:
    """Take the magics and the hooks out again."""
    for event, function in (("pre_run_cell", before_cell), ("post_run_cell", after_cell)):
        if function in shell.events.callbacks[event]:
            shell.events.unregister(event, function)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("safe_numpy", None)


def before_cell(info: Any = None) -> None:
    """Look at the variable: where it was `off` so far, nothing else is in place to do so."""
    wake_if_asked()


def after_cell(result: Any) -> None:
    """Show below the traceback what the error itself does not say."""
    error = result.error_before_exec or result.error_in_exec
    if error is None or not is_installed() or modes.get_mode() is Mode.OFF:
        return
    explanation = find_unsaid(error)
    if explanation is not None:
        display(explanation)  # type: ignore[no-untyped-call]


@magics_class
class SafeNumpyMagics(Magics):
    """``%safe_numpy`` and ``%%safe_numpy``."""

    @line_cell_magic
    def safe_numpy(self, line: str, cell: str | None = None) -> Any:
        """Set the mode of safe_numpy, or show what it did.

        %safe_numpy off|explain|permissive|strict    from here on
        %safe_numpy status                           the mode, who set it, and what is guarded
        %safe_numpy report                           what permissive mode has converted so far
        %%safe_numpy permissive                      for this cell alone
        """
        word = line.strip().strip("\"'").lower() or "status"
        if cell is not None:
            return self._run(_find_mode(word, _WORDS[:-2]), cell)
        if word == "report":
            return report()
        if word == "status":
            print(describe_status())
            return None
        modes.set_mode(_find_mode(word, _WORDS))
        return None

    def _run(self, mode: Mode, cell: str) -> Any:
        """Run a cell in a mode. Its error goes on from here, shown once."""
        shell: Any = self.shell
        show, shell.showtraceback = shell.showtraceback, lambda *args, **kwargs: None
        try:
            with modes.mode(mode):
                result = shell.run_cell(cell)
        finally:
            shell.showtraceback = show
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            raise error
        return None  # run_cell has displayed the value


def _find_mode(word: str, words: tuple[str, ...]) -> Mode:
    try:
        return modes.MODE.parse(word)
    except ValueError:
        text = f"%safe_numpy knows {', '.join(words)}; {word!r} is none of them{suggest(word, words)}"
        raise UsageError(text) from None


def load(shell: Any) -> None:
    """Serve ``%load_ext safe_numpy``."""
    if modes.get_mode() is not Mode.OFF:
        install()
    wire(shell)


def unload(shell: Any) -> None:
    """Serve ``%unload_ext safe_numpy``."""
    unwire(shell)
    uninstall()


def describe_status() -> str:
    """Return a few lines for a person."""
    guarded = [name for name in FRAMEWORKS if name in sys.modules]
    waiting = [name for name in FRAMEWORKS if name not in sys.modules]
    lines = [f"mode {modes.get_mode().value}, set by {modes.MODE.get_speaker()}"]
    if not is_installed():
        return f"{lines[0]}; no guard is installed"
    lines += [f"{s.name} {s.get()!r}, set by {s.get_speaker()}" for s in modes.POLICIES if s.get() != s.default]
    lines += [f"guarded: {', '.join(guarded)}"] if guarded else []
    lines += [f"guarded once imported: {', '.join(waiting)}"] if waiting else []
    return "\n".join(lines)
