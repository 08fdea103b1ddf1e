"""Rules of `why`: what NumPy and libraries that know no tensors make of them, and code that is traced."""

from __future__ import annotations

import ast
import sys
from types import BuiltinMethodType, MethodType, TracebackType
from typing import Any

from safe_numpy.callsite.callbacks import convert_tuple, find_callback
from safe_numpy.callsite.evaluator import Guess, get_home
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import get_mro, is_exactly, read_members, read_variables, unroll
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.messages.units import name_place
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import uses
from safe_numpy.postmortem.containers import SAME_IN_TORCH, find_first
from safe_numpy.postmortem.error_site import ErrorSite, Finding, find_made_of, find_making
from safe_numpy.postmortem.operands import (
    LOOKED_AT,
    goes_to_numpy,
    goes_to_torch,
    guess_array,
    is_array_later,
    is_looked_at,
    list_arguments,
)

_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}

_OF_POINTS = frozenset({"rectangle", "circle", "line", "putText", "ellipse", "arrowedLine", "drawMarker", "resize"})
"""functions of OpenCV that want whole numbers in their tuples"""


def find_opencv(error: BaseException, line: ErrorSite) -> Finding | None:
    """``cv2.GaussianBlur(tensor, …)``: OpenCV takes arrays and numbers only."""
    node, opencv = line.get_node(), sys.modules.get("cv2")
    if opencv is None or not isinstance(node, ast.Call) or not line.is_direct:
        return None
    if type(error).__module__ != "cv2" and not isinstance(error, TypeError):
        return None
    function = line.find_value(node.func)
    is_module = isinstance(node.func, ast.Attribute) and line.find_value(node.func.value) is opencv
    if not is_module and all(f is not function for f in list(vars(opencv).values())):
        return None
    numbers = {n: g for n, g in line.find_tensors() if _is_in_tuple(n)}
    if numbers:
        return _explain_numbers(line, node, numbers)
    tensors = list(line.find_tensors())
    if tensors:
        note = "OpenCV wants height, width and channels in this order"
        return site.say_array_wanted(line.find_text(tensors[0][0]), tensors[0][1], line, note)
    held = [(n, v) for n in list_arguments(node) if _holds_numbers(v := line.find_value(n))]
    if not held:
        return None
    name, value = line.find_text(held[0][0]), held[0][1]
    made = "tuple" if type(value) is tuple else "list"
    headline = f"`{name}` is a {made} of tensors, and OpenCV takes numbers."
    is_whole = getattr(node.func, "attr", getattr(node.func, "id", "")) in _OF_POINTS
    is_whole = is_whole and any(v.is_floating_point() for _, c in held for v in c)
    used = [n for n, _ in held if isinstance(n, ast.Name) and _is_used_too(line, n.id)]
    if not used:
        number = "int(t)" if is_whole else "t.item()"
        return Finding(headline, line.fix({n: f"{made}({number} for t in {line.find_text(n)})" for n, _ in held}))
    more = f"make numbers of it where it is made, `{made}(t.item() for t in ...)`: it is used elsewhere too"
    making = find_making(line, used[0].id)
    argument = _find_opened(line, making.value) if making is not None else None
    if making is None or argument is None:
        return Finding(headline, more=more)
    text = f"{put_in_parentheses(line.find_text(argument))}{'.int()' if is_whole else ''}.tolist()"
    fix = line.fix_elsewhere(making.statement, {argument: text})
    return Finding(headline, fix, place=line.name_statement(making.statement))


def _is_used_too(line: ErrorSite, name: str) -> bool:
    return bool(uses.find_uses(line.find_scope(), name, line.running.statement))


def _find_opened(line: ErrorSite, node: ast.expr) -> ast.expr | None:
    """Return ``x`` of ``tuple(x)``, where it is a tensor of PyTorch's."""
    is_call = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
    if not is_call or line.find_value(node.func) not in (tuple, list):  # type: ignore[attr-defined]
        return None
    guess = line.guess(node.args[0])  # type: ignore[attr-defined]
    is_torchs = guess is not None and guess.tensors and all(site.is_of("torch", t) for t in guess.tensors)
    return node.args[0] if is_torchs else None  # type: ignore[attr-defined]


