"""Rules of `why`: an attribute of tensors that something else was asked for, and one of arrays asked of a tensor."""

from __future__ import annotations

import ast
import difflib
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import BuiltinMethodType, MethodType
from typing import Any

from safe_numpy.callsite.evaluator import get_home, is_framework_object
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.frames import get_class_module, get_mro, is_exactly, read_members
from safe_numpy.callsite.functions import walk_own
from safe_numpy.callsite.source import find_statement
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.diagnosis.framework import is_tensor_class, make_plan
from safe_numpy.messages.units import count_noun, join_names, name_type
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import uses
from safe_numpy.postmortem.containers import (
    CERTAIN,
    MOVING,
    Choice,
    Missing,
    choose_element,
    choose_iterated,
    list_elements,
    write_mapped,
)
from safe_numpy.postmortem.cuts import explain_none
from safe_numpy.postmortem.error_site import ErrorSite, Finding, find_making

_NEEDLESS = frozenset({"numpy", "cpu", "detach", "cuda", "item", "clone", "contiguous", "requires_grad_"})
"""what an array or a number need not be asked for"""

_CONVERSIONS = frozenset({"toarray", "todense", "to_numpy", "asnumpy"})
"""how other libraries call what tensors call numpy()"""

_OF_TENSORS = CERTAIN | {
    "item",
    "tolist",
    "squeeze",
    "unsqueeze",
    "argmax",
    "permute",
    "requires_grad_",
    "numel",
}
"""what objects of the user's own classes are seldom asked for, unless they are taken for tensors"""

_NUMBERS = (bool, int, float, complex)


def find_method(error: BaseException, line: ErrorSite) -> Finding | None:
    """``plt.plot(x.numpy)``, ``x.detach.numpy()``: the parentheses are missing."""
    nodes, node = line.get_operands(), line.get_node()
    if isinstance(error, AttributeError):
        if not isinstance(node, ast.Attribute) or node.attr != error.name:
            return None
        nodes = [node.value]
    elif not isinstance(error, (TypeError, ValueError)):
        return None
    for operand in nodes:
        method = line.find_value(operand)
        tensor = method.__self__ if is_exactly(method, MethodType, BuiltinMethodType) else None
        if site.is_tensor(tensor) and isinstance(operand, ast.Attribute):
            return _explain_method(line, operand, tensor, isinstance(error, AttributeError))
    return None


def _explain_method(line: ErrorSite, operand: ast.Attribute, tensor: Any, is_asked: bool) -> Finding:
    text, owner = line.find_text(operand), line.find_text(operand.value)
    headline = f"`{text}` is the method itself: its parentheses are missing."
    if operand.attr == "var" and is_asked:
        # PyTorch said "Use var.detach().numpy() instead", meaning any variable, up to version 1.4
        # (https://github.com/pytorch/pytorch/pull/18481), and people still write that
        note = f"an old message of PyTorch said `var.detach().numpy()`, where `var` stands for your variable, `{owner}`"
        return Finding(f"`{text}` is a method of `{owner}`.", line.fix({operand: owner}), note)
    call = site.write_conversion(owner, tensor) if operand.attr == "numpy" else f"{text}()"
    return Finding(headline, line.fix({operand: call}))


def find_attribute(error: BaseException, line: ErrorSite) -> Finding | None:
    """``outputs.numpy()``, where `outputs` is no tensor; ``x.astype(...)``, where `x` is one."""
    if not isinstance(error, AttributeError) or not isinstance(error.name, str):
        return None
    obj, node = error.obj, line.get_node()
    holder = node.value if isinstance(node, ast.Attribute) and node.attr == error.name else None
    name = line.find_text(holder) if holder is not None else line.find_object(obj)
    if not name and site.is_tensor(obj):
        operands = [node for node, _ in line.find_tensors()]
        name = line.find_text(operands[0]) if len(operands) == 1 else ""
    if not name:
        return None
    if isinstance(holder, (ast.Name, ast.Attribute, ast.Subscript)) and line.find_value(holder, obj) is not obj:
        return None  # a list display, for one, is a new list each time
    missing = Missing(line, name, error.name, obj, holder)
    if site.is_tensor(obj):
        return _explain_tensor(missing)
    return next(explain for is_kind, explain in _KINDS if is_kind(obj))(missing)


