"""Rules of `why`: what TensorFlow's tensors, graphs and tapes do not do as arrays would."""

from __future__ import annotations

import ast
import sys
from typing import Any

from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.frames import is_exactly
from safe_numpy.callsite.source import get_lines
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Door
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import uses
from safe_numpy.postmortem.error_site import ErrorSite, Finding

NO_GRADIENT = (
    "tape.gradient gives None where the result does not depend on a variable by TensorFlow's functions alone: "
    "`.numpy()`, `float()` or a function of NumPy's on the way cuts it, and its twin in TensorFlow does not, such as "
    "`tf.reduce_mean` for `np.mean`"
)
_SCATTERED = "`tf.tensor_scatter_nd_update` gives a new tensor with some elements replaced"


def find_string(error: BaseException, line: ErrorSite) -> Finding | None:
    """``text.decode("utf-8")``, of a tensor of strings."""
    node = line.get_node()
    if not isinstance(error, AttributeError) or not isinstance(node, ast.Attribute) or not hasattr(bytes, node.attr):
        return None
    owner = line.find_value(node.value)
    if not _is_tensorflows(owner) or site.is_symbolic(owner) or getattr(owner.dtype, "name", "") != "string":
        return None
    name = line.find_text(node.value)
    is_one = site.count_elements(owner) == 1 and len(owner.shape) == 0
    headline = f"`{name}` is a tensor of strings, and `{node.attr}` is a method of bytes."
    note = "" if is_one else f"`{name}.numpy()` is an array of bytes: ask each of them"
    asked = {node.value, *_list_asked_as_arrays(line)}
    fix = line.fix({n: f"{put_in_parentheses(line.find_text(n))}.numpy()" for n in asked}) if is_one else None
    return Finding(headline, fix, site.describe_tensor(owner) and f"it is {site.describe_tensor(owner)}", note)


def _list_asked_as_arrays(line: ErrorSite) -> list[ast.expr]:
    """Return the tensors that the line asks for what arrays and bytes alone have."""
    numpy, found = sys.modules["numpy"], list[ast.expr]()
    for node in walk_scope(line.running.statement):
        owner = line.find_value(node.value) if isinstance(node, ast.Attribute) else None
        if isinstance(node, ast.Attribute) and _is_tensorflows(owner) and not hasattr(type(owner), node.attr):
            is_bytes = getattr(getattr(owner, "dtype", None), "name", "") == "string" and hasattr(bytes, node.attr)
            found += [node.value] if is_bytes or hasattr(numpy.ndarray, node.attr) else []
    return found


def find_gathered(error: BaseException, line: ErrorSite) -> Finding | None:
    """``tensor[rows, cols]``, ``tensor[[0, 2]]``: TensorFlow takes parts by slices and single numbers alone."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return None
    tensor = line.find_value(node.value)
    if not _is_tensorflows(tensor):
        return None
    name, index = line.find_text(node.value), line.find_text(node.slice)
    headline = f"`{name}` is a tensor, whose parts are taken by slices and single numbers, not by `{index}`."
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    values = [line.find_value(part) for part in parts]
    if not all(map(_is_list_of_places, values)):
        return Finding(
            headline, note="tf.gather takes whole rows, tf.gather_nd elements, tf.boolean_mask those of a mask"
        )
    if len(parts) == 1:
        is_mask = getattr(getattr(values[0], "dtype", None), "name", "") == "bool"
        function = "tf.boolean_mask" if is_mask else "tf.gather"
        return Finding(headline, line.fix({node: f"{function}({name}, {index})"}), _say_what(tensor))
    texts = ", ".join(line.find_text(part) for part in parts)
    fix = line.fix({node: f"tf.gather_nd({name}, tf.stack([{texts}], axis=1))"})
    return Finding(headline, fix if len({len(v) for v in values}) == 1 else None, _say_what(tensor))


def find_scattered(error: BaseException, line: ErrorSite) -> Finding | None:
    """``tensor[0] = 1``, ``tensor[places] = values``: TensorFlow's tensors cannot be changed."""
    statement = line.running.statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if (
        not isinstance(error, TypeError)
        or not isinstance(target, ast.Subscript)
        or not isinstance(statement, ast.Assign)
    ):
        return None
    tensor = line.find_value(target.value)
    if not _is_tensorflows(tensor):
        return None
    name, index, value = (line.find_text(n) for n in (target.value, target.slice, statement.value))
    headline, place = f"`{name}` is a tensor, and its elements cannot be assigned.", line.find_value(target.slice)
    if not isinstance(target.value, (ast.Name, ast.Attribute)):
        return Finding(headline, note=_say_what(tensor), more=_SCATTERED)
    if type(place) is int:
        new = f"tf.tensor_scatter_nd_update({name}, [[{index}]], [{value}])"
    elif _is_list_of_places(place) and not isinstance(place, list) and not isinstance(statement.value, ast.Constant):
        new = f"tf.tensor_scatter_nd_update({name}, {put_in_parentheses(index)}[:, tf.newaxis], {value})"
    else:
        array = "take an array where it comes from, by `.numpy()`, and a copy of that, which may be written to"
        return Finding(headline, note=_say_what(tensor), more=f"{_SCATTERED}; or {array}")
    return Finding(headline, line.fix({target: name, statement.value: new}), _say_what(tensor))


