"""Where an error arose in the user's code: the running line, and what its expressions are.

Imports what reads source; so it is imported late.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from safe_numpy.callsite.evaluator import NOTHING, Evaluator, Guess, get_home
from safe_numpy.callsite.expression import find_inside, find_operands, walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import OURSELVES, find_package, is_between, is_exactly, is_users, list_callers, locate
from safe_numpy.callsite.functions import find_scope, walk_own
from safe_numpy.callsite.source import RunningCode, find_statement
from safe_numpy.callsite.written import read_written
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses, unite_plans
from safe_numpy.diagnosis.facts import Door, Kind, Site
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.messages.units import name_place
from safe_numpy.postmortem import uses

_OF_PARTS_TOO = frozenset({Kind.GRAD, Kind.DEVICE, Kind.DTYPE})
"""what is as true of what is computed from a tensor as of the tensor"""


_BLOCKS = ("body", "orelse", "finalbody", "handlers")
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


class Finding(NamedTuple):
    """Why an error arose."""

    headline: str
    fix: str | None = None
    """the user's line, corrected"""
    note: str = ""
    more: str = ""
    """a second note"""
    alternative: str | None = None
    """the line corrected in another way, for another purpose"""
    when: str = ""
    """for which purpose"""
    place: str = ""
    """where the corrected line stands; empty: it is the one that failed"""


