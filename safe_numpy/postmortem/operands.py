"""Rules of `why`: arrays beside tensors, and in their stead."""

from __future__ import annotations

import ast
import sys
from typing import Any, NamedTuple

from safe_numpy.callsite.evaluator import Guess, get_home
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import uses
from safe_numpy.postmortem.containers import explain_list, is_torchs, open_lists
from safe_numpy.postmortem.error_site import ErrorSite, Finding

_FOR_INTEGERS = frozenset({"one_hot", "cross_entropy", "nll_loss", "embedding", "Embedding", "gather", "bincount"})
"""functions and modules of PyTorch that want int64, of their last argument at least"""

_SIZES = frozenset({"size", "shape", "dim", "dims", "kernel_size", "padding", "stride", "output_size", "scale_factor"})
"""parameters that are no tensors"""

_OTHER_MODULES = ("torch.utils", "torch.nn.utils", "torch.optim", "torch.onnx", "torch.jit", "torch.serialization")
LOOKED_AT = "for a value to look at: no gradient goes through it"
_OF_SIZES = frozenset(
    {"zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace", "eye", "Size"}
    | {
        "view",
        "reshape",
        "expand",
        "repeat",
        "permute",
        "transpose",
        "size",
        "split",
        "unfold",
        "new_zeros",
        "new_ones",
    }
)
"""functions and methods of PyTorch that take sizes"""


class Sample(NamedTuple):
    """What is known of an expression that gives an array."""

    array: Any
    """an array of its dtype; None: that is not known"""


def guess_array(line: ErrorSite, node: ast.expr) -> Sample | None:
    """Tell whether an expression gives an array, as its value or its form says."""
    value = line.find_value(node, site)
    if value is not site:
        return Sample(value) if site.is_array(value) else None
    if isinstance(node, ast.Compare) and line.guess(node) is None:
        is_one = any(guess_array(line, n) is not None for n in (node.left, *node.comparators))
        return Sample(sys.modules["numpy"].zeros(0, bool)) if is_one else None
    if isinstance(node, ast.UnaryOp):
        return guess_array(line, node.operand)
    if isinstance(node, ast.Subscript):
        return guess_array(line, node.value)
    if isinstance(node, ast.BinOp):
        if line.guess(node) is not None:
            return None
        found = [s for s in (guess_array(line, node.left), guess_array(line, node.right)) if s is not None]
        return found[0] if found else None
    if not isinstance(node, ast.Call) or line.guess(node) is not None:
        return None
    if isinstance(node.func, ast.Attribute) and guess_array(line, node.func.value) is not None:
        return Sample(None) if node.func.attr not in ("item", "tolist", "tobytes") else None
    is_numpys = get_home(line.find_value(node.func)) == "numpy"
    return Sample(None) if is_numpys and not any(line.guess(n) for n in node.args) else None


def write_tensor(line: ErrorSite, node: ast.expr, sample: Sample, beside: list[ast.expr], guess: Guess) -> str | None:
    """Return the code that makes a tensor of an array, of the dtype and on the device of the tensors beside it."""
    text, array = line.find_text(node), sample.array
    if array is not None and array.dtype.kind not in "biufc":
        return None
    if array is not None and any(stride < 0 for stride in array.strides):
        text = f"{put_in_parentheses(text)}.copy()"
    made = f"torch.from_numpy({text})"
    if not guess.tensors or not all(site.is_of("torch", t) for t in guess.tensors):
        return None if guess.tensors else made
    like: Any = guess.tensors[0]
    is_wider = array is None or (array.dtype.kind == "f" and str(like.dtype) != f"torch.{array.dtype}")
    is_wider = is_wider and (like.is_floating_point() or like.is_complex())
    if not is_wider and like.device.type == "cpu":
        return made
    for other in (n for b in beside for n in ast.walk(b)):
        if not isinstance(other, (ast.Name, ast.Attribute)):
            continue
        value: Any = line.find_value(other)
        if site.is_tensor(value) and value.dtype == like.dtype and value.device == like.device:
            return f"{made}.to({line.find_text(other)})"
    if like.device.type == "cpu" and str(like.dtype) == "torch.float32":
        return f"{made}.float()"
    return f"{made}.to({str(like.device)!r}, {like.dtype})"


