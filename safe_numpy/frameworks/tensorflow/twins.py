"""Functions that NumPy and TensorFlow both have, by which traced code computes with what has no value yet.

https://www.tensorflow.org/api_docs/python/tf/math. Each row is tried against NumPy on
values; where TensorFlow has none of the same meaning, `tf.experimental.numpy` stands in.
"""

from __future__ import annotations

from safe_numpy.diagnosis.framework import Template, Twins, template_of_one

_SAME = (
    *("exp", "sqrt", "square", "abs", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign", "floor", "round"),
    *("maximum", "minimum", "add", "subtract", "multiply", "divide", "matmul", "einsum", "stack"),
    *("squeeze", "zeros_like", "ones_like", "argsort", "sort", "tile", "roll", "reshape", "expand_dims"),
    *("ones", "zeros", "linspace", "logical_and", "logical_or", "logical_not", "equal", "not_equal", "greater"),
    *("greater_equal", "less", "less_equal"),
)
_MATH = ("log", "log1p", "expm1", "ceil", "rint", "reciprocal")
_REDUCED = ("sum", "mean", "max", "min", "prod")
_INVERSE = {f"arc{name}": f"tf.a{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")}
_FLOATS = (
    *("exp", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "log1p", "expm1", "reciprocal"),
    *("mean", "std", "var", "divide", "true_divide", *_INVERSE),
)
_TENSOR = "tf.experimental.numpy."
_NEAREST = (
    *("any", "all", "diff", "ptp", "average", "outer", "inner", "nanmean", "nansum", "trace", "diag", "tril"),
    *("triu", "log2", "log10", "exp2", "logaddexp", "vstack", "hstack", "dstack"),
    *("meshgrid", "swapaxes", "moveaxis", "repeat", "fliplr", "flipud", "rot90", "atleast_1d"),
    *("atleast_2d", "ravel", "split", "kron", "count_nonzero", "isclose", "allclose", "heaviside", "sinc"),
    *("deg2rad", "rad2deg", "polyval", "fix"),
    *("power", "mod", "remainder", "floor_divide", "amax", "amin", "size", "take", "full_like", "broadcast_to"),
    *("vander", "nonzero", "compress"),
)
_PYTHON = {
    "builtins.float": "tf.cast({x}, tf.float32)",
    "builtins.int": "tf.cast({x}, tf.int32)",
    "builtins.round": "tf.round({x})",
    "builtins.len": "tf.shape({x})[0]",
}
_MATHS = ("sqrt", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "fabs", "log", "ceil", "log1p", "expm1")


