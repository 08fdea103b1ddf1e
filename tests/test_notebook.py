"""A real Jupyter kernel drives every toggle; explanations stand below the traceback; hooks are registered once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from processes import ROOT, run

SET_UP = "import torch, numpy as np\nt = torch.ones(2, requires_grad=True)\na = np.ones(2)"


def execute(cells: Sequence[str], monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[dict[str, Any]]:
    """Run cells in a kernel; return for each what it printed, displayed and raised."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    return [_gather(cell.outputs) for cell in notebook.cells]


def _gather(outputs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"printed": "", "shown": [], "error": "", "traceback": "", "order": []}
    for output in outputs:
        found["order"].append(output.output_type)
        if output.output_type == "stream":
            found["printed" if output.name == "stdout" else "traceback"] += output.text
        elif output.output_type == "error":
            found["error"] = output.ename
            found["traceback"] += re.sub("\x1b\\[[0-9;]*m", "", "\n".join(output.traceback))
        else:
            found["shown"].append(dict(output.data))
    return found


def test_the_variable_works_in_every_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = "t.numpy().tolist()"
    results = execute(
        [
            "import safe_numpy\n" + SET_UP,
            convert,
            "%env SAFE_NUMPY=permissive",
            convert,
            '%env SAFE_NUMPY="off"',
            convert,
            "import os; os.environ['SAFE_NUMPY'] = '1'",
            convert,
            "del os.environ['SAFE_NUMPY']; safe_numpy.set_mode('permissive')",
            convert,
            "%env SAFE_NUMPY=nonsense",
            convert,
        ],
        monkeypatch,
        SAFE_NUMPY="off",
    )
    errors = [results[i]["error"] for i in (1, 3, 5, 7, 9, 11)]
    assert errors == ["RuntimeError", "", "RuntimeError", "GradError", "", "GradError"]
    assert results[3]["shown"][0]["text/plain"] == "[1.0, 1.0]"
    assert "`t` cannot become" not in results[1]["traceback"] + results[5]["traceback"]
    assert "`t` cannot become" in results[7]["traceback"]
    assert "`t`, Tensor float32[2] on cpu, became a NumPy array" in results[3]["traceback"]
    assert "SAFE_NUMPY: 'nonsense' is no mode" in results[10]["traceback"] + results[11]["traceback"]


def test_magics(monkeypatch: pytest.MonkeyPatch) -> None:
    results = execute(
        [
            "%load_ext safe_numpy",
            SET_UP,
            "%safe_numpy",
            "%%safe_numpy permissive\nvalues = t.numpy()\nvalues.sum()",
            "t.numpy()",
            "%safe_numpy permissive",
            "t.numpy().sum()",
            "%safe_numpy report",
            "%safe_numpy status",
            "%safe_numpy permisive",
            "%%safe_numpy report\n1",
            "%%safe_numpy off\nt.numpy()",
            "%safe_numpy explain\n%unload_ext safe_numpy",
            "t.numpy()",
            "%safe_numpy status",
            "%load_ext safe_numpy",
            "t.numpy()",
        ],
        monkeypatch,
    )
    assert (
        results[2]["printed"]
        == "mode explain, set by default\nguarded: torch\nguarded once imported: tensorflow, keras\n"
    )
    assert results[3]["shown"][-1]["text/plain"].endswith("2.0)") or results[3]["shown"][-1]["text/plain"] == "2.0"
    assert results[4]["error"] == "GradError", "that cell alone"
    assert results[6]["error"] == ""
    (shown,) = results[7]["shown"]
    assert shown["text/html"].startswith('<div class="safe-numpy"><p>Permissive mode made 2 conversions')
    assert "t.detach().numpy()" in shown["text/plain"]
    assert results[8]["printed"].startswith("mode permissive, set by set_mode()\n")
    assert "did you mean 'permissive'?" in results[9]["traceback"]
    assert "%safe_numpy knows off, explain, permissive, strict" in results[10]["traceback"]
    assert results[11]["error"] == "RuntimeError"
    assert results[11]["order"].count("error") == 1, "shown once"
    assert results[13]["error"] == "RuntimeError"
    assert "`%safe_numpy` not found" in results[14]["traceback"]
    assert results[16]["error"] == "GradError"


def test_below_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    results = execute(
        [
            "import safe_numpy\n" + SET_UP,
            "a + t",
            "1 / 0",
            "t.numpy()",
            "try: [t].numpy()\nexcept AttributeError: pass",
            "[t].numpy()",
            "safe_numpy.why()",
            "safe_numpy.diagnose(t)",
            "safe_numpy.uninstall()\na + t",
            "safe_numpy.install()\nsafe_numpy.set_mode('off')",
            "a + t",
        ],
        monkeypatch,
    )
    assert results[1]["order"] == ["error", "display_data"]
    (shown,) = results[1]["shown"]
    assert shown["text/plain"].startswith("`a` is an array and `t` a tensor")
    assert "or    a + t.detach().numpy()" in shown["text/plain"]
    assert shown["text/html"].startswith('<pre class="safe-numpy" style="font-family: monospace"><b>`a` is an array')
    assert [r["shown"] for r in results[2:5]] == [[], [], []], "nothing to add"
    assert "it is a list of 1 tensor" in results[5]["shown"][0]["text/plain"]
    assert results[6]["shown"] == results[5]["shown"]
    assert results[7]["shown"][0]["text/plain"].startswith("This tensor (`x` below) cannot become a NumPy array")
    assert results[7]["shown"][0]["text/html"].startswith('<pre class="safe-numpy" style="font-family: monospace">')
    assert results[8]["shown"] == []
    assert results[10]["shown"] == [], "off is off"


def test_without_import_nothing_of_ours_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = execute(
        ["import sys; print([m for m in sys.modules if 'safe_numpy' in m and 'editable' not in m])"], monkeypatch
    )
    assert result["printed"] == "[]\n"


def test_hooks_are_registered_once_and_leak_nothing() -> None:
    out = run(
        """
        import tracemalloc, importlib
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.history_manager.enabled = False
        import safe_numpy, torch
        from safe_numpy.interfaces import ipython
        for _ in range(3):
            safe_numpy.load_ipython_extension(shell)
        importlib.reload(safe_numpy)
        count = lambda: [len(shell.events.callbacks[e]) for e in ("pre_run_cell", "post_run_cell")]
        print(count())
        info = type("Result", (), {"error_before_exec": None, "error_in_exec": None})()
        error = None
        try:
            [torch.ones(1)].numpy()
        except AttributeError as e:
            failed = type("Result", (), {"error_before_exec": None, "error_in_exec": e})()
        def cells(n):
            for _ in range(n):
                shell.events.trigger("pre_run_cell", None)
                shell.events.trigger("post_run_cell", info)
        cells(100)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        cells(10_000)
        print(tracemalloc.get_traced_memory()[0] - before < 20_000)
        shell.extension_manager.load_extension("safe_numpy")
        shell.extension_manager.unload_extension("safe_numpy")
        print(count(), safe_numpy.is_installed())
        """
    )
    assert out == "[1, 1]\nTrue\n[0, 0] False\n"


def test_nothing_of_ipython_is_imported_outside_it() -> None:
    assert run("import sys, safe_numpy, torch; print('IPython' in sys.modules)") == "False\n"