class Clash(NamedTuple):
    """An array and a tensor in one operation."""

    array: ast.expr
    sample: Sample
    tensor: ast.expr
    guess: Guess


def find_operator(error: BaseException, line: ErrorSite) -> Finding | None:
    """``array + tensor``: neither library takes the other's part."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not (line.is_direct or line.site.library):
        return None
    first = _find_clash(line, node, str(error))
    if first is None:
        return None
    text, array = line.find_text(first.tensor), line.find_text(first.array)
    headline = f"`{array}` is an array and `{text}` a tensor: NumPy and the tensor's framework do not compute together."
    clashes = [first, *(c for n in walk_scope(line.running.statement) if n is not node and (c := _find_clash(line, n)))]
    converted = line.fix({c.tensor: site.write_guess(line.find_text(c.tensor), c.guess) for c in clashes})
    about = site.describe_guess(text, first.guess)
    is_part = any(map(site.requires_grad, (c.guess for c in clashes))) and not is_looked_at(line, node)
    if not is_part and not goes_to_torch(line, node):
        stays = f"to stay with tensors, convert the array instead: `torch.from_numpy({array})`"
        return Finding(headline, converted, about, stays if all(map(is_torchs, first.guess.tensors)) else "")
    return _keep_tensors(line, headline, [c._replace(array=c.array) for c in clashes], converted)._replace(note=about)


def _find_clash(line: ErrorSite, node: ast.AST, said: str = "") -> Clash | None:
    """Return the array and the tensor that an operation has side by side."""
    sides = _get_sides(node)
    if len(sides) != 2:
        return None
    guesses = [line.guess(side) for side in sides]
    for i in (0, 1):
        guess, other = guesses[i], sides[1 - i]
        if guess is None or guesses[1 - i] is not None:
            continue
        sample = guess_array(line, other)
        # what cannot be evaluated is an array by the error's word, which the tensor beside it confirms
        is_said = "'numpy.ndarray'" in said or said.startswith("Concatenation operation is not implemented")
        if sample is None and is_said and not site.is_known(line, other):
            sample = Sample(None)
        if sample is not None:
            return Clash(other, sample, sides[i], guess)
    return None


def _get_sides(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def is_looked_at(line: ErrorSite, node: ast.AST) -> bool:
    """Tell whether the value is only looked at: in a plot, a table, a number; or goes on to NumPy, and to no tensor."""
    parent: Any = node
    while not isinstance(parent, ast.stmt):
        parent = parent.parent
        if isinstance(parent, ast.FormattedValue):
            return True
        if not isinstance(parent, ast.Call):
            continue
        owner = parent.func.value if isinstance(parent.func, ast.Attribute) else None
        if isinstance(owner, ast.Name) and getattr(parent.func, "attr", "") in ("append", "extend"):
            return is_array_later(line, owner.id)
        function = line.find_value(parent.func)
        if function in (float, int, print, round, str) or uses.is_librarys(get_home(function)):
            return True
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    return isinstance(target, ast.Name) and is_array_later(line, target.id)


def is_array_later(line: ErrorSite, name: str) -> bool:
    """Tell whether NumPy or a library goes on with a variable, and no tensor does."""
    takers = uses.find_takers(line.find_scope(), name, line.evaluator, line.running.statement)
    return "array" in takers and "tensor" not in takers | line.find_kinds(name)


def _keep_tensors(line: ErrorSite, headline: str, clashes: list[Clash], converted: str | None) -> Finding:
    """Say how the array becomes a tensor, since autograd is to go through: here, or where the array is made."""
    when = LOOKED_AT
    more = "convert the arrays where they are made: `torch.from_numpy(...)`"
    if isinstance(line.get_node(), ast.AugAssign) or goes_to_numpy(line):
        return Finding(headline, alternative=converted, when=when, more=more)
    caller = _find_better_caller(line, [c.array for c in clashes])
    if caller is not None:
        return Finding(headline, caller[0] or None, more=more if not caller[0] else "", place=caller[1])
    names = {c.array.id for c in clashes if isinstance(c.array, ast.Name)}
    made = [_find_making(line, name, names, c) for name in names for c in clashes if _is_named(c.array, name)]
    if any(m is _ELSEWHERE for m in made):
        return Finding(headline, alternative=converted, when=when, more=more)
    places = [m for m in made if isinstance(m, tuple)]
    if places:
        is_one = len({p[1] for p in places}) == 1 and len(places) == len(clashes)
        fix, place = places[0] if is_one else (None, "")
        return Finding(headline, fix, place=place, alternative=None, more="" if is_one else more)
    fixes = {c.array: write_tensor(line, c.array, c.sample, [c.tensor], c.guess) for c in clashes}
    if None in fixes.values():
        return Finding(headline, alternative=converted, when=when, more=more)
    return Finding(headline, line.fix(fixes), alternative=converted, when=when)


_ELSEWHERE = object()
"""where a variable is made is the place to mend, and how is not certain"""


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _find_making(line: ErrorSite, name: str, names: set[str], clash: Clash) -> Any:
    """Return the corrected statement that makes an array, if its other uses want a tensor; None if this one alone."""
    scope = line.find_scope()
    if _has_siblings(line, scope, name, names):
        return _ELSEWHERE
    kinds = line.find_kinds(name)
    if not kinds & {"one", "tensor"}:
        return None
    bindings = uses.find_bindings(scope, name)
    if len(bindings) != 1 or bindings[0].value is None or "array" in kinds:
        return _ELSEWHERE
    value = bindings[0].value
    text = write_tensor(line, value, clash.sample, [], clash.guess)
    fix = line.fix_elsewhere(bindings[0].statement, {value: text})
    return (fix, line.name_statement(bindings[0].statement)) if fix else _ELSEWHERE


def _has_siblings(line: ErrorSite, scope: ast.AST, name: str, mended: set[str] | None = None) -> bool:
    """Tell whether other arrays came together with this one, and are used as tensors: they need the same.

    Args:
        mended: those that are converted in the line itself.
    """
    if uses.is_parameter(scope, name):
        others = [n.arg for n in ast.walk(scope.args) if isinstance(n, ast.arg)]  # type: ignore[attr-defined]
    else:
        statements = [b.statement for b in uses.find_bindings(scope, name) if b.value is None]
        others = [n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)]
    for other in {*others} - {name, *(mended or ())}:
        is_array = site.is_array(line.find_value(ast.Name(other, ast.Load())))
        if is_array and uses.list_kinds(scope, other, line.evaluator) & {"one", "tensor"}:
            return True
    return False


def goes_to_torch(line: ErrorSite, node: ast.AST) -> bool:
    """Tell whether a framework's function, or another tensor, is to take the value: here, or by its variable."""
    parent: Any = node
    while not isinstance(parent, ast.stmt):
        inner, parent = parent, parent.parent
        if isinstance(parent, ast.Call) and parent.func is not inner:
            if get_home(line.find_value(parent.func)) == "numpy" or uses.is_librarys(
                get_home(line.find_value(parent.func))
            ):
                return False
            if line.evaluator.is_framework_function(parent.func) or line.evaluator.is_model(parent.func):
                return True
        if isinstance(parent, ast.BinOp):
            other = parent.right if parent.left is inner else parent.left
            if line.guess(other) is not None:
                return True
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    if not isinstance(target, ast.Name):
        return False
    takers = uses.find_takers(line.find_scope(), target.id, line.evaluator, line.running.statement)
    return "tensor" in takers | line.find_kinds(target.id)