def _is_in_tuple(node: ast.expr) -> bool:
    return isinstance(node.parent, (ast.Tuple, ast.List))  # type: ignore[attr-defined]


def _explain_numbers(line: ErrorSite, node: ast.Call, numbers: dict[ast.expr, Guess]) -> Finding:
    """Explain the coordinates of a point that are tensors."""
    name = line.find_text(next(iter(numbers)))
    function = getattr(node.func, "attr", getattr(node.func, "id", ""))
    whole = function in _OF_POINTS
    names = {n: line.find_text(n) for n in numbers}
    texts = {n: f"int({t})" if whole else f"{put_in_parentheses(t)}.item()" for n, t in names.items()}
    is_one = all(site.count_elements(g.tensors[0]) == 1 or not g.is_itself for g in numbers.values() if g.tensors)
    headline = f"`{name}` is a tensor, and OpenCV wants numbers for a point."
    return Finding(headline, line.fix(texts) if is_one else None)


def find_pillow(error: BaseException, line: ErrorSite) -> Finding | None:
    """``Image.fromarray(tensor)``, and what Pillow does not take after the conversion: channels first, floats."""
    node = line.get_node()
    if not isinstance(node, ast.Call) or line.site.library != "PIL" or len(node.args) < 1:
        return None
    argument = node.args[0]
    name, guess = line.find_text(argument), line.guess(argument)
    if isinstance(error, AttributeError) and error.name == "__array_interface__" and guess is not None:
        tensor = guess.tensors[0] if guess.is_itself else None
        headline = f"`{name}` is a tensor, and an array is wanted here."
        note = "Pillow wants height, width and channels in this order, in uint8"
        return Finding(headline, _fix_picture(line, argument, guess, tensor), site.describe_guess(name, guess), note)
    if not isinstance(error, TypeError):
        return None
    inside = [n for n in ast.walk(argument) if isinstance(n, ast.expr) and line.guess(n) is not None]
    array: Any = line.find_value(argument)
    if not inside and guess_array(line, argument) is None:
        return None
    shape = tuple(getattr(array, "shape", ()))
    if not inside and not (len(shape) == 3 and (shape[0] in (1, 3) or array.dtype.kind == "f")):
        return None
    note = "of floats from 0 to 1 that is `(x * 255).astype(np.uint8)`; of channels first, `x.transpose(1, 2, 0)`"
    headline = f"`{name}` is no picture to Pillow: it wants height, width and channels in this order, in uint8."
    return Finding(headline, note=note) if inside else None


def _fix_picture(line: ErrorSite, argument: ast.expr, guess: Guess, tensor: Any) -> str | None:
    """Return the line with a tensor converted to what Pillow takes; None where that is not certain."""
    text = line.find_text(argument)
    shape = [int(n) for n in tensor.shape] if tensor is not None and site.count_elements(tensor) > 0 else []
    is_bytes = tensor is not None and str(tensor.dtype).rpartition(".")[2] in ("uint8", "bool")
    if len(shape) == 3 and shape[0] in (3, 4) and shape[2] not in (3, 4) and is_bytes and site.is_of("torch", tensor):
        converted = site.write_conversion(f"{put_in_parentheses(text)}.permute(1, 2, 0)", tensor)
        return line.fix({argument: converted})
    is_picture = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4) and is_bytes)
    return line.fix({argument: site.write_guess(text, guess)}) if is_picture or tensor is None else None


def find_figure(error: BaseException, line: ErrorSite) -> Finding | None:
    """``writer.add_figure("x", tensor)``: TensorBoard takes a figure there, and a picture for add_image."""
    node, tensor = line.get_node(), getattr(error, "obj", None)
    if not isinstance(error, AttributeError) or not isinstance(node, ast.Call) or not site.is_tensor(tensor):
        return None
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "add_figure":
        return None
    owner, shape = line.find_value(node.func.value), tuple(getattr(tensor, "shape", ()))
    is_writer = any(c.__name__ == "SummaryWriter" for c in get_mro(type(owner)))
    given = [n for n in list_arguments(node) if line.guess(n) is not None]
    if not is_writer or len(given) != 1:
        return None
    headline = f"`{line.find_text(given[0])}` is a tensor, and add_figure draws a figure of matplotlib's."
    about = f"it is {site.describe_tensor(tensor)}"
    methods = {3: "add_image", 4: "add_images"}
    is_picture = len(shape) in methods and shape[-3] in (1, 3)
    is_plain = len(node.args) <= 3 and {k.arg for k in node.keywords} <= {"global_step", "walltime"}
    if not is_picture or not is_plain:
        return Finding(headline, note=about, more="add_image takes pictures, channels first")
    text = f"{line.find_text(node.func.value)}.{methods[len(shape)]}"
    return Finding(headline, line.fix({node.func: text}), about)


