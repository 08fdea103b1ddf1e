"""Rules of `why`: tensors where numbers, lists or other tensors are wanted."""

from __future__ import annotations

import ast
import re
import string
import sys
from typing import Any

from safe_numpy.callsite.evaluator import NOTHING, Guess, get_home
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.frames import is_exactly
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.messages.units import name_type
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import uses
from safe_numpy.postmortem.containers import find_first, list_elements
from safe_numpy.postmortem.error_site import ErrorSite, Finding, find_making
from safe_numpy.postmortem.operands import guess_array, list_arguments

_CLASSES = {"Tensor": ".float()", "FloatTensor": ".float()", "LongTensor": ".long()", "DoubleTensor": ".double()"}
_MAKERS = ("tensor", "as_tensor", "asarray")
_NO_LOSS = re.compile(r"weight|mask|scale|coef|margin|param|grad")
"""names in which "loss" says what a thing is for, not what it is"""

_FLIPPING = frozenset({"flip", "fliplr", "flipud", "rot90"})
_ARRAY_MAKERS = ("array", "asarray", "asanyarray")
_JOINERS = frozenset({"concatenate", "cat", "concat", "hstack"})


def find_constructor(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.tensor([t, t])``, ``np.array([t, u])``: a list of tensors where numbers, or equal shapes, are wanted."""
    node = _find_maker(line)
    if not isinstance(error, (ValueError, TypeError)) or node is None or not line.is_direct:
        return None
    elements = _find_elements(line, node.args[0])
    if len(elements) < 2 or not all(map(site.is_tensor, elements)):
        return _find_ragged_loop(error, line, node)
    shapes = list(dict.fromkeys(map(site.get_shape, elements)))
    function, called, name = line.find_value(node.func), line.find_text(node.func), line.find_text(node.args[0])
    home, constructor = get_home(function), getattr(function, "__name__", "")
    is_sure = not isinstance(node.args[0], (ast.List, ast.Tuple)) or all(
        site.is_known(line, n) for n in node.args[0].elts
    )
    if home == "torch" and constructor in (*_MAKERS, *_CLASSES):
        fix = line.fix({node: _write_stack(line, node, constructor)}) if len(shapes) == 1 and is_sure else None
        note = "" if fix else "torch.stack joins those of one shape; torch.nn.utils.rnn.pad_sequence pads them"
        return Finding(f"`{called}` builds a tensor of numbers, and `{name}` is a list of tensors.", fix, note)
    if home == "numpy" and not is_sure and constructor in _ARRAY_MAKERS:
        note = "pad them (torch.nn.utils.rnn.pad_sequence), or keep a list: `[t.numpy() for t in ...]`"
        return Finding(f"`{name}` is a list of tensors of different shapes: no array has them all.", note=note)
    if home == "numpy" and len(shapes) > 1 and constructor in _ARRAY_MAKERS:
        note = "pad them (torch.nn.utils.rnn.pad_sequence), or keep a list: `[t.numpy() for t in ...]`"
        return Finding(
            f"`{name}` is a list of tensors of shapes {' and '.join(shapes[:2])}: no array has both.", note=note
        )
    return None


def _find_maker(line: ErrorSite) -> ast.Call | None:
    """Return the call that failed: the only one that makes an array or a tensor, where that is not known."""
    if line.running.node is not None:
        node = line.running.node
        return node if isinstance(node, ast.Call) and node.args else None
    calls = [n for n in walk_scope(line.running.statement) if isinstance(n, ast.Call) and n.args]
    names = (*_MAKERS, *_CLASSES, *_ARRAY_MAKERS)
    found = [n for n in calls if getattr(line.find_value(n.func), "__name__", "") in names]
    return found[0] if len(found) == 1 else None


def _write_stack(line: ErrorSite, node: ast.Call, constructor: str) -> str | None:
    """Return ``torch.stack(...)`` for ``torch.tensor(...)``."""
    module = line.find_text(node.func).rpartition(".")[0] or "torch"
    keywords = {k.arg: line.find_text(k.value) for k in node.keywords}
    if len(node.args) > 1 or not keywords.keys() <= {"dtype", "device"}:
        return None
    asked = ", ".join(f"{name}={text}" for name, text in keywords.items())
    end = f".to({asked})" if asked else _CLASSES.get(constructor, "")
    return f"{module}.stack({line.find_text(node.args[0])}){end}"


def _find_elements(line: ErrorSite, node: ast.expr) -> list[Any]:
    if isinstance(node, (ast.List, ast.Tuple)):
        guesses = [line.guess(n) for n in node.elts]
        return [g.tensors[0] if g is not None and g.tensors else None for g in guesses]
    value = line.find_value(node)
    return list(value) if is_exactly(value, list, tuple) else []


def _find_ragged_loop(error: BaseException, line: ErrorSite, node: ast.Call) -> Finding | None:
    """``np.array([t.cpu() for t in tensors])``: NumPy's word is that they differ in shape, the loop's that they are
    tensors."""
    loop = node.args[0]
    is_numpys = get_home(line.find_value(node.func)) == "numpy"
    if not is_numpys or not isinstance(loop, (ast.ListComp, ast.GeneratorExp)) or not isinstance(error, ValueError):
        return None
    if line.evaluator.enter(loop.generators).guess(loop.elt) is None:
        return None
    name = line.find_text(loop)
    headline = f"`{name}` is a list of tensors of different shapes: no array has them all."
    if _is_joined(line, node):
        fix = line.fix({node.func: f"{line.find_text(node.func).rpartition('.')[0] or 'np'}.concatenate"})
        return Finding(headline, fix, "one after the other: the rest of the function computes with them as one array")
    note = f"to join them, write `np.concatenate({name})`; torch.nn.utils.rnn.pad_sequence pads them"
    return Finding(headline, note=note)


def _is_joined(line: ErrorSite, node: ast.Call) -> bool:
    """Tell whether a variable is computed with beside another that is joined of parts, and is never taken apart."""
    statement, scope = line.running.statement, line.find_scope()
    target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is node else None
    if not isinstance(target, ast.Name) or len(node.args) != 1 or node.keywords:
        return False
    found: list[Any] = uses.find_uses(scope, target.id, statement)
    found = [use for use in found if (use.lineno, use.col_offset) > (statement.lineno, statement.col_offset)]
    if any(uses.classify_use(use, line.evaluator) == "many" for use in found):
        return False
    beside = {
        n.id
        for use in found
        if isinstance(use.parent, (ast.BinOp, ast.Call))
        for n in ast.walk(use.parent)
        if isinstance(n, ast.Name)
    }
    values = [b.value for name in beside - {target.id} for b in uses.find_bindings(scope, name)]
    return any(isinstance(v, ast.Call) and getattr(v.func, "attr", "") in _JOINERS for v in values)


def find_from_numpy(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.from_numpy(tensor)``, or of a list, of a reversed array, of an array of objects."""
    node = line.get_node()
    if not isinstance(error, (TypeError, ValueError)) or not isinstance(node, ast.Call) or not node.args:
        return None
    function = line.find_value(node.func)
    if get_home(function) != "torch" or getattr(function, "__name__", "") not in (*_MAKERS, "from_numpy"):
        return None
    argument, is_strict = node.args[0], getattr(function, "__name__", "") == "from_numpy"
    name, called = line.find_text(argument), line.find_text(node.func)
    guess = line.guess(argument)
    if guess is not None and is_strict:
        return Finding(f"`{name}` is a tensor already.", line.fix({node: name}), site.describe_guess(name, guess))
    sample = guess_array(line, argument)
    if sample is not None and isinstance(error, ValueError) and _runs_backwards(argument):
        return _explain_strides(line, argument)
    if sample is not None and sample.array is not None:
        return _explain_array_argument(line, node, sample.array)
    value = line.find_value(argument, NOTHING)
    return _explain_no_array(line, node, value, called) if is_strict and value is not NOTHING else None


def _runs_backwards(node: ast.expr) -> bool:
    """Tell whether an expression turns an array around: ``a[::-1]``, ``np.flip(a)``."""
    steps = [n.step for n in ast.walk(node) if isinstance(n, ast.Slice)]
    names = {getattr(n.func, "attr", "") for n in ast.walk(node) if isinstance(n, ast.Call)}
    return any(isinstance(s, ast.UnaryOp) and isinstance(s.op, ast.USub) for s in steps) or bool(names & _FLIPPING)


def _explain_strides(line: ErrorSite, argument: ast.expr) -> Finding:
    name = line.find_text(argument)
    headline = f"`{name}` is an array that runs backwards in memory, as after `[::-1]`; no tensor does."
    return Finding(headline, line.fix({argument: f"{put_in_parentheses(name)}.copy()"}))


def _explain_array_argument(line: ErrorSite, node: ast.Call, array: Any) -> Finding | None:
    argument = node.args[0]
    name = line.find_text(argument)
    if any(stride < 0 for stride in array.strides):
        return _explain_strides(line, argument)
    dtype = array.dtype
    if dtype.name.startswith(("bfloat16", "float8")):
        headline = f"`{name}` is an array of {dtype.name}, which is a dtype of ml_dtypes, and none of NumPy's own."
        return Finding(headline, line.fix({argument: f"{put_in_parentheses(name)}.astype(np.float32)"}))
    if dtype.kind in "biufc" and dtype.isnative:
        return None
    headline = f"`{name}` is an array of {dtype.name if dtype.kind != 'O' else 'objects'}, which PyTorch has not."
    text = f"{put_in_parentheses(name)}.astype({_choose_dtype(line, node, array)})"
    is_numbers = dtype.kind == "O" and array.size and all(_is_number(v) for v in array.flat)
    return Finding(headline, line.fix({argument: text}) if is_numbers else None)


def _is_number(value: Any) -> bool:
    numpy = sys.modules["numpy"]
    return isinstance(value, (bool, int, float, numpy.number))


def _choose_dtype(line: ErrorSite, node: ast.Call, array: Any) -> str:
    """Return the dtype for an array of objects: what the line asks for, else what its numbers are."""
    asked = next((line.find_value(k.value) for k in node.keywords if k.arg == "dtype"), None)
    is_whole = asked is None and all(isinstance(v, int) for v in array.flat)
    return "np.int64" if is_whole else f"np.{str(asked).removeprefix('torch.')}" if asked else "np.float32"


def _explain_no_array(line: ErrorSite, node: ast.Call, value: Any, called: str) -> Finding | None:
    argument = node.args[0]
    name = line.find_text(argument)
    headline = f"`{name}` is a {name_type(value)}, and `{called}` takes an array."
    if is_exactly(value, list, tuple):
        arrays = [step for step, v in list_elements(value) if type(v).__module__ == "numpy"]
        tensors = [step for step, v in list_elements(value) if site.is_tensor(v)]
        if value and len(arrays) == len(value):
            return Finding(headline, line.fix({argument: f"np.array({name})"}))
        if tensors and len(tensors) == len(value):
            return Finding(headline, note=f"`torch.stack({name})` is one tensor, if they have one shape")
        if arrays:
            note = f"it holds an array: take it where `{name}` is made, `{name}{arrays[0]}`"
            made = find_making(line, name) if isinstance(argument, ast.Name) and len(arrays) == 1 else None
            if made is None or not isinstance(made.value, ast.Call):
                return Finding(headline, note=note)
            text = f"{line.find_text(made.value)}{arrays[0]}"
            fix = line.fix_elsewhere(made.statement, {made.value: text})
            return Finding(
                headline, fix, f"it holds an array: `{name}{arrays[0]}`", place=line.name_statement(made.statement)
            )
        if value and all(isinstance(v, (bool, int, float, list, tuple)) for v in value):
            return Finding(headline, line.fix({node.func: f"{called.rpartition('.')[0] or 'torch'}.tensor"}))
        return None
    if isinstance(value, (bool, int, float)) or (
        type(value).__module__ == "numpy" and getattr(value, "shape", 1) == ()
    ):
        return Finding(headline, line.fix({node.func: f"{called.rpartition('.')[0] or 'torch'}.tensor"}))
    return None


def find_format(error: BaseException, line: ErrorSite) -> Finding | None:
    """``f"{t:.2f}"``, ``"%.3f" % t``, ``"{:.2f}".format(t)``: one number is wanted, and the tensor has several."""
    if not isinstance(error, (TypeError, ValueError, RuntimeError)):
        return None
    nodes = _list_formatted(line)
    for node in nodes:
        guess = line.guess(node)
        if guess is not None:
            found = _explain_formatted(line, node, guess)
            if found is not None:
                return found
            continue
        held = find_first(line, node.value if _is_members(node) else node)  # type: ignore[attr-defined]
        if held is not None and (found := _explain_spread(line, node, held[0])) is not None:
            return found
        if held is not None:
            count = site.count_elements(held[1])
            return Finding(
                f"`{held[0]}` is a tensor, and a number is to be formatted.",
                note=f"it is {site.describe_tensor(held[1])}"
                + (": keep `.item()` of it where it is made" if count == 1 else ""),
            )
    return None


def _explain_spread(line: ErrorSite, node: ast.expr, name: str) -> Finding | None:
    """Explain ``text.format(**members)``, of which some are tensors of one element."""
    parent: Any = node.parent  # type: ignore[attr-defined]
    value = line.find_value(node.value if _is_members(node) else node)  # type: ignore[attr-defined]
    tensors = [(step, v) for step, v in list_elements(value) if site.is_tensor(v)]
    is_spread = isinstance(parent, ast.keyword) and parent.arg is None
    if not is_spread or not all(site.is_of("torch", v) and site.count_elements(v) == 1 for _, v in tensors):
        return None
    text = line.find_text(node)
    number = "v.item() if torch.is_tensor(v) else v"
    about = f"it is {site.describe_tensor(tensors[0][1])}"
    headline = f"`{name}` is a tensor, and a number is to be formatted."
    fix = line.fix({node: f"{{k: {number} for k, v in {put_in_parentheses(text)}.items()}}"})
    return Finding(headline, fix, about, "or keep `.item()` of it where it is made")


def _is_members(node: ast.expr) -> bool:
    """Tell whether an expression is ``self.__dict__``."""
    return isinstance(node, ast.Attribute) and node.attr == "__dict__"


def _list_formatted(line: ErrorSite) -> list[ast.expr]:
    """Return the expressions whose values the failing operation formats."""
    node: Any = line.get_node()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(line, node.left):
        return list(node.right.elts) if isinstance(node.right, ast.Tuple) else [node.right]
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        is_method = name == "format" and isinstance(node.func, ast.Attribute) and _is_text(line, node.func.value)
        if not is_method and name != "format":
            return []
        return [n for n, spec in _pair_fields(line, node) if spec is not None] or list_arguments(node)
    found = [n.value for n in ast.walk(node) if isinstance(n, ast.FormattedValue) and n.format_spec is not None]
    for inside in ast.walk(node) if isinstance(node, ast.stmt) else ():
        is_call = (
            isinstance(inside, ast.Call) and isinstance(inside.func, ast.Attribute) and inside.func.attr == "format"
        )
        if isinstance(inside, ast.Call) and is_call and _is_text(line, inside.func.value):  # type: ignore[attr-defined]
            found += [n for n, spec in _pair_fields(line, inside) if spec is not None] or inside.args
    return found


def _pair_fields(line: ErrorSite, node: ast.Call) -> list[tuple[ast.expr, str | None]]:
    """Return the arguments of ``text.format(...)``, and how each is formatted, where the fields come in their order."""
    text = line.find_value(node.func.value) if isinstance(node.func, ast.Attribute) else None
    if type(text) is not str:
        return []
    try:
        fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None]
    except ValueError:
        return []
    if any(name for name, _ in fields) or len(fields) != len(node.args):
        return []
    return [(argument, spec or None) for argument, (_, spec) in zip(node.args, fields, strict=True)]


