"""Code that TensorFlow or Keras traces: whose function, which expression, and the line that is printed instead."""

# ruff: noqa: E501 - a program stands on one line of a table

from __future__ import annotations

import ast
import importlib.util
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import safe_numpy
from safe_numpy.frameworks.tensorflow.autograph import TRANSLATOR
from safe_numpy.postmortem.why import find_explained

HEAD = """\
import functools, math, re
import numpy as np, tensorflow as tf, keras
from scipy import ndimage
from sklearn.metrics import roc_auc_score

table = np.arange(5.0, dtype="float32")
kept = []
"""


def run(folder: Path, body: str) -> tuple[Any, str, str]:
    """Run a program that fails; return its module, what is said, and the first line of the fix, or nothing."""
    file = folder / "program.py"
    file.write_text(HEAD + textwrap.dedent(body))
    spec = importlib.util.spec_from_file_location("program", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of many types
        module.main()
    explained = find_explained(caught.value)
    whole = explained.diagnosis if explained is not None else None
    text = str(whole or safe_numpy.why(caught.value))
    lines = [line.split("fix", 1)[1].strip() for line in text.splitlines() if line.startswith("  fix ")]
    return module, text, lines[0] if lines else ""


FUNCTIONS = {
    "a function": ("@tf.function\ndef main(x=tf.ones(2)):\n    return np.sort(x)", "`tf.function` is tracing `main`"),
    "a method": (
        "class Net:\n    @tf.function\n    def step(self, x):\n        return np.sort(x)\ndef main():\n    net = Net()\n    net.step(tf.ones(2))",
        "`tf.function` is tracing `Net.step`",
    ),
    "a helper": (
        "def helper(x):\n    return np.sort(x)\n@tf.function\ndef main(x=tf.ones(2)):\n    return helper(x)",
        "`tf.function` is tracing `main`",
    ),
    "Dataset.map of an instance": (
        "class Augment:\n    def __call__(self, x):\n        return self.sort(x)\n    def sort(self, x):\n        return np.sort(x)\n"
        "def main():\n    tf.data.Dataset.from_tensors([1.0, 2.0]).map(Augment())",
        "`Dataset.map` is tracing `Augment.__call__`",
    ),
    "Dataset.map of a partial": (
        "def crop(x, size):\n    return np.sort(x)\n"
        "def main():\n    tf.data.Dataset.from_tensors([1.0]).map(functools.partial(crop, size=1))",
        "`Dataset.map` is tracing `crop`",
    ),
    "Dataset.reduce": (
        "def add(a, b):\n    return np.add(a, b)\ndef main():\n    tf.data.Dataset.range(3).reduce(np.int64(0), add)",
        "`Dataset.reduce` is tracing `add`",
    ),
    "Dataset.filter": (
        "def keep(x):\n    return np.any(x)\ndef main():\n    tf.data.Dataset.range(3).filter(keep)",
        "`Dataset.filter` is tracing `keep`",
    ),
    "a layer": (
        "class L(keras.layers.Layer):\n    def call(self, x):\n        return np.sort(x)\ndef main():\n    L()(keras.Input((2,)))",
        "Keras is tracing `L.call`",
    ),
    "a loss": (
        "def loss(y, p):\n    return np.sum(y - p)\ndef main():\n    m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "    m.compile('sgd', loss)\n    m.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)",
        "Keras is tracing `loss`",
    ),
    "train_step": (
        "class M(keras.Model):\n    def train_step(self, data):\n        return {'a': np.mean(data[0])}\n"
        "def main():\n    m = M()\n    m.compile('sgd')\n    m.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)",
        "Keras is tracing `M.train_step`",
    ),
    "what a function left": (
        "@tf.function\ndef step(x):\n    kept.append(x * 2)\n    return x\n"
        "def main():\n    step(tf.ones(2))\n    np.sort(kept[-1])",
        "it was made while `step` (",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_is_called_what_its_writer_calls_it(name: str, tmp_path: Path) -> None:
    body, said = FUNCTIONS[name]
    _, text, _ = run(tmp_path, body)
    assert said in " ".join(text.split())


IN_A_FUNCTION = "@tf.function\ndef main(x=tf.constant([0.25, 1.0]), n=tf.constant(2)):\n"
IN_A_MAP = "def main():\n    return list(tf.data.Dataset.from_tensors(np.eye(3, dtype='float32')).map(rotate))[0]\n"
FIXES = {
    "under control flow": (IN_A_FUNCTION + "    for i in range(2):\n        if n > 1:\n            x = np.sqrt(x * 2)\n    return x",
                           "x = tf.sqrt(x * 2)", "x * 2"),
    "in a comprehension": (IN_A_FUNCTION + "    return [np.exp(v) for v in (x, x)]", "return [tf.exp(v) for v in (x, x)]", "v"),
    "in a lambda": (IN_A_FUNCTION + "    f = lambda t: np.sin(t + 1)\n    return f(x)", "f = lambda t: tf.sin(t + 1)", "t + 1"),
    "over several lines": (IN_A_FUNCTION + "    return np.maximum(\n        np.minimum(x, 0.5), 0.1\n    )",
                           "return tf.maximum(tf.minimum(x, 0.5), 0.1)", "x"),
    "an array that is indexed": (IN_A_FUNCTION + "    return table[n]", "return tf.gather(table, n)", "n"),
    "an array that is cut": (IN_A_FUNCTION + "    return table[n - 1 : n]", "return tf.constant(table)[n - 1 : n]", ""),
    "numpy() inside": (IN_A_FUNCTION + "    return np.mean(x.numpy())", "return tf.reduce_mean(x)", "x"),
    "several that are asked": (IN_A_FUNCTION + "    return np.mean(x.numpy().ravel() == (x * 2).numpy().ravel())",
        "return tf.reduce_mean(tf.cast(tf.experimental.numpy.ravel(x) == tf.experimental.numpy.ravel(x * 2), tf.float32))", "x"),
    "how many": (IN_A_FUNCTION + "    return np.sum(x.numpy() > 0.5)",
        "return tf.reduce_sum(tf.cast(x > 0.5, tf.float32))", "x"),
    "one that TensorFlow lacks": (IN_A_FUNCTION + "    return np.median(np.exp(x))",
        "return tf.py_function(lambda x: np.median(np.exp(x.numpy())), [x], Tout=tf.float32)", "x"),
    "a method behind it": (IN_A_FUNCTION + "    return x.numpy().mean()", "return tf.reduce_mean(x)", "x"),
    "numpy() that is not needed": (IN_A_FUNCTION + "    y = x.numpy()\n    return tf.sqrt(y)", "y = x", "x"),
    "its shape": (IN_A_FUNCTION + "    width = x.numpy().shape[0]\n    return x[: width - 1]", "width = x.shape[0]", "x"),
    "a number": (
        IN_A_FUNCTION.replace("@tf.function", "@functools.partial(tf.function, autograph=False)") + "    return int(n) + 1",
        "return tf.cast(n, tf.int32) + 1",
        "",
    ),
    "math": (IN_A_FUNCTION + "    return math.sqrt(x[0])", "return tf.math.sqrt(x[0])", ""),
    "several": (IN_A_FUNCTION.replace("@tf.function\n", "@functools.partial(tf.function, autograph=False)\n")
                + "    a, b = x * 2\n    return a + b", "a, b = tf.unstack(x * 2)", ""),
    "a shape": (IN_A_FUNCTION + '    return np.zeros((n, 2), dtype="float32")', "return tf.zeros((n, 2), dtype=tf.float32)", ""),
    "astype": (IN_A_FUNCTION + "    return x.astype(np.float64)", "return tf.cast(x, tf.float64)", ""),
    "a foreign library": ("def rotate(x):\n    return ndimage.gaussian_filter(x, 1.0)\n" + IN_A_MAP,
        "return tf.py_function(lambda x: ndimage.gaussian_filter(x.numpy(), 1.0), [x], Tout=tf.float32)", "x"),
    "one of several results": ("def rotate(x):\n    return ndimage.gaussian_filter(x, 1.0), x\n" + IN_A_MAP,
        "return tf.py_function(lambda x: ndimage.gaussian_filter(x.numpy(), 1.0), [x], Tout=tf.float32), x", "x"),
    "predict": ("net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
                "@tf.function\ndef main(x=tf.ones((1, 2))):\n    return net.predict(x, verbose=0)",
                "return net(x, training=False)", ""),
}  # fmt: skip
"""the program, the first line of its fix, and what the tensor is called; where that is empty, it is not asked"""


@pytest.mark.parametrize("name", FIXES)
def test_a_fix_computes_with_what_comes(name: str, tmp_path: Path) -> None:
    body, fix, tensor = FIXES[name]
    _, text, found = run(tmp_path, body)
    assert found == fix
    assert not tensor or text.startswith(f"`{tensor}` ")
    line = (
        next(line for line in body.splitlines() if fix.split(" ")[0] in line and line.strip() != fix) if False else None
    )
    assert line is None


def test_what_is_printed_is_printed_at_every_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = IN_A_FUNCTION + '    print("loss: {:.2f}, at {}".format(x[0], n), x.numpy(), f"{n:d} steps")\n    return x'
    module, text, fix = run(tmp_path, body)
    assert fix == 'tf.print("loss:", x[0], "at", n, x, n, "steps")'
    assert "it prints at every run, when there are values" in text
    exec(f"@tf.function\ndef main(x, n):\n    {fix}", vars(module))
    module.main(tf.constant([0.25, 1.0]), tf.constant(2))
    assert "loss: 0.25 at 2 [0.25 1] 2 steps" in capfd.readouterr().err


def test_an_effect_is_had_at_every_run(tmp_path: Path) -> None:
    module, text, fix = run(tmp_path, IN_A_FUNCTION + "    kept.append(float(x.numpy().mean()))\n    return x")
    assert fix == "tf.py_function(lambda x: kept.append(float(x.numpy().mean())), [x], Tout=[])"
    assert "it is called at every run, when there are values" in text
    exec(f"@tf.function\ndef main(x):\n    {fix}\n    return x", vars(module))
    for value in (1.0, 2.0):
        module.main(tf.constant([value]))
    assert module.kept == [1.0, 2.0]


def test_a_score_is_a_number(tmp_path: Path) -> None:
    body = "@tf.function\ndef main(y=tf.constant([0, 1, 1]), p=tf.constant([0.1, 0.3, 0.2])):\n    return roc_auc_score(y, p)"
    module, _, fix = run(tmp_path, body)
    score = "tf.py_function(lambda y, p: roc_auc_score(y.numpy(), p.numpy()), [y, p], Tout=tf.float32)"
    assert fix == f"return tf.ensure_shape({score}, ())"
    exec(f"@tf.function\ndef main(y, p):\n    {fix}", vars(module))
    assert float(module.main(tf.constant([0, 1, 1]), tf.constant([0.1, 0.3, 0.2]))) == 1.0


WORDS = {
    "in a loss no code of others": (
        "def loss(y, p):\n    return ndimage.gaussian_filter(p, 1.0)\ndef main():\n"
        "    m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n    m.compile('sgd', loss)\n"
        "    m.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)", "compute with keras.ops"),
    "inside a tape no code of others": (
        "@tf.function\ndef main(x=tf.ones(3)):\n    with tf.GradientTape() as tape:\n        y = ndimage.gaussian_filter(x, 1.0)\n"
        "    return tape.gradient(y, x)", "compute with TensorFlow's functions"),
    "a choice": ("def loss(y, p):\n    if np.max(y) == 0:\n        return p\n    return y\ndef main():\n"
        "    m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n    m.compile('sgd', loss)\n"
        "    m.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)", "`tf.cond` calls one of two functions"),
    "an array that is to hold it": (IN_A_FUNCTION + "    table[0] = x[0]", "`return x[0]`, and store it where the function is called"),
    "a class": (IN_A_FUNCTION + "    return re.Scanner([(x.numpy(), None)])", "compute with TensorFlow's functions"),
    "strings": ("@tf.function\ndef main(s=tf.constant('a b')):\n    return s.decode()", "`tf.numpy_function(f, [s], Tout)`"),
    "what arrays alone know": (IN_A_FUNCTION + "    y = x.numpy()\n    y.fill(0)\n    return y", "compute with TensorFlow's functions"),
    "a loop": (IN_A_FUNCTION.replace("@tf.function\n", "@functools.partial(tf.function, autograph=False)\n")
        + "    return [v for v in x]", "`tf.map_fn` calls a function for each part"),
    "a loop over what is asked": (IN_A_FUNCTION + "    return [v * 2 for v in x.numpy()]", "`tf.map_fn` calls a function for each part"),
    "a placeholder": ("def main():\n    return keras.Input((2,)).numpy()", "inside the call() of a keras.layers.Layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_where_no_code_is_certain_there_are_words(name: str, tmp_path: Path) -> None:
    body, said = WORDS[name]
    _, text, fix = run(tmp_path, body)
    assert fix == ""
    assert said in " ".join(text.split())


EAGER = {
    "elements": ("def main(m=tf.reshape(tf.range(6), (2, 3)), i=np.array([0, 1]), j=[2, 0]):\n    return m[i, j]",
                 "return tf.gather_nd(m, tf.stack([i, j], axis=1))", [2, 3]),
    "rows": ("def main(m=tf.range(4), i=np.array([2, 0])):\n    return m[i]", "return tf.gather(m, i)", [2, 0]),
    "one that is assigned": ("def main(m=tf.range(3)):\n    m[1] = 7\n    return m", "m = tf.tensor_scatter_nd_update(m, [[1]], [7])",
                             [0, 7, 2]),
    "several that are": ("def main(m=tf.range(3), i=tf.constant([0, 2]), v=tf.constant([8, 9])):\n    m[i] = v\n    return m",
                         "m = tf.tensor_scatter_nd_update(m, i[:, tf.newaxis], v)", [8, 1, 9]),
    "text": ("def main(s=tf.constant('a b')):\n    return s.decode().split()", "return s.numpy().decode().split()", ["a", "b"]),
}  # fmt: skip
"""the program, its fix, and what it gives then"""


@pytest.mark.parametrize("name", EAGER)
def test_tensors_are_not_arrays(name: str, tmp_path: Path) -> None:
    body, fix, result = EAGER[name]
    module, _, found = run(tmp_path, body)
    assert found == fix
    failing = next(line for line in body.splitlines() if line.startswith("    ") and line.strip() != "return m")
    exec(body.replace(failing, f"    {found}"), vars(module))
    given = module.main()
    assert (given.numpy().tolist() if isinstance(given, tf.Tensor) else given) == result


def test_a_gradient_that_is_none(tmp_path: Path) -> None:
    body = """
    def main():
        w = tf.Variable(1.0)
        with tf.GradientTape() as tape:
            loss = tf.constant(float(w * 2))
        grads = tape.gradient(loss, [w])
        keras.optimizers.SGD().apply_gradients(zip(grads, [w]))
    """
    _, text, _ = run(tmp_path, body)
    assert text.startswith("`grads` holds no gradients, only None.")
    assert "`float()` or a function of NumPy's on the way cuts it" in " ".join(text.split())


def test_what_is_fed_has_values(tmp_path: Path) -> None:
    body = """
    def main():
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            x, made = tf.compat.v1.placeholder(tf.float32), tf.ones(2)
            session.run(x + 1, feed_dict={x: made})
    """
    _, text, _ = run(tmp_path, body)
    assert text.startswith("`made` is a tensor of the graph, and what is fed are values.")
    assert "`session.run([made])`, and feed what that gives" in text


def test_a_warning_calls_the_tensor_what_the_line_does() -> None:
    kept = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        twice = kept * 2
        with pytest.warns(safe_numpy.HazardWarning) as caught:
            twice.numpy()
    assert tape is not None
    said = str(caught[0].message)
    assert said.startswith(
        "numpy() of `twice` (EagerTensor float32[2] on cpu:0) inside a GradientTape that records it, opened at "
    )
    assert said.endswith("for a value to look at only, say so: `tf.stop_gradient(twice).numpy()`")


def test_variables_of_keras_are_converted() -> None:
    variable = keras.Variable([1.0, 2.0])
    tree = safe_numpy.to_numpy({"a": variable, "b": [tf.ones(1)]})
    assert (type(tree["a"]), tree["a"].tolist(), tree["b"][0].tolist()) == (np.ndarray, [1.0, 2.0], [1.0])
    assert (safe_numpy.diagnose(variable).problems, safe_numpy.diagnose(variable).fix) == ((), "x.numpy()")


def test_what_is_restored_is_what_was_written() -> None:
    for made, written in {
        "ag__.converted_call(ag__.ld(f), (ag__.ld(x), 1) + tuple(ag__.ld(rest)), dict(k=2), fscope)": "f(x, 1, *rest, k=2)",
        "ag__.and_(lambda: ag__.ld(a), lambda: ag__.not_(ag__.ld(b)))": "a and not b",
        "ag__.or_(lambda: ag__.ld(a), lambda: ag__.ld(b))": "a or b",
        "ag__.if_exp(ag__.ld(a), lambda: ag__.ld(b), lambda: ag__.ld(c), 'a')": "b if a else c",
        "ag__.autograph_artifact(lambda t: ag__.ld(t)[ag__.ld(i)])": "lambda t: t[i]",
    }.items():
        restored = TRANSLATOR.restore(ast.parse(made, mode="eval").body)
        assert ast.dump(restored) == ast.dump(ast.parse(written, mode="eval").body)
