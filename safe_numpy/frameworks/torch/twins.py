"""Functions that NumPy and PyTorch both have: where a value is learnt from, they keep the tensor that it is.

Compared by https://docs.pytorch.org/docs/stable/torch.html; those whose results differ by default are left out, such as
`std`, `var` and `median`.
"""

from __future__ import annotations

from safe_numpy.diagnosis.framework import Twins

_SAME = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "abs", "sin", "cos", "tan", "arcsin"),
    *("arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sign", "floor", "ceil"),
    *("round", "maximum", "minimum", "add", "subtract", "multiply", "divide", "true_divide", "matmul", "outer"),
    *("inner", "where", "isnan", "isfinite", "negative", "reciprocal", "logaddexp", "hypot", "sum", "mean", "prod"),
    *("cumsum", "cumprod", "argmax", "argmin", "clip", "dot", "stack", "vstack", "hstack", "dstack", "column_stack"),
    *("reshape", "squeeze", "flip", "roll", "trace", "diag", "tril", "triu", "einsum", "fmax", "fmin"),
)

TWINS = Twins(
    functions={name: f"torch.{name}" for name in _SAME}
    | {
        "absolute": "torch.abs",
        "power": "torch.pow",
        "concatenate": "torch.cat",
        "max": "torch.amax",
        "min": "torch.amin",
    }
    | {"amax": "torch.amax", "amin": "torch.amin", "expand_dims": "torch.unsqueeze", "dot": "torch.matmul"}
    | {"linalg.norm": "torch.linalg.norm", "linalg.inv": "torch.linalg.inv", "linalg.det": "torch.linalg.det"}
    | {"linalg.svd": "torch.linalg.svd", "linalg.solve": "torch.linalg.solve", "linalg.eigh": "torch.linalg.eigh"}
    | {"array": "", "asarray": "", "asanyarray": ""},
    joining=frozenset({"stack", "vstack", "hstack", "dstack", "column_stack", "concatenate"}),
    bounds={"maximum": "torch.clamp({x}, min={bound})", "minimum": "torch.clamp({x}, max={bound})"},
    keywords={
        "axis": "dim",
        "keepdims": "keepdim",
        "a_min": "min",
        "a_max": "max",
        "ord": "ord",
        "full_matrices": "full_matrices",
    },
    stack="torch.stack({x})",
    from_array="torch.from_numpy({x})",
    from_any="torch.as_tensor({x})",
    like="{x}.to({y})",
)