def _explain_tensor(missing: Missing) -> Finding | None:
    numpy, name, attribute, line = sys.modules.get("numpy"), missing.name, missing.attribute, missing.line
    note = f"it is {site.describe_tensor(missing.obj)}"
    if missing.holder is None:
        return _explain_asked_by_library(missing)
    if str(getattr(getattr(missing.obj, "dtype", None), "name", "")) == "variant":
        headline = f"`{name}` is what is left of a TensorArray outside its function, and has no {attribute}()."
        return Finding(headline, note="return `.stack()` of it there, which is one tensor")
    if attribute in _CONVERSIONS:
        headline = f"`{name}` is a tensor, and has no {attribute}()."
        end = missing.list_chain()[0][1]
        return Finding(headline, line.fix({end: site.write_conversion(name, missing.obj)}), note)
    if numpy is None or attribute not in vars(numpy.ndarray):
        return None
    headline = f"`{name}` is a tensor, and `{attribute}` is a method of arrays."
    replacements = {missing.holder: site.write_conversion(name, missing.obj)}
    for node in walk_own(line.running.statement):  # the same mistake twice in one line
        if isinstance(node, ast.Attribute) and node.attr == attribute and node.value is not missing.holder:
            guess = line.guess(node.value)
            if guess is not None:
                replacements[node.value] = site.write_guess(line.find_text(node.value), guess)
    return Finding(headline, line.fix(replacements), note)


def _explain_asked_by_library(missing: Missing) -> Finding | None:
    if not missing.line.site.library or missing.attribute.startswith("__"):
        return None
    headline = (
        f"`{missing.name}` is a tensor, and {missing.line.site.library} asks it for `{missing.attribute}`: something "
        "else is wanted here."
    )
    return Finding(headline, note=f"it is {site.describe_tensor(missing.obj)}")


def _explain_dtype(missing: Missing) -> Finding | None:
    """Explain ``t.dtype.kind``: a dtype of PyTorch's is none of NumPy's."""
    holder, line = missing.holder, missing.line
    owner = line.guess(holder.value) if isinstance(holder, ast.Attribute) and holder.attr == "dtype" else None
    if owner is None or not isinstance(holder, ast.Attribute):
        return None
    name = line.find_text(holder.value)
    headline = f"`{name}` is a tensor, and `{missing.attribute}` is an attribute of NumPy's dtypes."
    note = f"an array is wanted here, if possible where `{name}` is made"
    replacements = {
        n.value: site.write_guess(line.find_text(n.value), owner)
        for n in walk_scope(line.running.statement)
        if isinstance(n, ast.Attribute) and n.attr == "dtype" and ast.dump(n.value) == ast.dump(holder.value)
    }
    return Finding(headline, line.fix(replacements), site.describe_guess(name, owner), note)


def _explain_class(missing: Missing) -> Finding | None:
    mro = get_mro(missing.obj)
    is_known = is_tensor_class(missing.obj) or any(c.__module__.startswith("torch.nn") for c in mro)
    return site.say_class(missing.name) if is_known and missing.is_certain() else None