def goes_to_numpy(line: ErrorSite) -> bool:
    """Tell whether the value is handed to NumPy, or put into an array, which no gradient goes through."""
    parent: Any = line.get_node()
    while not isinstance(parent, ast.stmt):
        parent = parent.parent
        if isinstance(parent, ast.Call) and get_home(line.find_value(parent.func)) == "numpy":
            return True
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    return isinstance(target, ast.Subscript) and site.is_array(line.find_value(target.value))


def _find_better_caller(line: ErrorSite, arrays: list[ast.expr]) -> tuple[str, str] | None:
    """Return the corrected line that called this function with an array, where that is the place to mend.

    It is where a framework called the function, as the `forward` of a module, or where that line gives the framework
    other arrays too. Empty: it is where that line has the arrays from.
    """
    if not arrays or not all(line.is_parameter(node) for node in arrays):
        return None
    found = line.find_caller()
    if found is None:
        return None
    caller, is_by_library = found
    given = [line.find_value(node) for node in arrays]
    nodes: dict[ast.expr, Sample] = {}
    for node in walk_scope(caller.running.statement):
        parent: Any = node.parent  # type: ignore[attr-defined]
        is_given = isinstance(parent, ast.Call) and parent.func is not node
        sample = guess_array(caller, node) if is_given else None
        if sample is not None and (
            any(sample.array is g for g in given) or caller.evaluator.is_framework_function(parent.func)
        ):
            nodes[node] = sample
    if len(nodes) < (1 if is_by_library else 2):
        return None
    scope = caller.find_scope()
    names = {n.id for n in nodes if isinstance(n, ast.Name)}
    if any(_has_siblings(caller, scope, name, names) for name in names):
        return _fix_unpacking(caller, names) or ("", "")
    texts = {n: write_tensor(caller, n, s, [], Guess((), False)) for n, s in nodes.items()}
    fix = caller.fix(texts)
    place = caller.name_statement(caller.running.statement)
    return None if fix is None or None in texts.values() else (fix, place)


