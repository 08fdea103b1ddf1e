"""What the source says of an instruction: which expression it is, in which function, and what names stand for.

Functions are known by the names under which people use them; no framework is looked at.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safe_numpy.callsite.source import read_around
from safe_numpy.diagnosis.causes import parse_code
from safe_numpy.diagnosis.facts import Site

_MAKERS = frozenset(
    {"from_numpy", "as_tensor", "tensor", "from_dlpack", "new_tensor", "convert_to_tensor", "constant", "frombuffer"}
    | {"Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "Variable"}
)
"""functions that make tensors of arrays, whatever module they are taken from"""

HELPERS = re.compile(r"(?!is_|isinstance).*(torch|tensor)(?!board).*", re.IGNORECASE)
"""names of people's own such functions: ``to_torch``, ``numpy_to_tensor``"""

_ONLY_TORCH = frozenset({"asarray", "full"})
"""names that NumPy's functions have too"""

TORCH_ROOTS = frozenset({"torch", "F", "nn"})
_NUMPY_ROOTS = frozenset({"np", "numpy", "math", "scipy", "sp", "optimize"})
ROOTS = TORCH_ROOTS | _NUMPY_ROOTS
"""modules, by the names that people give them"""

_WRAPPED = frozenset({"clip", "round", "around", "cumsum", "cumprod"})
"""NumPy's functions, beside the ufuncs, that hand their array to ``__array_wrap__`` of what they were given
(https://github.com/numpy/numpy/blob/v2.4.0/numpy/_core/fromnumeric.py#L35-L67)"""

KEEPERS = frozenset({"append", "appendleft", "extend", "extendleft", "add", "insert", "update", "put", "setdefault"})
"""methods by which containers take something in"""

_LEARNERS = frozenset({"backward", "manual_backward", "minimize", "gradient"})
"""methods that compute gradients of what they are called on, or given"""

WRITERS = frozenset(
    {"save", "manual_seed", "is_tensor", "device", "Size", "arange", "zeros", "ones", "empty", "rand"}
    | {"LongTensor", "IntTensor", "ShortTensor", "ByteTensor", "BoolTensor"}
)
"""torch's functions that take anything, or numbers; of integers no gradient is computed"""

FORWARD = frozenset({"forward", "__call__", "training_step"})
"""methods whose result is learnt from"""

ONLY_TENSORS = re.compile(
    r"abs|add_?|clamp_?|contiguous|cpu|cuda|detach_?|div|double|exp|expand|float|half|log|log_softmax|long|matmul|mm|mul_?"
    r"|permute|pow|register_hook|relu|requires_grad_|retain_grad|sigmoid|softmax|sqrt|square|sub|tanh|to|type_as"
    r"|unsqueeze_?|view_as"
)
"""methods that arrays do not have; ``view`` they have"""

READERS = frozenset({"item", "tolist", "numpy", "float", "int", "bool"})
"""what makes numbers or arrays of a tensor"""

CASTS = frozenset({"float", "int", "bool"})
"""functions that make a number, and methods that make a tensor"""

FORGETTERS = frozenset(
    {"len", "isinstance", "type", "hasattr", "id", "range", "callable"}
    | {"sample", "choice", "choices"}  # what is drawn from a replay buffer is data
    | {"argmax", "argmin", "argsort", "argpartition", "searchsorted", "digitize", "nonzero", "flatnonzero"}
    | {"kneighbors", "linear_sum_assignment", "unravel_index", "bincount", "rint", "floor", "ceil", "sign"}
    | {"minimize", "minimize_scalar", "curve_fit", "least_squares", "root", "root_scalar", "brentq", "fmin", "fsolve"}
)
"""functions whose result does not hold the value, or lets no gradient pass"""

_DRAWS = re.compile(r"rand\w*|sample|choices?|permutation|integers|shuffle|multinomial")

FACTS = frozenset({"shape", "dtype", "device", "ndim", "requires_grad", "is_leaf", "grad_fn"})
"""attributes that say something about a value, and do not hold it"""

_SHOWERS = re.compile(
    r"print|pprint|display|str|repr|format|info|debug|warning|error|critical|exception|\w*plot\w*|hist\w*|imshow|scatter"
    r"|bar|show|save\w*|dump\w*|write\w*|set_postfix\w*|set_description\w*|report\w*"
    r"|add_(scalar|histogram|image|figure|text|graph|embedding)\w*"
    # logging, and not the mathematics: np.log, log_softmax, log_prob
    r"|log(?!\d|1p|_?soft|_?sig|_?prob|_?cosh|sumexp|addexp|it)\w*"
)
"""the last part of the names of functions that show or store something"""

_SHOWING_ROOTS = frozenset({"plt", "ax", "axes", "sns", "wandb", "writer", "logger", "logging", "mlflow", "pbar"})

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
_MOST_TEXT = 150_000
"""characters of a file, or of a function, beyond which nobody is kept waiting for where a value goes"""

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the source a line stands."""

    scopes: Sequence[ast.AST]
    """the functions and classes around it, the module first"""
    statement: ast.stmt | None
    node: ast.expr | None
    """the very expression; None: it is somewhere in the statement"""


def name_path(node: ast.AST) -> str:
    """Return ``x``, or ``self.x.y``; empty for what has no such name."""
    if isinstance(node, ast.Name):
        return node.id
    owner = name_path(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{owner}.{node.attr}" if isinstance(node, ast.Attribute) and owner else ""


def list_own_variables(function: Function) -> set[str]:
    """Return the variables that are a function's own."""
    outer = {n for s in walk_statements(function) if isinstance(s, (ast.Global, ast.Nonlocal)) for n in s.names}
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return (stored | {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}) - outer