def _is_text(line: ErrorSite, node: ast.expr) -> bool:
    return isinstance(node, (ast.JoinedStr, ast.BinOp)) or type(line.find_value(node)) is str


def _explain_formatted(line: ErrorSite, node: ast.expr, guess: Guess) -> Finding | None:
    name = line.find_text(node)
    tensor = guess.tensors[0] if guess.is_itself else None
    count = site.count_elements(tensor) if tensor is not None else -1
    if count == 1:
        is_torch = site.is_of("torch", tensor)
        text = f"{put_in_parentheses(name)}.item()" if is_torch else f"float({name})"
        headline = f"`{name}` is a tensor of one element, and a number is to be formatted."
        return Finding(headline, line.fix({node: text}), site.describe_guess(name, guess))
    if count > 1:
        note = f"format one of them, or `{put_in_parentheses(name)}.mean().item()`"
        headline = f"`{name}` is a tensor of {count} elements, and a number is to be formatted."
        return Finding(headline, note=note)
    return Finding(f"`{name}` is a tensor, and a number is to be formatted.") if tensor is None else None


def find_item(error: BaseException, line: ErrorSite) -> Finding | None:
    """``t.item()``, of a tensor of several elements."""
    node = line.get_node()
    if not isinstance(error, (RuntimeError, ValueError)) or not isinstance(node, ast.Call):
        return None
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "item" or node.args:
        return None
    guess = _guess_inside(line, node.func.value)
    if guess is None:
        return None
    name = line.find_text(node.func.value)
    count = site.count_elements(guess.tensors[0]) if guess.is_itself else 0
    if (guess.is_itself and count < 2) or (not guess.is_itself and "cannot be converted to Scalar" not in str(error)):
        return None  # it failed for another reason, such as an error of the device
    what = f"a tensor of {count} elements" if count > 1 else "a tensor of more than one element"
    headline = f"`{name}` is {what}, and item() gives one number."
    note = f"`{name}.tolist()` gives all of them; a reduction such as mean() or sum() makes one"
    if not _is_loss(line, node) or not all(site.is_of("torch", t) and t.is_floating_point() for t in guess.tensors):
        return Finding(headline, note=note)
    fix = line.fix({node: f"{put_in_parentheses(name)}.mean().item()"})
    return Finding(headline, fix, "the loss of each sample, or of each device, is told by their mean", note)


