"""``examples/quickstart.ipynb``, executed: what it shows is what a reader gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from processes import ROOT

QUICKSTART = Path(ROOT) / "examples" / "quickstart.ipynb"


def texts(notebook: Any) -> list[str]:
    """The plain text of every output, without what differs from run to run."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = (
                output.get("text")
                or "\n".join(output.get("traceback", []))
                or output.get("data", {}).get("text/plain", "")
            )
            text = re.sub("\x1b\\[[0-9;]*m", "", text)
            text = re.sub(r"ipykernel_\d+", "ipykernel", text)
            found.append(re.sub(r" *\d+(\.\d+)? [mµ]?s\b", " 1 ms", text).strip())
    return found


def unspaced(shown: list[str]) -> list[str]:
    """Return texts whose columns can be compared: a longer time makes its column wider."""
    return [re.sub(" +", " ", text) for text in shown]


@pytest.fixture(scope="module")
def executed() -> Any:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("SAFE_NUMPY", raising=False)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def test_it_shows_what_is_on_file(executed: Any) -> None:
    on_file = texts(nbformat.read(QUICKSTART, as_version=4))
    assert unspaced(texts(executed)) == unspaced(on_file)
    whole = "\n".join(on_file)
    assert "fix        plt.plot([t.detach().numpy() for t in losses])" in whole
    assert "fix   np.ones((64, 1)) * targets.numpy()" in whole
    assert "`predictions`, Tensor bfloat16[64, 1] on cpu, became a NumPy array" in whole


def test_its_html_needs_nothing_from_outside(executed: Any) -> None:
    for theme in ("light", "dark"):
        page, _ = HTMLExporter(theme=theme, template_name="basic").from_notebook_node(executed)
        ours = re.findall(r'<pre class="safe-numpy".*?</pre>|<div class="safe-numpy">.*?</table></div>', page, re.S)
        assert len(ours) == 4
        for shown in ours:
            assert not re.search("<script|src=|href=|url\\(|[^-]color:", shown)


def test_it_shows_the_same_in_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SAFE_NUMPY", "strict")
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert unspaced(texts(notebook)) == unspaced(texts(nbformat.read(QUICKSTART, as_version=4)))
