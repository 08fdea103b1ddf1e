"""TensorFlow and Keras: cause × door × mode, inside the code that is really traced."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from catching import METHODS as DOORS
from catching import catch
from processes import run
from zoo_tensorflow import COMPOSITES, DTYPES, FINE, HANDLES, SYMBOLIC, Case, find_dtypes, make_eager

import safe_numpy
from safe_numpy import ConversionError, ConversionWarning, HazardWarning, Mode

REFUSED = SYMBOLIC + HANDLES


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mode", ["explain", "permissive", "strict"])
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_an_explained_error_is_the_stock_error_and_more(case: Case, mode: str, door: str) -> None:
    stock = case.visit(catch(DOORS[door], "off"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HazardWarning)
        new = case.visit(catch(DOORS[door], mode))
    assert not isinstance(stock, ConversionError)
    if stock is None:
        assert new is None or (mode == "strict" and isinstance(new, safe_numpy.SilentError))
        return
    assert isinstance(new, ConversionError)
    assert isinstance(new, type(stock))
    assert str(new).startswith(str(stock).split("(")[0]), "the graph's names may differ"
    assert new.diagnosis is not None
    assert tuple(p.cause for p in new.diagnosis.problems) == case.causes
    assert not new.diagnosis.convertible
    is_traced = new.diagnosis.stays in ("traced", "noted", "called")
    assert (new.diagnosis.fix is not None) is is_traced, "a fix that computes with what comes, or words"
    assert ("fix " if is_traced else "instead ") in str(new)
    again = pickle.loads(pickle.dumps(new))
    assert (type(again), str(again)) == (type(new), str(new))
    if isinstance(new, tf.errors.OpError):
        assert again.message == new.message
        assert again.error_code == new.error_code


@pytest.mark.parametrize("mode", list(Mode), ids=lambda m: m.value)
@pytest.mark.parametrize("case", [c for c in SYMBOLIC if c.name != "variable in tf.function"], ids=str)
def test_a_symbolic_tensor_has_no_numpy_in_any_mode(case: Case, mode: Mode) -> None:
    if mode is Mode.PERMISSIVE and case.causes[-1] == "sparse_in_graph":
        assert case.visit(lambda x: hasattr(x, "numpy")) is False
    with safe_numpy.mode(mode):
        assert case.visit(lambda x: (hasattr(x, "numpy"), getattr(x, "numpy", None))) == (False, None)
        assert case.visit(lambda x: hasattr(x, "nonsense")) is False


@pytest.mark.parametrize("case", COMPOSITES, ids=str)
def test_composites_are_explained_and_converted(case: Case) -> None:
    x = case.visit(lambda x: x)
    with pytest.raises(AttributeError, match="has no attribute 'numpy'") as caught:
        x.numpy()
    assert isinstance(caught.value, safe_numpy.CompositeError)
    diagnosis = caught.value.diagnosis
    assert diagnosis is not None
    assert tuple(p.cause for p in diagnosis.problems) == case.causes
    assert diagnosis.fix is not None
    assert diagnosis.convertible
    assert not diagnosis.shares_memory
    fixed = eval(diagnosis.fix, {"tf": tf, "np": np, "x": x})
    with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning) as warned:
        converted = x.numpy()
    assert warned[0].filename == __file__
    for array in (fixed, converted, safe_numpy.to_numpy(x), safe_numpy.to_numpy([x])[0]):
        assert type(array) is np.ndarray
        assert array.dtype == case.expected.dtype
        np.testing.assert_array_equal(array, case.expected)
    assert not hasattr(x, "numpy")


@pytest.mark.parametrize("mode", list(Mode), ids=lambda m: m.value)
@pytest.mark.parametrize("case", FINE, ids=str)
def test_what_works_is_untouched(case: Case, mode: Mode) -> None:
    x = case.visit(lambda x: x)
    for door in DOORS.values() if case.name != "ragged" else [DOORS["numpy"]]:
        with safe_numpy.mode("off"):
            stock = door(x)
        with safe_numpy.mode(mode), warnings.catch_warnings():
            warnings.simplefilter("error", ConversionWarning)
            warnings.simplefilter("error", HazardWarning)
            guarded = door(x)
        assert type(guarded) is type(stock)
        assert guarded.dtype == stock.dtype
        assert str(guarded) == str(stock)
        if case.expected is not None:
            assert guarded.dtype == case.expected.dtype
            assert guarded.tolist() == case.expected.tolist()
    d = safe_numpy.diagnose(x)
    assert (d.problems, d.convertible) == ((), True)


def test_eager_numpy_still_copies() -> None:
    x = tf.constant([1.0, 2.0])
    array = x.numpy()
    array[0] = 9
    assert x.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("autograph", [True, False])
def test_the_explanation_survives_tf_function(autograph: bool) -> None:
    @tf.function(autograph=autograph)
    def average(x: Any) -> Any:
        y = x + 1.0
        return y.numpy().mean()

    with pytest.raises(AttributeError) as caught:
        average(tf.constant([1.0]))
    error = caught.value
    assert isinstance(error, safe_numpy.SymbolicError)
    assert "`tf.function` is tracing `average`" in str(error)
    assert error.site is not None
    assert error.site.filename == __file__
    assert "return y.numpy().mean()" in str(error), "the line that its reader wrote, not AutoGraph's"


def test_a_tensor_that_leaked_into_another_function() -> None:
    kept = []

    @tf.function
    def first(x: Any) -> Any:
        kept.append(x)
        return x

    @tf.function
    def second(x: Any) -> Any:
        with pytest.raises(AttributeError) as caught:
            kept[0].numpy()
        assert "made while `first` was traced, and is used outside" in str(caught.value)
        with pytest.raises(AttributeError, match=r"`tf\.function` is tracing `second`"):
            x.numpy()
        return x

    first(tf.constant(1.0))
    second(tf.constant(1.0))
    assert len(kept) == 1


def test_a_callers_except_clause_still_catches() -> None:
    @tf.function
    def careful(x: Any) -> Any:
        try:
            return x.numpy()
        except AttributeError:
            return x * 2.0

    assert careful(tf.constant(2.0)).numpy() == 4.0


def test_dataset_map_names_the_function_and_the_way_out_works() -> None:
    def parse(x: Any) -> Any:
        return x.numpy() * 2

    with pytest.raises(AttributeError) as caught:
        list(tf.data.Dataset.range(2).map(parse))
    text = str(caught.value)
    assert "`Dataset.map` is tracing `parse`" in text
    assert "fix       return x * 2\n" in text
    fixed = tf.data.Dataset.range(3).map(lambda x: tf.py_function(parse, [x], tf.int64))
    assert [int(x) for x in fixed] == [0, 2, 4]


def make_digits_model(metric: Any) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[metric])
    return model


def test_a_metric_under_fit_on_real_data() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target

    def accuracy(y: Any, p: Any) -> Any:
        return np.mean(y.numpy().ravel() == p.numpy().argmax(1))

    with pytest.raises(AttributeError) as caught:
        make_digits_model(accuracy).fit(images, labels, verbose=0)
    error = caught.value
    assert isinstance(error, safe_numpy.SymbolicError)
    assert error.site is not None
    assert error.site.filename == __file__
    assert "y.numpy().ravel()" in str(error)
    assert "Keras is tracing" in str(error)

    def fixed(y: Any, p: Any) -> Any:
        right = tf.equal(tf.cast(tf.reshape(y, [-1]), tf.int64), tf.argmax(p, 1))
        return tf.reduce_mean(tf.cast(right, tf.float32))

    keras.utils.set_random_seed(0)
    history = make_digits_model(fixed).fit(images, labels, epochs=5, verbose=0)
    assert history.history["fixed"][-1] > 0.8


def test_a_tape_that_records_is_warned_about_once_per_site() -> None:
    v = tf.Variable([1.0, 2.0])
    with warnings.catch_warnings(record=True) as caught, tf.GradientTape() as tape:
        warnings.simplefilter("always")
        y = v * 2.0
        for _ in range(3):
            loss = tf.reduce_sum(y.numpy())
        tf.constant(1.0).numpy()
    assert [w.category for w in caught] == [HazardWarning]
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert text.startswith(
        "numpy() of `y` (EagerTensor float32[2] on cpu:0) inside a GradientTape that records it, opened at "
    )
    opened = test_a_tape_that_records_is_warned_about_once_per_site.__code__.co_firstlineno + 2
    assert f"opened at {__file__}:{opened}: the gradient stops here" in text
    assert tape.gradient(loss, v) is None, "the hazard is real"


@pytest.mark.parametrize("kind", ["SparseTensor", "IndexedSlices"])
def test_a_composite_that_permissive_mode_takes_from_a_tape(kind: str) -> None:
    v = tf.Variable([1.0, 2.0])

    def make() -> Any:
        if kind == "SparseTensor":
            return tf.SparseTensor([[0], [1]], v * 2, [2])
        return tf.IndexedSlices(v * 2, tf.constant([0, 1]), tf.constant([2]))

    with warnings.catch_warnings(record=True) as caught, safe_numpy.mode("permissive"):
        warnings.simplefilter("always")
        for inside in (False, True, True):
            with tf.GradientTape() if inside else contextlib.nullcontext():
                np.testing.assert_array_equal(make().numpy(), [2, 4])
    kinds = [w.category for w in caught]
    assert kinds == [safe_numpy.ConversionWarning, safe_numpy.HazardWarning]
    assert str(caught[1].message).startswith(
        f"numpy() of `make()` ({kind} float32[2] on cpu:0) inside a GradientTape that records"
    )
    assert caught[1].filename == __file__


@pytest.mark.parametrize("mode", ["off", "explain"])
def test_no_tape_no_warning(mode: str) -> None:
    v = tf.Variable([1.0])
    with warnings.catch_warnings(), safe_numpy.mode(mode):
        warnings.simplefilter("error")
        (v * 2.0).numpy()
        with tf.GradientTape(persistent=True) as tape:
            with tape.stop_recording():
                (v * 2.0).numpy()
            tf.stop_gradient(v * 2.0).numpy()
            if mode == "off":
                (v * 2.0).numpy()


def test_trees_may_mix_frameworks() -> None:
    tree = {
        "torch": torch.ones(2, requires_grad=True),
        "tf": [tf.constant([1, 2]), tf.sparse.from_dense([[0, 3]]), tf.Variable(4.0)],
        "ragged": tf.ragged.constant([[1], [2, 3]]),
        "string": tf.constant("text"),
    }
    result = safe_numpy.to_numpy(tree)
    assert result["torch"].tolist() == [1, 1]
    assert [np.asarray(a).tolist() for a in result["tf"]] == [[1, 2], [[0, 3]], 4.0]
    assert [row.tolist() for row in result["ragged"]] == [[1], [2, 3]]
    assert result["string"] == b"text"
    with pytest.raises(safe_numpy.HandleError, match=r"`tree\['h'\]\[0\]` cannot become"):
        safe_numpy.to_numpy({"h": [tf.Variable(1.0).handle]})


def test_a_dense_result_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = tf.SparseTensor([[0, 0]], [1.0], (10**6, 10**6))
    with pytest.raises(safe_numpy.CompositeError, match=r"would take 3\.6 TiB"):
        safe_numpy.to_numpy(x)
    with safe_numpy.mode("permissive"):
        assert not hasattr(x, "numpy")
    monkeypatch.setenv("SAFE_NUMPY_MAX_BYTES", "8")
    with pytest.raises(safe_numpy.CompositeError, match="would take 16 B"):
        safe_numpy.to_numpy(tf.sparse.from_dense([[0.0, 1.0], [0.0, 0.0]]))


def test_uninstall_restores_every_class_exactly() -> None:
    out = run("""
        import tensorflow as tf, keras
        classes = [type(tf.constant(1)), *type(tf.constant(1)).__mro__, *type(tf.Variable(1)).__mro__,
                   tf.SparseTensor, tf.IndexedSlices, tf.experimental.Optional, keras.KerasTensor]
        classes = [c for c in classes if c is not object]
        before = [dict(vars(c)) for c in classes]
        import safe_numpy
        assert before != [dict(vars(c)) for c in classes]
        safe_numpy.uninstall()
        for c, b in zip(classes, before):
            after = dict(vars(c))
            assert list(after) == list(b) and all(after[k] is b[k] for k in b), c
        print("exact")
    """)
    assert out == "exact\n"


@pytest.mark.parametrize(
    "imports",
    ["safe_numpy, tensorflow", "tensorflow, safe_numpy", "safe_numpy, keras", "torch, safe_numpy, tensorflow",
     "tensorflow, torch, safe_numpy"],
)  # fmt: skip
def test_import_order_does_not_matter(imports: str) -> None:
    out = run(f"""
        import {imports}
        import tensorflow as tf
        try:
            tf.sparse.from_dense([[1]]).numpy()
        except AttributeError as error:
            print(type(error).__name__)
    """)
    assert out == "CompositeError\n"


@pytest.mark.parametrize("missing", ["torch", "tensorflow"])
def test_either_may_be_missing(missing: str) -> None:
    failing = "torch.ones(1, requires_grad=True)" if missing == "tensorflow" else "tf.sparse.from_dense([[1]])"
    present = "import torch" if missing == "tensorflow" else "import tensorflow as tf"
    out = run(f"""
        import sys
        sys.modules[{missing!r}] = None
        import safe_numpy
        {present}
        for _ in range(2):
            try:
                {failing}.numpy()
            except safe_numpy.ConversionError as error:
                print(safe_numpy.to_numpy([{failing}])[0].sum())
            safe_numpy.uninstall()
            safe_numpy.install()
    """)
    assert len(out.splitlines()) == 2


def test_inside_py_function_there_are_values() -> None:
    result = tf.function(lambda x: tf.py_function(lambda y: y.numpy() * 2, [x], tf.float32))(tf.constant(3.0))
    assert result.numpy() == 6


def test_keras_on_torch() -> None:
    out = run(
        """
        import sys, safe_numpy, keras
        x = keras.ops.ones(2)
        x.requires_grad_(True)
        try:
            x.numpy()
        except RuntimeError as error:
            print(type(error).__name__, "tensorflow" in sys.modules)
        try:
            keras.Input((2,)).numpy()
        except AttributeError as error:
            print(type(error).__name__)
        """,
        KERAS_BACKEND="torch",
    )
    assert out == "GradError False\nSymbolicError\n"


def test_the_table_has_every_dtype_of_the_build() -> None:
    assert find_dtypes() == {*DTYPES, "string", "variant", "resource"}
    assert str(make_eager("bfloat16").numpy().dtype) == "bfloat16"


OBJECTS = {
    "sparse": (lambda: tf.sparse.from_dense([[0, 1], [2, 0]]), [[0, 1], [2, 0]]),
    "slices": (lambda: tf.IndexedSlices(tf.constant([[2]]), tf.constant([1]), tf.constant([2, 1])), [[0], [2]]),
    "even ragged": (lambda: tf.ragged.constant([[1], [2]]), [[1], [2]]),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_asarray_of_a_composite_is_stock_with_a_warning(name: str) -> None:
    make, values = OBJECTS[name]
    x = make()
    with safe_numpy.mode("strict"), pytest.raises(safe_numpy.SilentError) as raised:
        np.asarray(x)
    fixed = eval(raised.value.diagnosis.fix, {"x": x, "np": np, "tf": tf})
    assert fixed.tolist() == values
    for mode in ("off", "explain"):
        with warnings.catch_warnings(record=True) as caught, safe_numpy.mode(mode):
            warnings.simplefilter("always")
            for _ in range(2):
                array = np.asarray(x)
        assert (array.dtype, array.shape, array[()] is x) == (np.dtype(object), (), True)
        assert [w.category for w in caught] == ([] if mode == "off" else [HazardWarning])
        assert all(w.filename == __file__ for w in caught)
        safe_numpy.uninstall()
        safe_numpy.install()
    with safe_numpy.mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        assert np.asarray(x).tolist() == values
        assert np.array(x, dtype=np.float64).tolist() == values
        assert np.add(x, 1).tolist() == (np.array(values) + 1).tolist()


@pytest.mark.filterwarnings("ignore::safe_numpy.HazardWarning")
@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize(
    "use",
    [
        tf.convert_to_tensor, tf.constant, lambda x: tf.stack([x, x]), lambda x: tf.function(lambda y: y)(x),
        tf.data.Dataset.from_tensors, lambda x: len(tf.nest.flatten(x)), lambda x: np.array([x, x])[0] is x,
        keras.ops.convert_to_tensor, lambda x: np.ones(2) * x, lambda x: np.asarray(x, dtype=float), np.sin,
    ],
)  # fmt: skip
def test_nobody_else_notices_the_new_door(name: str, use: Callable[[Any], Any]) -> None:
    def outcome() -> tuple[str, str]:
        try:
            result = use(OBJECTS[name][0]())
        except Exception as error:
            return type(error).__name__, str(error).split(" object at 0x")[0]
        return type(result).__name__, str(getattr(result, "shape", ""))

    guarded = outcome()
    safe_numpy.uninstall()
    assert guarded == outcome()


@pytest.mark.skipif(not hasattr(type(tf.constant(1)), "__dlpack__"), reason="EagerTensor of TensorFlow 2.16 has none")
def test_dlpack() -> None:
    assert np.from_dlpack(tf.constant([1.0, 2.0])).tolist() == [1, 2]
    out = run("""
        import numpy as np, tensorflow as tf, safe_numpy
        for x in (tf.constant("text"), tf.Variable(1.0).handle, tf.ragged.constant([[1]])._to_variant()):
            try:
                np.from_dlpack(x)
            except BufferError as error:
                print(str(error).splitlines()[0], isinstance(error, safe_numpy.HandleError))
    """)
    assert out.splitlines() == [
        f"a tensor of dtype {name} cannot be exported by DLPack {explained}"
        for name, explained in (("string", False), ("resource", True), ("variant", True))
    ], "stock ends the process"


def test_a_sharded_tensor_on_two_devices() -> None:
    out = run("""
        import safe_numpy, tensorflow as tf, numpy as np, warnings
        warnings.simplefilter("ignore")
        cpu = tf.config.list_physical_devices("CPU")[0]
        # would fail if our part had made a tensor by now
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from tensorflow.experimental import dtensor
        mesh = dtensor.create_mesh([("x", 2)], devices=["CPU:0", "CPU:1"])
        whole = tf.reshape(tf.range(8.0), (4, 2))
        copied = dtensor.copy_to_mesh(whole, dtensor.Layout.replicated(mesh, 2))
        x = dtensor.relayout(copied, dtensor.Layout(["x", dtensor.UNSHARDED], mesh))
        for door in (lambda: x.numpy(), lambda: np.asarray(x)):
            try:
                door()
            except tf.errors.UnimplementedError as error:
                print(isinstance(error, safe_numpy.ShardedError), "sharded over 2 devices" in str(error))
            with safe_numpy.mode("permissive"):
                print(np.array_equal(door(), whole))
        print(np.array_equal(eval(safe_numpy.diagnose(x).fix), whole), np.array_equal(safe_numpy.to_numpy(x), whole))
        print(safe_numpy.diagnose(copied).problems, np.array_equal(copied.numpy(), whole))
        dtensor.num_clients = lambda: 2
        with safe_numpy.mode("permissive"):
            try:
                x.numpy()
            except safe_numpy.ShardedError as error:
                print("sharded over 2 clients" in str(error), error.diagnosis.fix, len(error.diagnosis.problems))
    """)
    assert out == "True True\nTrue\nTrue True\nTrue\nTrue True\n() True\nTrue None 1\n"


def test_eager_tensors_are_said_to_be_copied() -> None:
    assert not safe_numpy.diagnose(tf.constant([1.0])).shares_memory


def test_a_conversion_that_fails_leaves_asarray_as_stock_has_it() -> None:
    x = tf.SparseTensor([[0, 0], [0, 0]], [1.0, 2.0], (2, 2))  # to_dense refuses repeated indices
    with safe_numpy.mode("permissive"), pytest.warns(HazardWarning):
        array = np.asarray(x)
    assert (array.dtype, array.shape, array[()] is x) == (np.dtype(object), (), True)
    with safe_numpy.mode("permissive"), pytest.raises(safe_numpy.CompositeError) as caught:
        x.numpy()
    assert caught.value.__notes__[0].startswith("safe_numpy tried to convert it: InvalidArgumentError")


def test_the_line_of_a_missing_attribute_is_corrected() -> None:
    sparse = tf.sparse.from_dense([[0.0, 1.0]])
    with pytest.raises(safe_numpy.CompositeError) as caught:
        sparse.numpy().sum()
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.shown == "tf.sparse.to_dense(tf.sparse.reorder(sparse)).numpy().sum()"
    with pytest.raises(safe_numpy.CompositeError) as caught:
        method = sparse.numpy  # noqa: F841
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.fix == "tf.sparse.to_dense(tf.sparse.reorder(sparse)).numpy()"
    assert caught.value.diagnosis.shown is None, "where the method is called, is not to be seen"


def test_inside_autograph_the_users_variable_is_named() -> None:
    @tf.function
    def scale(image: Any) -> Any:
        half = image / 2
        if tf.reduce_sum(half) > 0:
            return half.numpy()
        return half

    with pytest.raises(safe_numpy.SymbolicError) as caught:
        scale(tf.ones(2))
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.name == "half"
    assert caught.value.diagnosis.site is not None
    assert caught.value.diagnosis.site.source == "return half.numpy()"


def test_why_of_a_dataset() -> None:
    numbers = tf.data.Dataset.range(3)
    with pytest.raises(AttributeError) as caught:
        numbers.numpy()
    text = str(safe_numpy.why(caught.value))
    assert "which gives tensors when it is iterated" in " ".join(text.split())
    assert "fix   np.array(list(numbers.as_numpy_iterator()))" in text


def test_keras_on_torch_keeps_the_explanation(tmp_path: Path) -> None:
    out = run(
        """
        import safe_numpy, torch, keras, numpy as np
        class Doubling(keras.Layer):
            def call(self, images):
                return np.asarray(images) * 2
        images = torch.ones(2, 3, requires_grad=True)
        assert np.mean(keras.ops.convert_to_numpy(images.bfloat16())) == 1
        try:
            Doubling()(images)
        except safe_numpy.ConversionError as error:  # Keras has built it anew, from its text
            lines = [line.strip() for line in str(error).splitlines()]
            print(*(line for line in lines if "fix  " in line or "line  " in line), sep="\\n")
        """,
        KERAS_BACKEND="torch",
        KERAS_HOME=str(tmp_path),
    )
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "line <string>:5 return np.asarray(images) * 2",
        "fix return np.asarray(images.detach().numpy()) * 2",
    ]