def find_returned(error: BaseException, line: ErrorSite) -> Finding | None:
    """``minimize(f, x)``, ``groups.agg(f)``, where `f` returns a tensor: what it has, a library takes for a value's."""
    tensor = _find_returned_tensor(error.obj, error.__traceback__) if isinstance(error, AttributeError) else None
    node = line.running.node
    if not site.is_tensor(tensor) or not line.site.library or node is None:
        return None
    returns = find_callback(node, line.evaluator, site.count_elements(tensor) == 1)
    if returns is None:
        return None
    headline = f"`{returns.name or 'the lambda'}` returns a tensor, and {line.site.library} wants a number or an array."
    about = f"it is {site.describe_tensor(tensor)}"
    if len(returns.lines) != 1 or site.count_elements(tensor) != 1:
        return Finding(headline, note=about)
    returned, value = returns.lines[0]
    text = returned.find_text(value)
    new = site.write_guess(text, Guess((tensor,), True, True))
    if isinstance(value, ast.Tuple):  # the value and its gradient
        new = convert_tuple(text)
    elif site.is_of("torch", tensor):
        new = f"{put_in_parentheses(text)}.item()"
    fix = correct(returned, {value: new} if new is not None else {}, line.evaluator).shown
    return Finding(headline, fix, about, place=name_place(returns.filename, returned.statement.lineno))


def _find_returned_tensor(member: Any, traceback: TracebackType | None) -> Any:
    """Return what a method belongs to; for a dtype, what has it of the variables where the error arose."""
    if isinstance(member, (BuiltinMethodType, MethodType)):
        return member.__self__
    variables = read_variables(unroll(traceback)[0]).values() if traceback is not None else ()
    return next((v for v in variables if site.is_tensor(v) and getattr(v, "dtype", None) is member), None)