def _is_loss(line: ErrorSite, node: ast.Call) -> bool:
    """Tell whether a number is taken of a loss, as its name says, or the name of what a loop takes it from."""
    parent: Any = node
    texts = [line.find_text(node)]
    while not isinstance(parent, ast.stmt):
        parent = parent.parent
        loops = getattr(parent, "generators", [])
        texts += [line.find_text(loop.iter) for loop in loops]
    return any("loss" in text.lower() and not _NO_LOSS.search(text.lower()) for text in texts)


def _guess_inside(line: ErrorSite, node: ast.expr) -> Guess | None:
    """Return which tensor an expression gives, also in a comprehension that its frame runs."""
    guess = line.guess(node)
    parent: Any = node
    while guess is None and not isinstance(parent, ast.stmt):
        parent = parent.parent
        if isinstance(parent, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            guess = line.evaluator.enter(parent.generators).guess(node)
            guess = guess and guess._replace(is_itself=False)  # the first item need not be the one that failed
    return guess


def find_index(error: BaseException, line: ErrorSite) -> Finding | None:
    """``x[idx]``, where `idx` is a tensor of floats, or on another device."""
    node = line.get_node()
    if not isinstance(error, (IndexError, RuntimeError, TypeError)) or not isinstance(node, ast.Subscript):
        return None
    owner = line.guess(node.value)
    if owner is not None and owner.tensors and site.is_of("tensorflow", owner.tensors[0]):
        return _explain_gather(line, node, owner)
    for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
        guess = line.guess(index)
        array = guess_array(line, index.args[0]) if isinstance(index, ast.Call) and index.args else None
        name = line.find_text(index)
        tensor = guess.tensors[0] if guess is not None and guess.is_itself else None
        if array is not None and array.array is not None and _is_from_numpy(line, index):
            is_float, size = array.array.dtype.kind == "f", array.array.size
        elif tensor is not None and site.is_of("torch", tensor):
            is_float, size = tensor.is_floating_point(), tensor.numel()
            found = _explain_device(line, index, tensor, owner)
            if found is not None:
                return found
        else:
            continue
        if is_float:
            why = "an array made of an empty list holds floats" if size == 0 else "places are whole numbers"
            headline = f"`{name}` is a tensor of floats, and an index is wanted: {why}."
            return Finding(headline, line.fix({index: f"{put_in_parentheses(name)}.long()"}))
    return None


def _explain_gather(line: ErrorSite, node: ast.Subscript, owner: Guess) -> Finding | None:
    """Explain a tensor of TensorFlow's that is indexed by an array, or a list."""
    sample = guess_array(line, node.slice)
    if sample is None and type(line.find_value(node.slice)) is not list:
        return None
    name, index = line.find_text(node.value), line.find_text(node.slice)
    is_mask = sample is not None and sample.array is not None and sample.array.dtype.kind == "b"
    function = "tf.boolean_mask" if is_mask else "tf.gather"
    headline = f"`{name}` is a tensor, and TensorFlow's are not indexed by arrays."
    is_one = isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Tuple)
    return Finding(headline, line.fix({node: f"{function}({name}, {index})" if is_one else None}))


def _is_from_numpy(line: ErrorSite, node: Any) -> bool:
    name = getattr(line.find_value(node.func), "__name__", "")
    return get_home(line.find_value(node.func)) == "torch" and name in (*_MAKERS, "from_numpy")


def _explain_device(line: ErrorSite, index: ast.expr, tensor: Any, owner: Guess | None) -> Finding | None:
    like = owner.tensors[0] if owner is not None and owner.tensors else None
    if like is None or not site.is_of("torch", like) or like.device == tensor.device:
        return None
    if tensor.device.type == "cpu":
        return None
    name = line.find_text(index)
    move = ".cpu()" if like.device.type == "cpu" else f".to({str(like.device)!r})"
    headline = f"`{name}` is on {tensor.device}, and the tensor that it is an index of on {like.device}."
    return Finding(headline, line.fix({index: f"{put_in_parentheses(name)}{move}"}))
