"""Every message, whole. ``make snapshots`` writes them anew; read the diff before you commit it."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zoo
from processes import launch
from versions import newer_torch

import safe_numpy
from safe_numpy.callsite.frames import Site
from safe_numpy.diagnosis.facts import Kind
from safe_numpy.errors import pages as _errors
from safe_numpy.frameworks.torch import causes as torch_causes
from safe_numpy.frameworks.torch import gradients, hazards
from safe_numpy.messages import units as _sizes

SNAPSHOTS = Path(__file__).parent / "snapshots"
CASES = {c.name: c for c in zoo.CONVERTIBLE + zoo.REFUSED}

SHOWN = {
    "grad": "grad of an operation",
    "grad_leaf": "parameter",
    "conj": "conj",
    "neg": "neg",
    "zero": "zero",
    "layout": "sparse csr",
    "float8_layout": "sparse csr, float8",
    "float": "bfloat16",
    "complex": "complex32",
    "packed": "float4_e2m1fn_x2",
    "quantized": "qint8",
    "nested": "jagged",
    "masked": "masked",
    "device": "toy device",
    "three_reasons": "toy device, grad, bfloat16",
    "func": "func.grad",
    "functionalize": "functionalize",
    "vmap": "vmap",
    "meta": "meta",
    "fake": "fake",
    "freed": "freed",
    "uninitialized": "uninitialized parameter",
    "local": "DTensor, one rank",
    "sharded": "DTensor, spread",
    "unknown": "wrapper subclass",
    "too_large": "sparse beyond memory",
}
"""snapshot -> case of the zoo"""

NOT_HERE = {
    "func_closed": "needs a torch before 2.9; tests/test_table.py, by nox",
    "capture": "needs a CUDA device; tests/test_cuda.py",
    "numpy": "needs a torch without NumPy; tests/test_no_numpy.py",
    "distributed": "needs two logical devices; tests/test_tensorflow.py",
    "distributed_clients": "needs two logical devices; tests/test_tensorflow.py",
    "pending": "this torch's AsyncCollectiveTensor converts itself",
}


def move(error: safe_numpy.ConversionError, filename: str) -> str:
    """Return the text of an error as if it had been raised in another file, at a line that stays the same."""
    diagnosis = error.diagnosis
    assert diagnosis is not None
    assert diagnosis.site is not None
    site = Site(filename, 57, "<module>", source=diagnosis.site.source)
    return str(type(error)(str(error).partition("\n\n")[0], dataclasses.replace(diagnosis, site=site)))


def explain(case: zoo.Case) -> str:
    """Return the explanation, as the error shows it or as `diagnose` does where stock does not fail."""

    def look(x: torch.Tensor) -> str:
        try:
            x.numpy()
        except safe_numpy.ConversionError as error:
            return move(error, "eval.py")
        return str(safe_numpy.diagnose(x))

    text = case.visit(look)
    return steady(text)


def steady(text: str) -> str:
    """Take out what differs from run to run."""
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text)
    return re.sub(r"and \S+ [KMGT]iB may be used", "and 16 GiB may be used", text) + "\n"


def assert_snapshot(name: str, text: str) -> None:
    """Compare with the text on file; ``make snapshots`` writes it."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SAFE_NUMPY_WRITE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def ask(x: torch.Tensor) -> Any:
    return x.numpy()


def make_array(x: torch.Tensor) -> Any:
    return np.asarray(x)


BY_POLICY: dict[str, tuple[str, Callable[[torch.Tensor], Any], str, dict[str, Any]]] = {
    "exact": ("bfloat16", ask, "explain", {"dtype": "ml_dtypes"}),
    "undecided": ("bfloat16", ask, "permissive", {"dtype": "raise"}),
    "implicit": ("bfloat16", make_array, "permissive", {"only": "explicit"}),
}
"""snapshot -> case of the zoo, the line, the mode and its keywords"""