def find_fed(error: BaseException, line: ErrorSite) -> Finding | None:
    """``session.run(op, feed_dict={x: tensor})``: what is fed are values."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    fed = next((k.value for k in node.keywords if k.arg == "feed_dict"), node.args[1] if len(node.args) > 1 else None)
    given = fed.values if isinstance(fed, ast.Dict) else []
    names = [line.find_text(n) for n in given if _is_tensorflows(line.find_value(n))]
    if node.func.attr != "run" or not names:
        return None
    session, listed = line.find_text(node.func.value), ", ".join(names)
    headline = f"`{names[0]}` is a tensor of the graph, and what is fed are values."
    return Finding(headline, note=f"take the values first, `{session}.run([{listed}])`, and feed what that gives")


def find_leaked(error: BaseException, line: ErrorSite) -> Finding | None:
    """``tf.matmul(x, self.kept)``, where what was kept belongs to a function that was traced before."""
    if not isinstance(error, TypeError):
        return None
    for name, tensor in line.find_line_tensors():
        plan, framework = make_plan(tensor, Door.ARRAY), find_framework(tensor)
        if plan is None or framework is None or not any(p.cause == "leaked" for p in plan.problems):
            continue
        problems, _ = framework.introspect(tensor).look_closer(plan.problems, "", line.list_stack())
        problem = next((p for p in problems if p.cause.startswith("leaked")), None)
        if problem is not None:
            facts = {"x": name, "nbytes": "", **problem.facts}
            kept = (
                "a tf.Variable keeps a value from run to run, `self.add_weight(trainable=False)` in a layer of Keras'"
            )
            note, more = problem.says.reason.format_map(facts), problem.says.instead.format_map(facts)
            return Finding(f"`{name}` has no value here.", note=note, more=f"{more}; {kept}")
    return None


def find_no_gradient(error: BaseException, line: ErrorSite) -> Finding | None:
    """``optimizer.apply_gradients(zip(grads, variables))``, of gradients that are None."""
    if not isinstance(error, ValueError) or not has_tape(line):
        return None
    for node in walk_scope(line.running.statement):
        value = line.find_value(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if is_exactly(value, list, tuple) and value and all(item is None for item in value):
            return Finding(f"`{line.find_text(node)}` holds no gradients, only None.", note=NO_GRADIENT)
    return None


def find_recorded(error: BaseException, line: ErrorSite) -> Finding | None:
    """``tape.gradient(array, x)``: what `model.predict` gave, which no tape records."""
    node = line.get_node()
    calls = [node] if isinstance(node, ast.Call) else []
    for call in calls:
        function, name = call.func, line.find_text(call.args[0]) if call.args else ""
        tape = line.find_value(function.value) if isinstance(function, ast.Attribute) else None
        if type(tape).__name__ != "GradientTape" or not site.is_array(line.find_value(call.args[0])):
            continue
        made = [b.value for b in uses.find_bindings(line.find_scope(), name) if b.value is not None]
        asked = [n for value in made for n in ast.walk(value) if isinstance(n, ast.Call) and n.args]
        models = [n for n in asked if isinstance(n.func, ast.Attribute) and n.func.attr == "predict"]
        called = [f"{line.find_text(n.func)[: -len('.predict')]}({line.find_text(n.args[0])})" for n in models]
        predicts = f"predict() gives arrays, and `{called[0]}` gives tensors" if called else ""
        headline = f"`{name}` is an array, and a tape records tensors alone."
        return Finding(headline, note=predicts or NO_GRADIENT)
    return None


def has_tape(line: ErrorSite) -> bool:
    """Tell whether the program has a tape of TensorFlow's, as far as the file tells."""
    return any("GradientTape(" in text for text in get_lines(line.frame))


def _is_tensorflows(x: Any) -> bool:
    return site.is_of("tensorflow", x)


def _say_what(tensor: Any) -> str:
    return f"it is {site.describe_tensor(tensor)}"


def _is_list_of_places(value: Any) -> bool:
    """Tell whether a value is a list, an array or a tensor of whole numbers or truths, along one axis."""
    if type(value) is list:
        return bool(value) and all(type(item) is int for item in value)
    name = getattr(getattr(value, "dtype", None), "name", "")
    is_whole = isinstance(name, str) and name.startswith(("int", "uint", "bool"))
    return is_whole and len(getattr(value, "shape", ())) == 1 and not site.is_of("torch", value)