class ErrorSite(NamedTuple):
    """A line of the user's that an error passed; most often the innermost."""

    site: Site
    running: RunningCode
    evaluator: Evaluator
    is_direct: bool
    """the error arose in this very line, and not in Python code that it called"""
    frame: FrameType
    outer: tuple[TracebackType, ...]
    """the traceback's entries before it, the outermost first"""

    def list_stack(self) -> list[FrameType]:
        """Return the frames from the line's outwards, those too that were taken out of the error's traceback."""
        stack: dict[FrameType, None] = {}
        for inner in (self.frame, *(entry.tb_frame for entry in reversed(self.outer))):
            for frame in list_callers(inner):
                if frame in stack:
                    break
                stack[frame] = None
        return list(stack)

    def get_node(self) -> ast.AST:
        """Return the operation that failed: an expression, or the whole statement."""
        return self.running.node or self.running.statement

    def get_operands(self) -> list[ast.expr]:
        """Return what the operation is given."""
        return list(find_operands(self.running.node)) if self.running.node is not None else []

    def find_text(self, node: ast.expr) -> str:
        """Return the text of an expression."""
        return self.running.find_text(node)

    def find_value(self, node: ast.expr, otherwise: Any = None) -> Any:
        """Return the value of an expression that can be evaluated without running anybody's code."""
        return self.evaluator.find(node, otherwise)

    def guess(self, node: ast.expr) -> Guess | None:
        """Return which tensor an expression gives, as far as that can be told; a module's is like its parameters."""
        found = self.evaluator.guess(node)
        if found is None or found.tensors:
            return found
        modules = [self.find_value(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
        parameters = [p for m in modules if m is not None and (p := _find_parameter(m)) is not None]
        return Guess(tuple(parameters), False)

    def find_tensors(self) -> Iterator[tuple[ast.expr, Guess]]:
        """Yield the operands that are tensors."""
        for node in self.get_operands():
            guess = self.guess(node)
            if guess is not None:
                yield node, guess

    def find_line_tensors(self) -> list[tuple[str, Any]]:
        """Return what the line names that is a tensor, and the tensors."""
        found: dict[str, Any] = {}
        for node in walk_scope(self.running.statement):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
                value = self.find_value(node)
                if find_framework(value) is not None and (text := self.find_text(node)):
                    found.setdefault(text, value)
        return list(found.items())

    def find_object(self, value: Any) -> str:
        """Return what the line calls `value`, an operand or in one; nothing if that cannot be told."""
        operands = self.get_operands()
        for node in operands:
            if self.find_value(node) is value:
                return self.find_text(node)
        for node in operands:
            path = find_inside(self.find_value(node), value)
            if path is not None:
                return put_in_parentheses(self.find_text(node)) + path
        return ""

    def fix(self, replacements: Mapping[ast.expr, str | None]) -> str | None:
        """Return the line with expressions replaced; None if there is nothing to replace them with."""
        found = {node: text for node, text in replacements.items() if text is not None}
        return correct(self.running, found, self.evaluator).shown

    def fix_elsewhere(self, statement: ast.stmt, replacements: Mapping[ast.expr, str | None]) -> str | None:
        """Return another statement of the same function with expressions replaced."""
        found = {node: text for node, text in replacements.items() if text is not None}
        return correct(uses.at(self.running, statement), found, self.evaluator).shown

    def name_statement(self, statement: ast.stmt) -> str:
        """Return where a statement of the same file stands."""
        return name_place(self.site.filename, statement.lineno)

    def fix_tensors(self) -> str | None:
        """Return the line with every tensor that the operation is given converted."""
        return self.fix({node: write_guess(self.find_text(node), guess) for node, guess in self.find_tensors()})

    def find_scope(self) -> ast.AST:
        """Return the function that the line stands in."""
        return find_scope(self.running.statement)

    def find_kinds(self, name: str) -> set[uses.Kind]:
        """Return what the rest of the function asks of a variable."""
        return uses.list_kinds(self.find_scope(), name, self.evaluator, self.running.statement)

    def is_parameter(self, node: ast.expr) -> bool:
        """Tell whether an expression is a parameter of the function, as it was given."""
        if not isinstance(node, ast.Name):
            return False
        scope = self.find_scope()
        return uses.is_parameter(scope, node.id) and not uses.find_bindings(scope, node.id)

    def find_caller(self) -> tuple[ErrorSite, bool] | None:
        """Return the line of the user's that called this function, and whether a library stands between."""
        users = [e for e in self.outer if is_users(e.tb_frame)]
        if not users:
            return None
        entry = users[-1]
        outer = self.outer[: self.outer.index(entry)]
        found = _list_possible(entry, outer)
        return None if not found else (found[-1], entry.tb_next is None or not is_users(entry.tb_next.tb_frame))


def _find_parameter(module: Any) -> Any:
    """Return the first parameter of a module, which its results are like."""
    try:
        found = next(iter(module.parameters()), None)
    except Exception:  # it is none
        return None
    return found if find_framework(found) is not None else None


def list_error_sites(traceback: TracebackType | None) -> list[ErrorSite]:
    """Return the innermost line of the user's in a traceback, with what may have been its variables.

    In the last of them those are not known that are lost; there is none where there is no source.
    """
    entry, found = traceback, None
    passed: list[TracebackType] = []
    outer: tuple[TracebackType, ...] = ()
    while entry is not None:
        if is_users(entry.tb_frame):
            found, outer = entry, tuple(passed)
        passed.append(entry)
        entry = entry.tb_next
    return [] if found is None else _list_possible(found, outer)


def _list_possible(entry: TracebackType, outer: tuple[TracebackType, ...]) -> list[ErrorSite]:
    frame, following = entry.tb_frame, entry.tb_next
    while following is not None and _is_skipped(following.tb_frame):
        following = following.tb_next
    is_librarys = following is not None and not is_users(following.tb_frame)
    library = find_package(following.tb_frame) if following is not None and is_librarys else ""
    site = locate(frame, library, at=(entry.tb_lineno, entry.tb_lasti))
    running = read_written(site, frame, entry.tb_lasti, entry.tb_lineno)
    if running is None:
        return []
    site = replace(site, source=running.get_line(site.lineno))
    rounds = Evaluator.list_possible(running, frame, entry.tb_lasti)
    return [ErrorSite(site, running, evaluator, following is None, frame, outer) for evaluator in rounds]


class Making(NamedTuple):
    """The statement that gave a variable its value."""

    statement: ast.stmt
    value: ast.expr
    """what is assigned to the variable"""


def find_making(line: ErrorSite, name: str) -> Making | None:
    """Return the statement from which a variable has its value where the line runs; None if that is not certain."""
    scope, statement = line.find_scope(), line.running.statement
    found = [b.statement for b in uses.find_bindings(scope, name) if b.statement is not statement]
    able = [s for s in found if not _gave_another(line, _find_assigned_value(s, name), name)]
    is_only = len(found) == len(able) == 1 and not uses.is_parameter(scope, name)
    last = able[0] if is_only else _choose_reaching(statement, able)
    value = _find_assigned_value(last, name) if last is not None else None
    return None if last is None or value is None else Making(last, value)


def _find_assigned_value(statement: ast.stmt, name: str) -> ast.expr | None:
    """Return what a statement assigns to a variable: alone, or at its place in ``a, b = x, y``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name):
        return value
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple) or len(target.elts) != len(value.elts):
        return None
    places = [i for i, t in enumerate(target.elts) if isinstance(t, ast.Name) and t.id == name]
    is_plain = len(places) == 1 and not any(isinstance(n, ast.Starred) for n in (*target.elts, *value.elts))
    return value.elts[places[0]] if is_plain else None


def _gave_another(line: ErrorSite, value: ast.expr | None, name: str) -> bool:
    """Tell whether a statement cannot have given a variable what it holds: it has not run, or gives something else."""
    held = line.find_value(ast.Name(name, ast.Load()), NOTHING)
    if isinstance(value, ast.Name):
        given = line.find_value(value, NOTHING)  # nothing: it has no value yet
        return given is NOTHING or type(given) is not type(held)
    is_numpys = isinstance(value, ast.Call) and get_home(line.find_value(value.func)) == "numpy"
    return is_numpys and is_exactly(held, tuple, dict)


def _choose_reaching(statement: ast.stmt, bindings: list[ast.stmt]) -> ast.stmt | None:
    """Return the last binding before a statement, where it always runs and no other comes between."""
    before = [b for b in bindings if b.lineno < statement.lineno]
    if not before:
        return None
    last: Any = max(before, key=lambda b: b.lineno)
    around = _list_around(statement)
    outer = last.parent
    if all(outer is not a for a in around):
        return None
    inner: Any = around[around.index(outer) - 1] if outer is not statement else statement
    if not any(last in block and inner in block for f in _BLOCKS if isinstance(block := getattr(outer, f, None), list)):
        return None
    loops = [a for a in around[: around.index(outer)] if isinstance(a, _LOOPS)]
    inside = {id(n) for loop in loops for n in ast.walk(loop)}
    return None if any(id(b) in inside for b in bindings) else last


def _list_around(statement: ast.stmt) -> list[ast.AST]:
    """Return a statement and what stands around it, the innermost first."""
    found: list[ast.AST] = []
    node: Any = statement
    while node is not None:
        found.append(node)
        node = getattr(node, "parent", None)
    return found


def list_passed(line: ErrorSite) -> Iterator[ErrorSite]:
    """Yield the lines of the user's that the error passed on its way out, the innermost first; the line too."""
    yield line
    found = line.find_caller()
    while found is not None:
        yield found[0]
        found = found[0].find_caller()


def find_made_of(
    line: ErrorSite, is_maker: Callable[[ErrorSite, ast.Call], bool], value: Any
) -> tuple[ErrorSite, ast.stmt, ast.expr] | None:
    """Return the one call that was given a value, of some kind of calls, in the functions that the error passed.

    What comes back is the function's running line, the statement of the call, and the argument.
    """
    found = []
    for caller in list_passed(line):
        for node in walk_own(caller.find_scope()):
            if isinstance(node, ast.Call) and is_maker(caller, node):
                given = [*node.args, *(k.value for k in node.keywords)]
                found += [(caller, find_statement(node), n) for n in given if caller.find_value(n) is value]
    return found[0] if len(found) == 1 else None


def _is_skipped(frame: FrameType) -> bool:
    """Tell whether a guarded method of ours stands in the place of what was called, or what runs made code."""
    return frame.f_code.co_filename.startswith(OURSELVES) or is_between(frame)


def write_conversion(text: str, tensor: Any) -> str | None:
    """Return the code that makes an array of a tensor called `text`; None where nothing does."""
    plan = make_plan(tensor, Door.ARRAY)
    return None if plan is None else plan.render(text)


def write_guess(text: str, guess: Guess) -> str | None:
    """Return the code that makes an array of an expression that is like some tensors; None where that is not known."""
    plans = [plan for tensor in guess.tensors if (plan := make_plan(tensor, Door.ARRAY)) is not None]
    if guess.is_itself or not plans:
        return plans[0].render(text) if plans else None
    framework = find_framework(guess.tensors[0])
    united: Plan | None = plans[0]
    for plan in plans[1:]:
        united = unite_plans(united, plan, framework.causes) if united is not None and framework is not None else None
    if united is None or not _OF_PARTS_TOO.issuperset(p.kind for p in united.problems):
        return None
    return united.render(text)


def describe_tensor(tensor: Any) -> str:
    """Return what a tensor is, in words."""
    plan = make_plan(tensor, Door.ARRAY)
    return "" if plan is None else str(plan.subject)


def describe_guess(text: str, guess: Guess) -> str:
    """Return what an expression is, in words; nothing where its form alone is known."""
    return f"`{text}` is {describe_tensor(guess.tensors[0])}" if guess.is_itself else ""


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor of any framework."""
    return find_framework(x) is not None


def is_array(x: Any) -> bool:
    """Tell whether `x` is an array of NumPy's."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(x), numpy.ndarray)


def is_of(framework_name: str, x: Any) -> bool:
    """Tell whether `x` is a tensor of the framework of that name."""
    framework = find_framework(x)
    return framework is not None and framework.name == framework_name


def requires_grad(guess: Guess) -> bool:
    """Tell whether what an expression gives may be part of a training."""
    return any(getattr(tensor, "requires_grad", False) is True for tensor in guess.tensors)


def is_symbolic(x: Any) -> bool:
    """Tell whether `x` is a tensor that has no value yet: one of a function that is being traced, of a model's plan."""
    plan = make_plan(x, Door.ARRAY)
    return plan is not None and any(problem.kind is Kind.SYMBOLIC for problem in plan.problems)


def count_elements(tensor: Any) -> int:
    """Return how many numbers a tensor holds; -1 where it does not tell."""
    shape = getattr(tensor, "shape", None)
    try:
        count = 1
        for n in tuple(shape):  # type: ignore[arg-type]
            count *= int(n)
    except Exception:  # unknown, symbolic
        return -1
    return count


def get_shape(x: Any) -> str:
    """Return the shape of a tensor as text."""
    return str(getattr(x, "shape", None)).removeprefix("torch.Size(").removesuffix(")")


def is_known(line: ErrorSite, node: ast.expr) -> bool:
    """Tell whether the value of an expression is known."""
    return line.find_value(node, NOTHING) is not NOTHING


Rule = Callable[[BaseException, ErrorSite], Finding | None]
"""looks at one way to fail on the way to NumPy; says nothing unless an object confirms it"""


def say_array_wanted(name: str, guess: Guess, line: ErrorSite, note: str) -> Finding:
    """Say that code which takes arrays alone was given a tensor."""
    headline = f"`{name}` is a tensor, and an array is wanted here."
    return Finding(headline, line.fix_tensors(), describe_guess(name, guess), note)


def say_class(name: str) -> Finding:
    """Say that a class was asked what its instances are to be asked."""
    note = "call it, or take the tensor that was made with it"
    return Finding(f"`{name}` is a class, not an instance of it.", note=note)