@pytest.mark.parametrize("name", BY_POLICY)
def test_snapshot_by_policy(name: str) -> None:
    case, line, mode, policy = BY_POLICY[name]

    def look(x: torch.Tensor) -> str:
        with safe_numpy.mode(mode, **policy), pytest.raises(safe_numpy.DTypeError) as caught:
            line(x)
        return move(caught.value, "eval.py")

    assert_snapshot(name, steady(CASES[case].visit(look)))


def make_dual() -> Any:
    return torch.autograd.forward_ad.make_dual(torch.ones(2), torch.ones(2))


def make_series(x: torch.Tensor) -> Any:
    losses = [x, x]
    return pd.Series(losses)


layer = torch.nn.Linear(2, 2)


class Detour(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = layer(x)
        return torch.from_numpy(np.tanh(h.detach().numpy()))


SILENT: dict[str, tuple[Callable[[], torch.Tensor], Callable[[torch.Tensor], Any]]] = {
    "dual": (make_dual, ask),
    "expanded": (lambda: torch.zeros(1, 3).expand(4, 3), make_array),
    "alias": (lambda: layer.weight.detach(), ask),
    "detached": (lambda: torch.ones(3, 2), Detour()),
    "scalars": (lambda: torch.tensor(1.5), make_series),
    "exported": (lambda: torch._neg_view(torch.ones(2)), np.from_dlpack),
}
"""snapshot -> the tensor and the line, in strict mode"""


@pytest.mark.parametrize("name", SILENT)
def test_snapshot_in_strict_mode(name: str) -> None:
    make, line = SILENT[name]
    with torch.autograd.forward_ad.dual_level(), safe_numpy.mode("strict"):
        x = make()
        with pytest.raises(safe_numpy.SilentError) as caught:
            line(x)
        assert_snapshot(name, steady(move(caught.value, "eval.py")))


@newer_torch
@pytest.mark.parametrize("name", SHOWN)
def test_snapshot(name: str) -> None:
    assert_snapshot(name, explain(CASES[SHOWN[name]]))


def find_tables() -> dict[str, Any]:
    """The tables of the frameworks that are here."""
    tables = {"torch": (*torch_causes.CAUSES, *hazards.HAZARDS)}
    if "tensorflow" in sys.modules:
        from safe_numpy.frameworks import keras
        from safe_numpy.frameworks.tensorflow import causes

        tables |= {"tensorflow": (*causes.CAUSES, *causes.HAZARDS), "keras": keras.CAUSES}
    return tables


CAUSES = [cause for table in find_tables().values() for cause in table]


@newer_torch
def test_every_sentence_is_shown() -> None:
    shown, causes = {*SHOWN, *BY_POLICY, *SILENT}, {c.name for c in CAUSES} | {"too_large", "scalars"}
    if "tensorflow" in find_tables():  # else SAFE_NUMPY_TEST_FRAMEWORKS leaves it out, and half of the sentences
        import test_messages_tensorflow

        shown |= {*test_messages_tensorflow.SHOWN, *test_messages_tensorflow.SILENT}
        assert {f.stem for f in SNAPSHOTS.glob("*.txt")} == shown
        assert {c.kind for c in CAUSES} == set(Kind)
    assert causes - set(NOT_HERE) <= shown


def test_every_cause_of_a_table_has_its_sentence() -> None:
    for cause in CAUSES:
        # a deed for what is cured, a way out for what is not
        assert cause.says.reason, cause.name
        assert bool(cause.says.done) == (cause.code is not None), cause.name
        assert cause.says.instead or cause.code is not None, cause.name


def test_every_kind_has_a_class_and_a_manual_page() -> None:
    assert set(_errors._CLASSES) == set(Kind)
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for kind, cls in _errors._CLASSES.items():
        assert cls.kind == kind or cls is _errors.SilentError
        assert cls.__name__ in safe_numpy.__all__
        assert len(cls.__doc__ or "") > 100, "the docstring is the manual page"
        assert f"`{kind}`" in readme


@pytest.mark.parametrize("file", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda f: f.stem)
def test_shape_of_a_message(file: Path) -> None:
    stock, *explanation = file.read_text().split("\n\n", 1)
    lines = (explanation or [stock])[0].splitlines()
    assert len(lines) <= 14
    assert all(len(line) <= 100 for line in lines)
    text = "\n".join(lines)
    for word in ("!", "please", "Please", "sorry", "  \n"):
        assert word not in text


def test_one_byte_and_many() -> None:
    sizes = {0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1280: "1.2 KiB", 5 << 30: "5 GiB", 4 << 40: "4 TiB"}
    assert {n: _sizes.format_bytes(n) for n in sizes} == sizes
    assert _sizes.format_bytes(5000 << 40) == "5000 TiB"


def test_a_name_is_used_where_it_is_known() -> None:
    text = str(safe_numpy.diagnose(torch.ones(2, requires_grad=True), "logits"))
    assert text.startswith("`logits` cannot become a NumPy array, for 1 reason:")
    assert "writing to the array changes logits" in text


def test_a_tensor_that_converts_is_said_to() -> None:
    assert str(safe_numpy.diagnose(torch.ones(2))) == (
        "This tensor (`x` below) can become a NumPy array as it is.\n\n"
        "  x    Tensor float32[2] on cpu, 8 B\n\n"
        "  fix  x.numpy()\n"
        "       nothing is copied: writing to the array changes x, and the other way round"
    )


def test_html_is_escaped() -> None:
    html = safe_numpy.diagnose(torch.ones(2, requires_grad=True), "a<b")._repr_html_()
    assert html.startswith('<pre class="safe-numpy" style="font-family: monospace"><b>`a&lt;b` cannot')
    assert "a<b" not in html


DISPLAYED = """
import sys, safe_numpy, torch
logits = torch.ones(2, requires_grad=True) * 2
{}
logits.numpy()
"""


def test_colour_where_the_interpreter_displays_an_error() -> None:
    plain = launch(DISPLAYED.format("")).stderr
    assert "\x1b" not in plain, "stderr is no terminal"
    assert "fix     logits.detach().numpy()" in plain
    for variables in ({"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": ""}):
        coloured = launch(DISPLAYED.format(""), **variables).stderr
        assert "\x1b[32mlogits.detach().numpy()\x1b[0m" in coloured
        assert re.sub("\x1b\\[[0-9;]+m", "", coloured) == plain
    assert launch(DISPLAYED.format(""), FORCE_COLOR="1", NO_COLOR="1").stderr == plain
    terminal = DISPLAYED.format("sys.stderr.isatty = lambda: True")
    assert "\x1b[32m" in launch(terminal, TERM="xterm").stderr
    assert "\x1b[32m" not in launch(terminal, TERM="dumb").stderr
    assert "\x1b[32m" not in launch(terminal, TERM="xterm", NO_COLOR="1").stderr


def test_no_colour_in_what_others_make_of_the_text() -> None:
    caught = DISPLAYED.format("try: logits.numpy()\nexcept Exception as e: print(str(e)); print(repr(str(e)))")
    assert "\x1b" not in launch(caught, FORCE_COLOR="1").stdout


def test_html_has_the_same_text() -> None:
    diagnosis = safe_numpy.diagnose(torch.ones(2, dtype=torch.bfloat16, requires_grad=True), "batch['<x>']")
    html = diagnosis._repr_html_()
    assert unescape(re.sub("<[^>]*>", "", html)) == str(diagnosis)
    assert "<x>" not in html
    assert not re.search("<(?!/?(pre|b)\\b)", html), "no script, no style, nothing from outside"
    assert "batch[&#x27;&lt;x&gt;&#x27;].detach().float().numpy()" in html


def test_every_remark_is_shown_somewhere() -> None:
    tests = (Path(__file__).parent / "test_origin.py").read_text()
    for name, sentence in gradients.REMARKS.items():
        assert f'["{name}"]' in tests
        assert not sentence.endswith(".")