def _fix_unpacking(line: ErrorSite, names: set[str]) -> tuple[str, str] | None:
    """Return the statement that unpacks several arrays with tensors made of all, and where it stands.

    None where one of them is wanted as an array, or what their tensors' dtype must be is not certain.
    """
    scope = line.find_scope()
    bindings = [uses.find_bindings(scope, name) for name in names]
    statements = {b.statement for found in bindings for b in found}
    statement: Any = next(iter(statements))
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if len(statements) != 1 or not isinstance(target, ast.Tuple) or not isinstance(statement.value, ast.Call):
        return None
    if not all(isinstance(t, ast.Name) and len(uses.find_bindings(scope, t.id)) == 1 for t in target.elts):
        return None
    for part in target.elts:
        array: Any = line.find_value(ast.Name(part.id, ast.Load()))  # type: ignore[attr-defined]
        if not site.is_array(array) or _is_wanted_as_array(line, part.id):  # type: ignore[attr-defined]
            return None
        if array.dtype.name not in ("float32", "int64", "bool", "uint8") or any(n < 0 for n in array.strides):
            return None
    fix = line.fix_elsewhere(statement, {statement.value: f"map(torch.from_numpy, {line.find_text(statement.value)})"})
    return (fix, line.name_statement(statement)) if fix else None


def _is_wanted_as_array(line: ErrorSite, name: str) -> bool:
    """Tell whether a variable is used as an array, or given to code of which that is not known."""
    found: list[Any] = uses.find_uses(line.find_scope(), name)
    given = [use for use in found if isinstance(use.parent, ast.Call) and use.parent.func is not use]
    return "array" in line.find_kinds(name) or any(not uses.classify_use(use, line.evaluator) for use in given)