def _explain_value(missing: Missing) -> Finding | None:
    name, attribute = missing.name, missing.attribute
    if attribute == "backward":
        note = "no gradient goes through a number or an array: compute the loss of tensors, without item() and numpy()"
        return Finding(f"`{name}` is a {name_type(missing.obj)}, and no tensor any more.", note=note)
    if attribute not in _NEEDLESS:
        return _explain_array(missing) if site.is_array(missing.obj) else None
    headline = (
        f"`{name}` needs no {attribute}(): it is in host memory, and no tensor any more ({name_type(missing.obj)})."
    )
    if missing.holder is None:
        return Finding(headline)
    chain = missing.list_chain()
    last = 0
    while last + 1 < len(chain) and chain[last + 1][0] in _NEEDLESS - {"item"}:
        last += 1
    text = missing.line.find_text(missing.holder)
    if attribute == "item" and type(missing.obj) is float:
        text = f"float({text})"  # right too where it is a tensor in the next round
    return Finding(headline, missing.line.fix({chain[last][1]: text}))


def _explain_array(missing: Missing) -> Finding | None:
    """Explain an array that is asked for a method of tensors."""
    torch = sys.modules.get("torch")
    methods = vars(getattr(torch, "Tensor", object)).keys() | {*dir(getattr(torch, "Tensor", object))}
    if torch is None or missing.holder is None or missing.attribute not in methods or missing.obj.ndim == 0:
        return None
    headline = f"`{missing.name}` is an array, and `{missing.attribute}` is a method of tensors."
    is_taken = missing.attribute not in ("grad", "requires_grad", "device")
    text = f"torch.from_numpy({missing.name})" if is_taken and missing.obj.dtype.kind in "bif" else None
    return Finding(headline, missing.line.fix({missing.holder: text}))


def _explain_container(missing: Missing) -> Finding | None:
    elements = list_elements(missing.obj)
    tensors = [(step, value) for step, value in elements if site.is_tensor(value)]
    chain = missing.list_chain()
    is_plain = is_exactly(missing.obj, list, tuple, dict, OrderedDict, defaultdict, deque)
    is_builtin = issubclass(type(missing.obj), (list, tuple, dict, deque))
    is_asked = missing.attribute in _OF_TENSORS or missing.is_certain()
    is_asked = is_asked or bool(is_builtin and tensors and missing.attribute in dir(type(tensors[0][1])))
    names = [step.strip(".[]'") for step, _ in elements]
    if (
        not is_asked
        or difflib.get_close_matches(missing.attribute, names, 1, 0.8)
        or not (tensors or any(map(_holds_tensors, (v for _, v in elements))))
    ):
        return None
    what = count_noun(len(tensors), "tensor") if tensors else "things that hold tensors"
    headline = f"{missing.head} of {what}." if is_plain else f"{missing.head}, which holds tensors."
    if missing.holder is None or not tensors:
        return Finding(headline)
    use = _find_wish(missing, chain[-1][1])
    hint = _find_hint(chain[-1][1])
    chosen = choose_element(missing.obj, elements, [a for a, _ in chain], use, hint)
    if use == "many" and chosen == Choice() and hint:
        chosen = choose_iterated(missing.obj, elements, {hint, *_list_items(missing.line, hint)})
    if chosen.step:
        return _take_element(missing, headline, chosen.step, dict(elements)[chosen.step], chosen.other)
    if chosen.is_stacked:
        stacked = f"torch.stack({missing.name})"
        whole = _complete(stacked, next((v for _, v in tensors if v.requires_grad), tensors[0][1]), chain)
        replacements = {missing.holder: stacked} if whole is None else {whole[1]: whole[0]}
        return Finding(headline, missing.line.fix(replacements), "one tensor of them all is what has it")
    if chosen.is_mapped:
        nodes = [(a, n) for a, n in chain if a in chosen.attributes]
        text = write_mapped(missing.line, missing.holder, missing.obj, [v for _, v in tensors], nodes)
        note = "" if is_exactly(missing.obj, dict, OrderedDict, defaultdict) else _advise_stack(missing.name, tensors)
        return Finding(headline, missing.line.fix({nodes[-1][1]: text}) if nodes else None, note)
    named = [f"`{put_in_parentheses(missing.name)}{step}`, {site.describe_tensor(v)}" for step, v in tensors[:4]]
    return Finding(headline, note=f"it holds {join_names(named)}: take the one that is meant")


