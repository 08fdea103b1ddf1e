"""Each row of the tables of twins: NumPy's call fails where it is traced, and the printed line gives its values."""

from __future__ import annotations

import ast
import contextlib
import importlib
import linecache
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import safe_numpy
from safe_numpy.frameworks import keras_ops
from safe_numpy.frameworks.tensorflow import twins
from safe_numpy.frameworks.torch.twins import TWINS as TORCH

pytestmark = pytest.mark.filterwarnings(  # NumPy's word for `np.array(x)` of any tensor of TensorFlow's
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

X = np.array([[0.3, 0.9, 0.1], [0.5, 0.2, 0.7]], np.float32)
N = np.int32(3)
UNARY = (
    "exp exp2 expm1 log log2 log10 log1p sqrt square abs absolute sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arctanh sign floor ceil round rint fix trunc reciprocal negative isnan isfinite isinf zeros_like "
    "ones_like sort argsort squeeze ravel copy array asarray asanyarray transpose sum mean max min amax amin prod "
    "std var any all argmax argmin cumsum cumprod ptp median average nanmean nansum trace diag tril triu diff "
    "fliplr flipud rot90 atleast_1d atleast_2d sinc deg2rad rad2deg count_nonzero nan_to_num size nonzero"
)
"""called with one array"""
REDUCING = "sum mean max min prod std var any all argmax argmin cumsum amax amin"
BINARY = (
    "maximum minimum add subtract multiply divide true_divide power arctan2 mod logaddexp remainder floor_divide "
    "isclose allclose heaviside equal not_equal greater greater_equal less less_equal"
)
OTHERS: Mapping[str, str] = {
    "arccosh": "np.arccosh(x + 1)",
    "logical_and": "np.logical_and(x > 0.2, x < 0.8)",
    "logical_or": "np.logical_or(x > 0.8, x < 0.2)",
    "logical_not": "np.logical_not(x > 0.5)",
    "matmul": "np.matmul(x, x.T)",
    "dot": "np.dot(x[0], x[1])",
    "outer": "np.outer(x[0], x[1])",
    "inner": "np.inner(x[0], x[1])",
    "kron": "np.kron(x, x)",
    "cross": "np.cross(x[0], x[1])",
    "tensordot": "np.tensordot(x, x, 2)",
    "einsum": 'np.einsum("ij,ij->i", x, x)',
    "where": "np.where(x > 0.5, x, 0.0)",
    "clip": "np.clip(x, 0.2, 0.6)",
    "stack": "np.stack([x, x], axis=1)",
    "vstack": "np.vstack([x, x])",
    "hstack": "np.hstack([x, x])",
    "dstack": "np.dstack([x, x])",
    "concatenate": "np.concatenate([x, x], axis=1)",
    "expand_dims": "np.expand_dims(x, axis=-1)",
    "reshape": "np.reshape(x, (3, 2))",
    "swapaxes": "np.swapaxes(x, 0, 1)",
    "moveaxis": "np.moveaxis(x, 0, 1)",
    "tile": "np.tile(x, (2, 1))",
    "repeat": "np.repeat(x, 2, axis=1)",
    "roll": "np.roll(x, 1, axis=1)",
    "split": "np.split(x, 3, axis=1)",
    "broadcast_to": "np.broadcast_to(x, (2, 2, 3))",
    "full_like": "np.full_like(x, 2.0)",
    "meshgrid": "np.meshgrid(x[0], x[1])",
    "take": "np.take(x, 1, axis=1)",
    "take_along_axis": "np.take_along_axis(x, np.array([[0], [1]]), axis=1)",
    "compress": "np.compress(np.array([True, False]), x, axis=0)",
    "polyval": "np.polyval(np.array([1.0, 2.0], np.float32), x)",
    "vander": "np.vander(x[0], 3)",
    "pad": "np.pad(x, ((1, 0), (0, 0)))",
    "linspace": "np.linspace(0.0, x[0, 0], 4)",
    "quantile": "np.quantile(x, 0.5)",
    "digitize": "np.digitize(x, np.array([0.0, 0.4]))",
    "arange": "np.arange(n)",
    "zeros": "np.zeros((n, 2))",
    "ones": "np.ones((n, 2))",
    "full": "np.full((n, 2), 1.5)",
    "eye": "np.eye(n)",
    "identity": "np.identity(n)",
    "linalg.norm": "np.linalg.norm(x)",
    "linalg.inv": "np.linalg.inv(x[:, :2])",
    "linalg.det": "np.linalg.det(x[:, :2])",
    "linalg.solve": "np.linalg.solve(x[:, :2], x[:, 1:])",
    "norm": "np.linalg.norm(x, axis=1)",
    "random.randint": "np.random.randint(0, n, size=(2,)) * 0",
    "random.uniform": "np.random.uniform(0.0, x[0, 0], size=(2,)) * 0",
    "random.normal": "np.random.normal(0.0, x[0, 0], size=(2,)) * 0",
    "builtins.float": "float(x[0, 0])",
    "builtins.int": "int(x[0, 0] * 10)",
    "builtins.round": "round(x[0, 0])",
    "builtins.len": "len(x)",
    "flatten": "np.asarray(x).flatten()",
    "item": "np.asarray(x[0, 0]).item()",
    "T": "np.exp(x).T",
    "astype": 'np.asarray(x).astype("float64")',
}
AXES = {f"{name} along an axis": f"np.{name}(x, axis=1)" for name in REDUCING.split()}
MATH = {
    f"math.{name}": f"math.{name}(x[0, 0])"
    for name in [
        "sqrt",
        "exp",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "floor",
        "fabs",
        "log",
        "ceil",
        "log1p",
        "expm1",
    ]
}
CALLS = (
    {name: f"np.{name}(x)" for name in UNARY.split()}
    | {name: f"np.{name}(x, 0.5)" for name in BINARY.split()}
    | dict(OTHERS)
    | AXES
    | MATH
    | {
        "an array that is indexed": "table[n]",
        "an array beside it": "table[:3] * np.square(x)",
        "places": "np.where(x > 0.5)",
        "keepdims": "np.sum(x, axis=1, keepdims=True)",
    }
    | {
        "a list": "np.sum([x[0], x[1]], axis=0)",
        "two positional": "np.argmax(x, 1)",
        "a bound": "np.clip(x, a_min=0.2, a_max=0.6)",
    }
    | {"whole numbers": "np.sqrt(n)", "nested": "np.mean(np.square(x - np.mean(x)))"}
)
FAILURES = (NotImplementedError, TypeError, AttributeError, ValueError)
TABLE = np.array([0.1, 0.4, 0.2, 0.8], np.float32)
NAMES: dict[str, Any] = {"np": np, "tf": tf, "keras": keras, "table": TABLE, "math": __import__("math")}


def define(text: str, label: str) -> Any:
    """Return a function of a line that has a source."""
    source, filename = f"def line(x, n):\n    return {text}\n", f"/tmp/twins/{label}.py"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names = dict(NAMES)
    exec(compile(source, filename, "exec"), names)
    return names["line"]


def read_fix(error: Exception) -> str | None:
    lines = [line.split("fix", 1)[1] for line in str(safe_numpy.why(error)).splitlines() if line.startswith("  fix ")]
    return lines[0] if lines else None


def trace(function: Any) -> Any:
    """Call a function of a matrix and a number where both are symbolic, as TensorFlow does, without AutoGraph."""
    given = [tf.TensorSpec((2, 3), tf.float32), tf.TensorSpec((), tf.int32)]
    return tf.function(function, autograph=False, input_signature=given)


def compare(found: Any, wanted: Any) -> None:
    found, wanted = list(tf.nest.flatten(found)), list(tf.nest.flatten(wanted))
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        array = np.asarray(one)
        assert array.shape == np.shape(other)
        np.testing.assert_allclose(array.astype(np.float64), np.asarray(other).astype(np.float64), rtol=1e-4, atol=1e-6)


def list_rows(table: Any) -> list[str]:
    keys = {*table.functions, *table.templates}
    return [
        label for label, text in CALLS.items() if label in keys or label.partition(" ")[0] in keys or label not in ALL
    ]


ALL = {key for table in (twins.TWINS, keras_ops.TWINS) for key in (*table.functions, *table.templates)}


@pytest.mark.parametrize("label", list_rows(twins.TWINS))
def test_tensorflows_row(label: str) -> None:
    text = CALLS[label]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = eval(text, NAMES | {"x": X, "n": N})
    with pytest.raises(FAILURES) as caught:
        trace(define(text, label)).get_concrete_function()
    fix = read_fix(caught.value)
    assert fix is not None, str(caught.value)
    expression = fix.strip().removeprefix("return ")
    compare(trace(define(expression, f"fixed {label}"))(X, N), wanted)


def has_number(text: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "n" for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize("label", [label for label in list_rows(keras_ops.TWINS) if not has_number(CALLS[label])])
def test_keras_row(label: str) -> None:
    text = CALLS[label]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = eval(text, NAMES | {"x": X, "n": N})

    class Line(keras.layers.Layer):
        def __init__(self, line: Any) -> None:
            super().__init__()
            self.line = line

        def call(self, x: Any) -> Any:
            return self.line(x, None)

    placeholder = keras.Input((3,), batch_size=2)
    with pytest.raises(FAILURES) as caught:
        Line(define(text, label))(placeholder)
    fix = read_fix(caught.value)
    assert fix is not None, str(caught.value)
    expression = fix.strip().removeprefix("return ")
    compare(Line(define(expression, f"fixed {label}"))(X), wanted)


@pytest.mark.parametrize("table", [twins.TWINS, keras_ops.TWINS], ids=["tensorflow", "keras"])
def test_every_row_is_tried(table: Any) -> None:
    assert {*table.functions, *table.templates} - CALLS.keys() == set()


@pytest.mark.parametrize("table", [twins.TWINS, keras_ops.TWINS, TORCH], ids=["tensorflow", "keras", "torch"])
def test_every_name_exists(table: Any) -> None:
    import torch

    roots = {"tf": tf, "keras": keras, "torch": torch}
    for path in table.functions.values():
        value: Any = roots.get(path.partition(".")[0], "nothing")
        for name in path.split(".")[1:]:
            value = getattr(value, name)
        assert path == "" or callable(value)


NAME = re.compile(r"(?<![\w./`'\"])`?((?:tf|keras|torch|np|safe_numpy)(?:\.[A-Za-z_]\w*)+)")
PACKAGE = Path(safe_numpy.__file__).parent
ROOTS = {"tf": "tensorflow", "np": "numpy"}
ELSEWHERE = {"torch.numpy", "keras.src", "tf.str"}
"""what is mentioned as being none, or private"""


def list_texts() -> list[str]:
    """Return what the package says: the parts of its sentences, and its manual pages; but for the tables of above."""
    trees = [ast.parse(f.read_text()) for f in PACKAGE.rglob("*.py") if f.stem not in ("twins", "keras_ops")]
    return [
        n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]


def find_name(path: str) -> bool:
    root, *names = path.split(".")
    value = importlib.import_module(ROOTS.get(root, root))
    for i, name in enumerate(names):
        if not hasattr(value, name):
            with contextlib.suppress(ImportError):
                importlib.import_module(".".join([value.__name__, *names[i : i + 1]]))
        if not hasattr(value, name):
            return False
        value = getattr(value, name)
    return True


def test_every_name_that_is_said_exists() -> None:
    names = {name for text in list_texts() for name in NAME.findall(text)} - ELSEWHERE
    assert len(names) > 100
    assert sorted(name for name in names if not find_name(name)) == []
