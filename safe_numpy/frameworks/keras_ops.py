"""Functions of NumPy's that keras.ops has too, for what is built of Keras' tensors and inside its layers and losses.

https://keras.io/api/ops/numpy/. Their arguments have NumPy's names, but for the bounds of `clip`.
"""

from __future__ import annotations

from safe_numpy.diagnosis.framework import Template, Twins, template_of_one

_OPS = (
    *("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "abs", "absolute", "sin", "cos"),
    *("tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("sign", "floor", "ceil", "round", "maximum", "minimum", "add", "subtract", "multiply", "divide"),
    *("true_divide", "matmul", "dot", "outer", "inner", "where", "isnan", "isfinite", "isinf", "isclose"),
    *("negative", "reciprocal", "logaddexp", "power", "mod", "sum", "mean", "prod", "max", "min", "amax"),
    *("amin", "std", "var", "any", "all", "cumsum", "cumprod", "argmax", "argmin", "argsort", "sort", "clip"),
    *("stack", "vstack", "hstack", "concatenate", "expand_dims", "squeeze", "reshape", "transpose", "swapaxes"),
    *("moveaxis", "tile", "repeat", "roll", "trace", "diag", "tril", "triu", "einsum", "tensordot"),
    *("zeros_like", "ones_like", "full_like", "linspace", "arange", "pad", "take", "diff", "take_along_axis"),
    *("median", "quantile", "average", "count_nonzero", "logical_and", "logical_or", "logical_not", "equal"),
    *("not_equal", "greater", "greater_equal", "less", "less_equal", "meshgrid", "split", "nonzero", "ravel"),
    *("floor_divide", "digitize", "cross", "broadcast_to", "nan_to_num", "ones", "zeros", "full", "eye"),
    *("trunc", "norm"),
)

_MATHS = ("sqrt", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "fabs", "log", "ceil", "log1p", "expm1")


TWINS = Twins(
    functions={name: f"keras.ops.{name}" for name in _OPS}
    | {"linalg.norm": "keras.ops.norm", "linalg.inv": "keras.ops.inv", "linalg.det": "keras.ops.det"}
    | {"linalg.solve": "keras.ops.solve", "array": "", "asarray": "", "asanyarray": "", "copy": ""},
    keywords={"axis": "axis", "keepdims": "keepdims", "a_min": "x_min", "a_max": "x_max", "ord": "ord", "axes": "axes"},
    joining=frozenset({"stack", "vstack", "hstack", "concatenate"}),
    bounds={},
    stack="keras.ops.stack({x})",
    from_array="{x}",
    from_any="{x}",
    like="keras.ops.cast({x}, {y}.dtype)",
    templates={
        "builtins.float": template_of_one('keras.ops.cast({x}, "float32")'),
        "builtins.int": template_of_one('keras.ops.cast({x}, "int32")'),
        "builtins.round": template_of_one("keras.ops.round({x})"),
        "builtins.len": template_of_one("keras.ops.shape({x})[0]"),
        "flatten": template_of_one("keras.ops.reshape({x}, [-1])"),
        "item": template_of_one("{x}"),
        "T": template_of_one("keras.ops.transpose({x})"),
        "astype": Template(("x", "dtype"), {"x dtype": "keras.ops.cast({x}, {dtype})"}),
    }
    | {f"math.{name}": template_of_one(f"keras.ops.{name.replace('fabs', 'abs')}({{x}})") for name in _MATHS},
    dtype='"{name}"',
    constant="keras.ops.convert_to_tensor({x})",
    unstack="keras.ops.unstack({x})",
    gather="keras.ops.take({x}, {index}, axis=0)",
    show="tf.print",
    call="tf.py_function(lambda {names}: {code}, [{values}], Tout={dtype})",
    number="tf.ensure_shape({x}, ())",
)