def _advise_stack(name: str, tensors: list[tuple[str, Any]]) -> str:
    values = [v for _, v in tensors]
    if not site.is_of("torch", values[0]) or len(values) < 2 or len(set(map(site.get_shape, values))) > 1:
        return ""
    return f"they have one shape: `torch.stack({name})` is one tensor"


def _holds_tensors(value: Any) -> bool:
    return is_exactly(value, list, tuple, dict) and any(site.is_tensor(v) for _, v in list_elements(value))


def _take_element(missing: Missing, headline: str, step: str, value: Any, other: str) -> Finding:
    """Say which element is meant: in this line, or where the container was made if it is used elsewhere too."""
    line, holder = missing.line, missing.holder
    assert holder is not None
    text = f"{put_in_parentheses(missing.name)}{step}"
    note = f"`{text}` is {site.describe_tensor(value)}"
    if isinstance(holder, ast.Name) and not _is_rebound(line, holder.id) and line.find_kinds(holder.id) - {"many"}:
        made = find_making(line, holder.id)
        if made is None:
            return Finding(headline, note=note, more=f"take it where `{holder.id}` is made: it is used elsewhere too")
        taken = put_in_parentheses(line.find_text(made.value)) + step
        fix = line.fix_elsewhere(made.statement, {made.value: taken})
        return Finding(headline, fix, note, place=line.name_statement(made.statement))
    chain = missing.list_chain()
    whole = _complete(text, value, chain)
    replacements = {holder: text} if whole is None else {whole[1]: whole[0]}
    alternative = line.fix({holder: put_in_parentheses(missing.name) + other}) if other else None
    return Finding(
        headline, line.fix(replacements), note, alternative=alternative, when="for the places, not the values"
    )


def _is_rebound(line: ErrorSite, name: str) -> bool:
    """Tell whether the line itself assigns to a variable."""
    return any(b.statement is line.running.statement for b in uses.find_bindings(line.find_scope(), name))


def _complete(text: str, value: Any, chain: list[tuple[str, ast.expr]]) -> tuple[str, ast.expr] | None:
    """Return the conversion of a tensor, where the line's own would fail; and what it replaces."""
    names = [attribute for attribute, _ in chain]
    if "numpy" not in names:
        return None
    place = names.index("numpy")
    plan = make_plan(value, Door.ARRAY)
    kinds = {problem.kind for problem in plan.problems} if plan is not None else set()
    cured = {Kind.GRAD: {"detach", "data"}, Kind.DEVICE: {"cpu"}, Kind.DTYPE: {"float", "double"}}
    before = set(names[:place])
    is_moved = before <= {"detach", "data", "cpu", "clone"}
    if plan is None or not is_moved or all(before & cured.get(kind, set()) for kind in kinds):
        return None
    code = plan.render(text)
    return None if code is None else (code, chain[place][1])


def _find_wish(missing: Missing, end: ast.expr) -> uses.Kind:
    """Return whether one thing is wanted of the line, or several."""
    found = uses.follow_result(end)
    if isinstance(found, ast.Name) and _is_moved_state(missing, found.id):
        return ""
    if isinstance(found, ast.Name):
        kinds = missing.line.find_kinds(found.id)
        return "one" if kinds - {"many"} else "many" if kinds else ""
    parent: Any = end.parent  # type: ignore[attr-defined]
    if isinstance(parent, ast.Call) and parent.func is not end:
        kind = uses.classify_use(end, missing.line.evaluator)
        is_kept = isinstance(parent.func, ast.Attribute) and parent.func.attr in ("append", "add", "extend")
        return "" if is_kept else "many" if kind == "many" else "one"
    return found