def list_read_variables(function: Function) -> set[str]:
    """Return the variables, and the members such as ``self.x``, that a function reads."""
    return {name_path(n) for n in ast.walk(function) if isinstance(n, (ast.Name, ast.Attribute))}


def find_place(site: Site, trees: dict[str, ast.Module]) -> Place | None:
    """Return where `site` stands; None where that is not certain. Parses each text once, into `trees`."""
    text = read_around(site.filename, site.lineno)
    if len(text) > _MOST_TEXT:
        return None
    if text not in trees:
        try:
            trees[text] = parse_code(text)
        except (SyntaxError, ValueError):
            return None
    # where the instruction stands tells several statements on one line apart
    places = itertools.islice(site.code.co_positions(), site.lasti // 2, None) if site.code else iter(())
    lineno, end_lineno, column, end_column = next(places, (None, None, None, None))
    scopes: list[ast.AST] = [trees[text]]
    while True:
        statements = list(walk_statements(scopes[-1]))
        if lineno is None or end_lineno is None or column is None or end_column is None:  # `-X no_debug_ranges`
            around = [s for s in statements if s.lineno <= site.lineno <= (s.end_lineno or s.lineno)]
            if [s.lineno for s in around].count(site.lineno) > 1:
                return None
        else:
            around = [s for s in statements if _is_around(s, lineno, column)]
        innermost = max(around, key=lambda s: (s.lineno, s.col_offset), default=None)
        if isinstance(innermost, SCOPES):
            scopes.append(innermost)
        elif innermost is None:
            return None
        elif lineno is None or end_lineno is None or column is None or end_column is None:
            return None if site.function == "<lambda>" else Place(scopes, innermost, None)
        else:
            return _find_expression(scopes, innermost, (lineno, column), (end_lineno, end_column))


def _find_expression(scopes: list[ast.AST], statement: ast.stmt, start: tuple[int, int], end: tuple[int, int]) -> Place:
    """Find the smallest expression around an instruction; a lambda around that is a function."""
    around = [n for n in _walk_head(statement) if isinstance(n, ast.expr) and _start(n) <= start and end <= _end(n)]
    found = around[-1] if around else None  # each is inside of the one before
    scopes = [*scopes, *(node for node in around[:-1] if isinstance(node, ast.Lambda))]
    return Place(scopes, statement, found)


def _start(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _is_around(statement: ast.stmt, lineno: int, column: int) -> bool:
    return _start(statement) <= (lineno, column) < _end(statement)


def walk_statements(scope: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function, those in its loops and branches too, but not those of functions within."""
    for field in _BODIES:
        children = getattr(scope, field, ())
        for child in children if isinstance(children, list) else ():
            if isinstance(child, ast.stmt):
                yield child
            if not isinstance(child, SCOPES):
                yield from walk_statements(child)


def _walk_head(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement, the outer first, without the statements inside of it."""
    pending = deque([node])
    while pending:
        current = pending.popleft()
        yield current
        pending += [
            child
            for child in ast.iter_child_nodes(current)
            if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]


def computes_gradient(path: str, name: str, root: str) -> bool:
    """Tell whether a function computes gradients of what it is called on, or given.

    Args:
        path: the whole of its name: ``torch.autograd.grad``.
        name: the last part of it.
        root: the first part.
    """
    is_method = name in _LEARNERS and name != path and root not in _NUMPY_ROOTS
    return is_method or path in ("grad", "autograd.grad", "torch.autograd.grad")


def is_showing(name: str, root: str, is_given: bool) -> bool:
    """Tell whether a function shows or stores a value and is done with it; `is_given`: as an argument."""
    if root in _SHOWING_ROOTS:
        return True
    if root in _NUMPY_ROOTS or root in TORCH_ROOTS:
        return name.startswith("save")
    return _SHOWERS.fullmatch(name) is not None and (is_given or name not in ("log", "format"))


def makes_tensor(name: str, root: str = "torch") -> bool:
    """Tell whether a function makes a tensor of an array; it is a framework's, unless `root` says otherwise."""
    return name in _MAKERS or (root == "torch" and name in _ONLY_TORCH)


def stacks_tensors(name: str, root: str) -> bool:
    """Tell whether a function makes one tensor of many: what it is given has become tensors, by whatever function."""
    return root == "torch" and name == "stack"


def is_wrapped(node: ast.expr) -> bool:
    """Tell whether NumPy makes a tensor again of the array that it asks one for: ``np.tanh(x)``, ``x * array``.

    Its ufuncs do, by the tensor's ``__array_wrap__``; operators of arrays are ufuncs.
    """
    if isinstance(node, (ast.BinOp, ast.UnaryOp)):
        return True
    path = name_path(node.func) if isinstance(node, ast.Call) else ""
    root, _, name = path.partition(".")
    numpy = sys.modules.get("numpy")
    if root not in ("np", "numpy") or numpy is None:
        return False
    return name in _WRAPPED or isinstance(vars(numpy).get(name), numpy.ufunc)


def is_drawn(node: ast.expr, drawn: set[str]) -> bool:
    """Tell whether an expression chooses at random, by itself or by variables that hold such a choice."""
    for n in ast.walk(node):
        name = getattr(n.func, "attr", None) or name_path(n.func) if isinstance(n, ast.Call) else ""
        if _DRAWS.fullmatch(name) or (isinstance(n, ast.Name) and n.id in drawn):
            return True
    return False


def list_drawn(target: ast.expr, value: ast.expr, drawn: set[str]) -> set[str]:
    """Return the variables in `target` if they are given such a choice."""
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if is_drawn(value, drawn) else set()