TWINS = Twins(
    functions={name: f"{_TENSOR}{name}" for name in _NEAREST}
    | {name: f"tf.{name}" for name in _SAME}
    | {name: f"tf.math.{name}" for name in _MATH}
    | {name: f"tf.reduce_{name}" for name in _REDUCED}
    | _INVERSE
    | {"absolute": "tf.abs", "negative": "tf.negative", "power": "tf.pow", "true_divide": "tf.divide"}
    | {"std": "tf.math.reduce_std", "var": "tf.math.reduce_variance", "amax": "tf.reduce_max", "amin": "tf.reduce_min"}
    | {"isnan": "tf.math.is_nan", "isfinite": "tf.math.is_finite", "isinf": "tf.math.is_inf"}
    | {"clip": "tf.clip_by_value", "linalg.norm": "tf.norm", "linalg.inv": "tf.linalg.inv"}
    | {"linalg.det": "tf.linalg.det", "transpose": "tf.transpose"}
    | {"array": "", "asarray": "", "asanyarray": "", "copy": ""},
    joining=frozenset({"stack", "vstack", "hstack", "dstack", "concatenate"}),
    bounds={},
    keywords={
        "axis": "axis",
        "keepdims": "keepdims",
        "ord": "ord",
        "a_min": "clip_value_min",
        "a_max": "clip_value_max",
    },
    stack="{x}",
    from_array="{x}",
    from_any="{x}",
    like="tf.cast({x}, {y}.dtype)",
    templates={name: template_of_one(code) for name, code in _PYTHON.items()}
    | {f"math.{name}": template_of_one(f"tf.math.{name.replace('fabs', 'abs')}({{x}})") for name in _MATHS}
    | {
        "argmax": Template(
            ("a", "axis"), {"a": "tf.argmax(tf.reshape({a}, [-1]))", "a axis": "tf.argmax({a}, {axis})"}
        ),
        "argmin": Template(
            ("a", "axis"), {"a": "tf.argmin(tf.reshape({a}, [-1]))", "a axis": "tf.argmin({a}, {axis})"}
        ),
        "concatenate": Template(
            ("arrays", "axis"), {"arrays": "tf.concat({arrays}, 0)", "arrays axis": "tf.concat({arrays}, {axis})"}
        ),
        "where": Template(
            ("condition", "x", "y"),
            {
                "condition": "tf.unstack(tf.where({condition}), axis=1)",
                "condition x y": "tf.where({condition}, {x}, {y})",
            },
        ),
        "dot": Template(("a", "b"), {"a b": "tf.tensordot({a}, {b}, 1)"}),
        "cumsum": Template(
            ("a", "axis"),
            {"a": "tf.cumsum(tf.reshape({a}, [-1]))", "a axis": "tf.cumsum({a}, {axis})"},
        ),
        "cumprod": Template(
            ("a", "axis"),
            {"a": "tf.math.cumprod(tf.reshape({a}, [-1]))", "a axis": "tf.math.cumprod({a}, {axis})"},
        ),
        "eye": template_of_one("tf.eye({x})"),
        "identity": template_of_one("tf.eye({x})"),
        "arange": Template(
            ("start", "stop", "step"),
            {
                "start": "tf.range({start})",
                "start stop": "tf.range({start}, {stop})",
                "start stop step": "tf.range({start}, {stop}, {step})",
            },
        ),
        "pad": Template(
            ("array", "pad_width", "mode"),
            {
                "array pad_width": "tf.pad({array}, {pad_width})",
                "array pad_width mode": "tf.pad({array}, {pad_width}, {mode})",
            },
        ),
        "random.randint": Template(
            ("low", "high", "size"),
            {
                "low": "tf.random.uniform((), 0, {low}, tf.int32)",
                "low high": "tf.random.uniform((), {low}, {high}, tf.int32)",
                "low size": "tf.random.uniform({size}, 0, {low}, tf.int32)",
                "low high size": "tf.random.uniform({size}, {low}, {high}, tf.int32)",
            },
        ),
        "random.uniform": Template(
            ("low", "high", "size"),
            {
                "low high": "tf.random.uniform((), {low}, {high})",
                "low high size": "tf.random.uniform({size}, {low}, {high})",
            },
        ),
        "random.normal": Template(
            ("loc", "scale", "size"),
            {
                "loc scale": "tf.random.normal((), {loc}, {scale})",
                "loc scale size": "tf.random.normal({size}, {loc}, {scale})",
            },
        ),
        "full": Template(("shape", "value"), {"shape value": "tf.fill({shape}, {value})"}),
        "flatten": template_of_one("tf.reshape({x}, [-1])"),
        "item": template_of_one("{x}"),
        "T": template_of_one("tf.transpose({x})"),
        "astype": Template(("x", "dtype"), {"x dtype": "tf.cast({x}, {dtype})"}),
    },
    dtype="tf.{name}",
    floats=frozenset(_FLOATS),
    of_integers="tf.cast({x}, tf.float32)",
    constant="tf.constant({x})",
    unstack="tf.unstack({x})",
    gather="tf.gather({x}, {index})",
    show="tf.print",
    call="tf.py_function(lambda {names}: {code}, [{values}], Tout={dtype})",
    number="tf.ensure_shape({x}, ())",
)
"""for code that TensorFlow traces"""