def _is_moved_state(missing: Missing, target: str) -> bool:
    """Tell whether a line moves all of a variable, ``h = h.to(device)``, that goes beside an input into a module.

    What a recurrent module takes there may well be a tuple, which its input may not.
    """
    if not isinstance(missing.holder, ast.Name) or missing.holder.id != target:
        return False
    line, shapes = missing.line, {site.get_shape(value) for _, value in list_elements(missing.obj)}
    if len(shapes) != 1 or not MOVING.issuperset(a for a, _ in missing.list_chain()):
        return False
    found = uses.find_uses(line.find_scope(), target, line.running.statement)
    return bool(found) and all(_is_beside(line, use) for use in found)


def _is_beside(line: ErrorSite, use: Any) -> bool:
    call = use.parent
    return isinstance(call, ast.Call) and use in call.args[1:] and line.evaluator.is_model(call.func)


def _list_items(line: ErrorSite, name: str) -> set[str]:
    """Return what the items of a variable are called in the loops that go through it."""
    parents: list[Any] = [use.parent for use in uses.find_uses(line.find_scope(), name)]  # type: ignore[attr-defined]
    loops = [p for p in parents if isinstance(p, (ast.For, ast.comprehension))]
    return {n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)}


def _find_hint(end: ast.expr) -> str:
    """Return the name of the variable to which the value is assigned."""
    statement = find_statement(end)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")


def _is_dataset(obj: Any) -> bool:
    names = {(get_home(c), c.__name__) for c in get_mro(type(obj))}
    return bool(names & {("torch", "Dataset"), ("torch", "DataLoader"), ("tensorflow", "DatasetV2")})


def _explain_dataset(missing: Missing) -> Finding | None:
    if not missing.is_certain():
        return None
    headline = f"{missing.head}, which gives tensors when it is iterated."
    if not type(missing.obj).__module__.startswith("tensorflow") or missing.holder is None:
        return Finding(headline)
    items = f"list({missing.name}.as_numpy_iterator())"
    is_one = hasattr(type(getattr(missing.obj, "element_spec", None)), "is_compatible_with")
    chain = missing.list_chain()
    return Finding(headline, missing.line.fix({chain[0][1]: f"np.array({items})" if is_one else items}))


def _is_module(obj: Any) -> bool:
    return is_framework_object(obj) and find_home(obj) != ""


def find_home(obj: Any) -> str:
    """Return the framework whose module an object is; nothing where it is none."""
    return next((get_class_module(c) for c in get_mro(type(obj)) if c.__name__ in ("Module", "Layer")), "")


def _explain_module(missing: Missing) -> Finding | None:
    if missing.attribute not in ("numpy", "detach") or type(missing.obj).__name__ == "ModuleList":
        return None
    note = "call it, and ask what it gives; its weights are in state_dict()"
    return Finding(f"{missing.head}, a module and no tensor.", note=note)


def _is_container(obj: Any) -> bool:
    cls = type(obj)
    if issubclass(cls, (list, tuple, dict, deque)):
        return True
    return hasattr(cls, "__dataclass_fields__") or bool(read_members(obj))


def find_unbound(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.Tensor.numpy()``: asked of the class."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    owner = line.find_value(node.func.value)
    if node.func.attr not in _NEEDLESS or node.args or not is_tensor_class(owner):
        return None
    return site.say_class(line.find_text(node.func.value))


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Missing], Finding | None]], ...] = (
    (lambda obj: obj is None, explain_none),
    (lambda obj: issubclass(type(obj), type), _explain_class),
    (lambda obj: is_exactly(obj, *_NUMBERS) or site.is_array(obj) or get_home(type(obj)) == "numpy", _explain_value),
    (_is_dataset, _explain_dataset),
    (lambda obj: type(obj).__name__ == "dtype", _explain_dtype),
    (_is_module, _explain_module),
    (_is_container, _explain_container),
    (lambda obj: True, lambda missing: None),
)