def find_array_argument(error: BaseException, line: ErrorSite) -> Finding | None:
    """``F.relu(array)``, ``net(array)``, ``t.clamp(min=array)``: PyTorch takes tensors only."""
    node = line.get_node()
    if not isinstance(error, (TypeError, AttributeError)) or not isinstance(node, ast.Call):
        return None
    said = str(error)
    is_method = isinstance(node.func, ast.Attribute) and line.guess(node.func.value) is not None
    module = line.find_value(node.func) if line.evaluator.is_model(node.func) else None
    if not (is_method or module is not None or line.evaluator.is_framework_function(node.func)):
        return None
    if not _takes_tensors(line.find_value(node.func)):
        return None
    given = [*node.args, *(k.value for k in node.keywords if k.arg not in _SIZES)]
    arrays = {n: s for n in open_lists(given) if (s := guess_array(line, n)) is not None}
    if "ndarray" not in said and "numpy" not in said and line.site.library != "torch":
        arrays = {}
    name = getattr(line.find_value(node.func), "__name__", "") or getattr(node.func, "attr", "")
    if not arrays and name not in ("from_numpy", "tensor", "as_tensor"):
        return explain_list(line, node, name, said)
    if not arrays or name in ("from_numpy", "tensor", "as_tensor") or name in _OF_SIZES:
        return None
    first = line.find_text(next(iter(arrays)))
    called = line.find_text(node.func)
    headline = f"`{first}` is an array, and `{called}` takes tensors."
    names = {n.id for n in arrays if isinstance(n, ast.Name)}
    if any(_has_siblings(line, line.find_scope(), n, names) for n in names):
        fix, place = _fix_unpacking(line, names) or (None, "")
        note = "" if fix else "convert the arrays where they are made: `torch.from_numpy(...)`"
        return Finding(headline, fix, note, place=place)
    caller = _find_better_caller(line, list(arrays))
    if caller is not None:
        note = "" if caller[0] else "convert the arrays where they are made: `torch.from_numpy(...)`"
        return Finding(headline, caller[0] or None, note, place=caller[1])
    beside = [n for n in (*list_arguments(node), node.func) if n not in arrays]
    guess = _find_like(line, node, module, beside)
    texts = {n: _write_argument(line, n, s, beside, guess, name) for n, s in arrays.items()}
    return Finding(headline, None if None in texts.values() else line.fix(texts))


def _takes_tensors(function: Any) -> bool:
    """Tell whether a function of PyTorch's computes with tensors, and does not save, load or show things."""
    bare = getattr(function, "__func__", function)
    module = getattr(bare, "__globals__", {}).get("__name__") or getattr(bare, "__module__", None) or "torch"
    if isinstance(function, type):
        return function.__name__ == "TensorDataset" or str(module).startswith("torch.distributions")
    return not str(module).startswith(_OTHER_MODULES)


def list_arguments(node: ast.Call) -> list[ast.expr]:
    """Return what a call is given."""
    return [*node.args, *(k.value for k in node.keywords)]


def _find_like(line: ErrorSite, node: ast.Call, module: Any, beside: list[ast.expr]) -> Guess:
    """Return the tensors that an array must match: a module's parameters, the tensor that is asked, other arguments."""
    if module is not None:
        return line.guess(node) or Guess((), False)
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    found = [g for n in (*([owner] if owner is not None else []), *beside) if (g := line.guess(n)) is not None]
    return found[0] if found else Guess((), False)


def _write_argument(
    line: ErrorSite, node: ast.expr, sample: Sample, beside: list[ast.expr], guess: Guess, name: str
) -> str | None:
    kind = sample.array.dtype.kind if sample.array is not None else "f"
    if kind in "iub":
        text = write_tensor(line, node, sample, [], Guess((), False))
        is_long = sample.array.dtype.name == "int64"
        return f"{text}.long()" if text and name in _FOR_INTEGERS and not is_long else text
    return write_tensor(line, node, sample, beside, guess)