def find_loader(error: BaseException, line: ErrorSite) -> Finding | None:
    """``for x, y in loader``, where the workers are to give tensors that autograd records."""
    if not isinstance(error, RuntimeError) or not isinstance(line.running.statement, (ast.For, ast.Assign, ast.Expr)):
        return None
    for node in walk_scope(line.running.statement):
        loader = line.find_value(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        members = read_members(loader) if type(loader).__name__ == "DataLoader" else {}
        if not members.get("num_workers"):
            continue
        held = read_members(members.get("dataset"))
        for name, value in held.items():
            tensors = [value] if site.is_tensor(value) else list(value) if is_exactly(value, list, tuple) else []
            recorded = [t for t in tensors if getattr(t, "requires_grad", False) is True and not t.is_leaf]
            if recorded:
                where = f"{line.find_text(node)}.dataset.{name}"
                headline = f"`{where}` holds a tensor that autograd records: it cannot come from another process."
                fix, place = _fix_dataset(line, members["dataset"], recorded)
                return Finding(headline, fix, "" if fix else "detach() it where the dataset is made", place=place)
    return None


def _fix_dataset(line: ErrorSite, dataset: Any, recorded: list[Any]) -> tuple[str | None, str]:
    """Return the statement that gives a tensor to a dataset, with the tensor detached; and where it stands."""

    def makes_dataset(caller: ErrorSite, call: ast.Call) -> bool:
        return caller.find_value(call.func) is type(dataset)

    found = find_made_of(line, makes_dataset, recorded[0]) if len(recorded) == 1 else None
    if found is None:
        return None, ""
    caller, statement, argument = found
    text = f"{put_in_parentheses(caller.find_text(argument))}.detach()"
    return caller.fix_elsewhere(statement, {argument: text}), caller.name_statement(statement)


def find_ragged(error: BaseException, line: ErrorSite) -> Finding | None:
    """``model.fit(ragged.numpy(), y)``: rows of different lengths are an array of objects."""
    if not isinstance(error, (ValueError, TypeError)):
        return None
    for node in line.get_operands():
        is_asked = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "numpy"
        owner = line.find_value(node.func.value) if is_asked else None  # type: ignore[attr-defined]
        if type(owner).__name__ == "RaggedTensor":
            name = line.find_text(node.func.value)  # type: ignore[attr-defined]
            headline = f"`{name}` has rows of different lengths: `{line.find_text(node)}` is an array of objects."
            return Finding(
                headline, line.fix({node: f"{put_in_parentheses(name)}.to_tensor()"}), "to_tensor() pads them"
            )
    return None


def find_table(error: BaseException, line: ErrorSite) -> Finding | None:
    """``df.loc[:, "loss"] = tensor``: pandas asks the dtype what only NumPy's tell."""
    is_dtype = isinstance(error, AttributeError) and type(error.obj).__name__ == "dtype"
    statement = line.running.statement
    if not is_dtype or line.site.library != "pandas" or not isinstance(statement, ast.Assign):
        return None
    guess = line.guess(statement.value)
    if guess is None:
        return None
    name = line.find_text(statement.value)
    headline = f"`{name}` is a tensor, and pandas wants an array here."
    return Finding(
        headline, line.fix({statement.value: site.write_guess(name, guess)}), site.describe_guess(name, guess)
    )


def _holds_numbers(value: Any) -> bool:
    is_full = is_exactly(value, tuple, list) and bool(value)
    return is_full and all(site.is_tensor(v) and site.count_elements(v) == 1 for v in value)


def find_json(error: BaseException, line: ErrorSite) -> Finding | None:
    """``json.dump({"loss": loss}, file)``: JSON knows no tensors."""
    node = line.get_node()
    if not isinstance(error, TypeError) or line.site.library != "json" or not isinstance(node, ast.Call):
        return None
    operands = [*line.get_operands(), *(n for a in list_arguments(node) if isinstance(a, ast.Call) for n in a.args)]
    found = next((f for n in operands if (f := find_first(line, n)) is not None), None)
    if found is None:
        return None
    name, tensor = found
    code = "t.tolist()" if site.is_of("torch", tensor) else "t.numpy().tolist()"
    is_free = not any(k.arg in ("default", "cls", None) for k in node.keywords)
    text = line.find_text(node)
    fix = f"{text[:-1].rstrip().rstrip(',')}, default=lambda t: {code})" if is_free else None
    about = f"`{name}` is {site.describe_tensor(tensor)}"
    return Finding(f"`{name}` is a tensor, which JSON does not know.", line.fix({node: fix}), about)


def find_foreign_dtype(error: BaseException, line: ErrorSite) -> Finding | None:
    """``mean_squared_error(y, tensor)``, of a dtype that NumPy's own code does not know."""
    node, library = line.get_node(), line.site.library
    if not isinstance(error, (TypeError, ValueError)) or not isinstance(node, ast.Call):
        return None
    if library in ("", "torch", "tensorflow", "keras"):
        return None
    for operand, guess in line.find_tensors():
        tensor: Any = guess.tensors[0] if guess.is_itself else None
        dtype = str(getattr(getattr(tensor, "dtype", None), "name", ""))
        if dtype.startswith(("bfloat16", "float8")):
            name = line.find_text(operand)
            headline = f"`{name}` holds {dtype}, which {library} does not know: it is none of NumPy's own dtypes."
            return Finding(headline, line.fix({operand: f"tf.cast({name}, tf.float32)"}))
    return None


def find_placeholder(error: BaseException, line: ErrorSite) -> Finding | None:
    """``tf.matmul(x, w)`` of what `keras.Input` gives."""
    for node in walk_scope(line.running.statement):
        is_given = isinstance(node, ast.Call) and line.evaluator.is_framework_function(node.func)
        given = list_arguments(node) if isinstance(node, ast.Call) and is_given else []
        planned = [n for n in given if type(line.find_value(n)).__name__ == "KerasTensor"]
        if planned and isinstance(error, ValueError) and node is line.running.node:
            name = line.find_text(planned[0])
            note = "only layers and keras.ops take it: put this into the call() of a keras.layers.Layer"
            return Finding(
                f"`{name}` is a tensor of a model's plan, as keras.Input gives it, without a value.", note=note
            )
    return None


def find_numpy_function(error: BaseException, line: ErrorSite) -> Finding | None:
    """``np.mean(tensor)``: NumPy calls the method of that name, which is torch's and takes other arguments."""
    node = line.get_node()
    if not isinstance(error, (TypeError, AttributeError)) or not isinstance(node, ast.Call) or not node.args:
        return None
    function, guess = line.find_value(node.func), line.guess(node.args[0])
    if get_home(function) != "numpy" or line.site.library not in ("", "numpy") or guess is None:
        return None
    method = getattr(function, "__name__", "")
    if not method:
        return None
    name, called = line.find_text(node.args[0]), line.find_text(node.func)
    asked = "transpose" if method in ("moveaxis", "swapaxes", "rollaxis") else method
    headline = (
        f"`{name}` is a tensor, whose own `{asked}` is called by `{called}`, with arguments that only NumPy's takes."
    )
    about = site.describe_guess(name, guess)
    converted = line.fix(_convert_all(line, node))
    if not site.requires_grad(guess):
        stays = goes_to_torch(line, node) and not goes_to_numpy(line)
        kept = _write_in_torch(line, node, method) if stays and site.is_of("torch", guess.tensors[0]) else None
        return Finding(headline, line.fix({node: kept}) if kept else converted, about)
    holder = node.args[0]
    if isinstance(holder, ast.Name) and is_array_later(line, holder.id):
        return _convert_at_making(line, headline, holder, guess, about)
    if is_looked_at(line, node):
        return Finding(headline, converted, about)
    kept = _write_in_torch(line, node, method)
    fix = line.fix({node: kept}) if kept is not None and not goes_to_numpy(line) else None
    return Finding(headline, fix, about, alternative=converted, when=LOOKED_AT)


def _convert_all(line: ErrorSite, node: ast.Call) -> dict[ast.expr, str | None]:
    """Return what to write for the tensors in the outermost call of NumPy's around an operation."""
    outermost, parent = node, node
    while not isinstance(parent, ast.stmt):
        parent = parent.parent  # type: ignore[attr-defined]
        if isinstance(parent, ast.Call) and get_home(line.find_value(parent.func)) == "numpy":
            outermost = parent
    found: dict[ast.expr, str | None] = {}
    first = line.guess(node.args[0])
    assert first is not None
    found[node.args[0]] = site.write_guess(line.find_text(node.args[0]), first)
    inside = {id(n) for n in ast.walk(node.args[0])}
    other: Any
    for other in ast.walk(outermost):
        is_path = type(other) in (ast.Name, ast.Attribute) and not isinstance(other.parent, ast.Attribute)
        if not is_path or id(other) in inside:
            continue
        guess = line.guess(other)
        if guess is not None and guess.is_itself:
            found[other] = site.write_guess(line.find_text(other), guess)
    return found


def _convert_at_making(line: ErrorSite, headline: str, holder: ast.Name, guess: Guess, about: str) -> Finding:
    """Say that a tensor with which NumPy goes on is to be converted where it is made."""
    bindings = uses.find_bindings(line.find_scope(), holder.id)
    value = bindings[0].value if len(bindings) == 1 else None
    if value is None:
        return Finding(headline, note=about, more=f"convert `{holder.id}` where it is made: NumPy goes on with it")
    text = site.write_guess(line.find_text(value), Guess(guess.tensors, guess.is_complete))
    fix = line.fix_elsewhere(bindings[0].statement, {value: text})
    return Finding(headline, fix, about, place=line.name_statement(bindings[0].statement))


def _write_in_torch(line: ErrorSite, node: ast.Call, method: str) -> str | None:
    """Return PyTorch's call that does the same; None where that is not certain."""
    if method not in SAME_IN_TORCH or len(node.args) > (3 if method == "clip" else 2):
        return None
    name, extra = SAME_IN_TORCH[method]
    if any(k.arg not in _KEYWORDS for k in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
        return None
    arguments = [*map(line.find_text, node.args)]
    keywords = [f"{_KEYWORDS[k.arg]}={line.find_text(k.value)}" for k in node.keywords if k.arg]
    return f"torch.{name}({', '.join([*arguments, *keywords])}{extra})"
