"""Mutants of a program: the same tensor by another form, in another setting; what the program prints stays the same."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from judge import Program, same_code

HELPERS = """
class Holder:
    def __init__(self, value):
        self.value = value
    @property
    def held(self):
        return self.value
    def get(self):
        return self.value
def identity(value):
    return value
def choose(first, second=None):
    return first
""".strip()

FORMS: dict[str, str] = {
    "parentheses": "({x})",
    "product": "({x} * 1)",
    "product_left": "(1 * {x})",
    "sum": "({x} + 0)",
    "difference": "({x} - 0)",
    "negation": "-(-{x})",
    "mean_of_two": "(({x} + {x}) / 2)",
    "walrus": "(again := {x})",
    "conditional": "({x} if True else None)",
    "conditional_same": "({x} if 1 > 2 else {x})",
    "item_of_list": "[{x}][0]",
    "item_of_dict": "{{'key': {x}}}['key']",
    "item_of_tuple": "({x}, None)[0]",
    "function": "identity({x})",
    "function_of_two": "choose({x}, 1)",
    "method": "Holder({x}).get()",
    "property": "Holder({x}).held",
    "attribute": "Holder({x}).value",
    "lambda": "(lambda value: value)({x})",
    "comprehension": "[each for each in [{x}]][0]",
    "ellipsis": "{x}[...]",
    "contiguous": "{x}.contiguous()",
    "reshape": "{x}.reshape({x}.shape)",
    "clone": "{x}.clone()",
    "add_method": "{x}.add(0)",
}
"""the tensor by another expression"""

HELD: dict[str, tuple[str, str]] = {
    "variable": ("held = {x}", "held"),
    "namespace": ("held = Holder({x})", "held.value"),
    "own_property": ("held = Holder({x})", "held.held"),
    "own_method": ("held = Holder({x})", "held.get()"),
    "list": ("held = [{x}]", "held[0]"),
    "list_by_index": ("held, which = [None, {x}], 1", "held[which]"),
    "dict": ("held = {{'key': {x}}}", "held['key']"),
    "nested": ("held = {{'key': [{x}]}}", "held['key'][0]"),
    "closure": ("held = lambda: {x}", "held()"),
    "tuple": ("held = ({x}, 3)", "held[0]"),
    "scaled_variable": ("held = {x}", "held * 1"),
    "variable_sum": ("held = {x}", "(0 + held)"),
    "starred": ("held = [{x}]", "*held"),
    "starred_tuple": ("held = ({x},)", "*held"),
}
"""a statement before the line, and the expression instead of the tensor"""

SETTINGS: dict[str, tuple[str, ...]] = {
    "if": ("if True:",),
    "loop": ("for _ in range(1):",),
    "twice": ("for _ in range(1):", "    if _ == 0:"),
    "try": ("try:", None, "finally:", "    pass"),  # type: ignore[dict-item]
    "with": ("with __import__('contextlib').nullcontext():",),
}
"""statements around the line"""


@dataclass(frozen=True)
class Mutant:
    """A program that does the same as another one."""

    program: Program
    kind: str
    text: str


def mutate(program: Program, lineno: int) -> Iterator[Mutant]:
    """Yield the mutants of a program that fails at a line."""
    tree = ast.parse(program.text)
    statement = _find_statement(tree, lineno)
    place = statement and _find_tensor(program, statement)
    if statement is None or place is None:
        return
    seen = {program.text}
    edits = _Edits(program.text, statement, place)
    for kind, make in _list_kinds():
        text = make(edits)
        if text is None or text in seen:
            continue
        try:
            compile(text, "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        seen.add(text)
        yield Mutant(program, kind, text)


def _list_kinds() -> Iterator[tuple[str, Callable[[_Edits], str | None]]]:
    settings: list[str | None] = [None, *SETTINGS]
    for setting in settings:
        for kind, form in FORMS.items():
            yield _name(kind, setting), lambda e, form=form, s=setting: e.write(form, None, s)
        for kind, (before, form) in HELD.items():
            yield _name(kind, setting), lambda e, b=before, form=form, s=setting: e.write(form, b, s)
        yield _name("as_it_is", setting), lambda e, s=setting: e.write("{x}", None, s)
        yield _name("lines", setting), lambda e, s=setting: e.spread(s)
        yield _name("swapped", setting), lambda e, s=setting: e.swap(s)


def _name(kind: str, setting: str | None) -> str:
    return kind if setting is None else f"{kind} in {setting}"


def _find_statement(tree: ast.Module, lineno: int) -> ast.stmt | None:
    found = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= lineno <= (n.end_lineno or 0)]
    return max(found, key=lambda s: (s.lineno, s.col_offset), default=None)


def _find_tensor(program: Program, statement: ast.stmt) -> ast.expr | None:
    nodes = [n for n in ast.walk(statement) if isinstance(n, ast.expr) and n.lineno and not _is_stored(n)]
    for name in program.names:
        for node in nodes:
            if same_code(ast.unparse(node), name):
                return node
    return None


def _is_stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


class _Edits:
    """One line of a program, in parts."""

    def __init__(self, text: str, statement: ast.stmt, place: ast.expr) -> None:
        self._lines = text.splitlines(keepends=True)
        self._text = text
        self._statement = statement
        self._place = place
        self._start, self._end = self._offset(statement.lineno, statement.col_offset), self._get_end(statement)
        self._x = text[self._offset(place.lineno, place.col_offset) : self._get_end(place)]
        line = self._lines[statement.lineno - 1]
        self._indent = line[: len(line) - len(line.lstrip())]
        self._has_body = hasattr(statement, "body")

    def _offset(self, lineno: int, column: int) -> int:
        line = self._lines[lineno - 1].encode()[:column].decode()
        return sum(map(len, self._lines[: lineno - 1])) + len(line)

    def _get_end(self, node: ast.stmt | ast.expr) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def _put(self, node: ast.expr, new: str) -> str:
        start, end = self._offset(node.lineno, node.col_offset), self._get_end(node)
        return self._text[self._start : start] + new + self._text[end : self._end]

    def write(self, form: str, before: str | None, setting: str | None) -> str | None:
        """Return the program with the tensor in another form."""
        x = self._x
        is_bare = isinstance(self._place, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))
        inner = x if is_bare or form in ("({x})", "*{x}") else f"({x})"
        if form.startswith("*") and not self._is_argument():
            return None
        if before is not None and (self._has_body or self._is_in_scope()):
            return None
        new = self._put(self._place, form.format(x=inner))
        return self._compose(new, None if before is None else before.format(x=x), setting)

    def spread(self, setting: str | None) -> str | None:
        """Return the program with every argument of the innermost call on a line of its own."""
        calls = [n for n in ast.walk(self._statement) if isinstance(n, ast.Call) and self._place in ast.walk(n)]
        call = min(calls, key=lambda n: self._get_end(n) - self._offset(n.lineno, n.col_offset), default=None)
        arguments = [] if call is None else [*call.args, *call.keywords]
        if call is None or not arguments or self._has_body or any(isinstance(a, ast.GeneratorExp) for a in arguments):
            return None
        parts = [self._text[self._offset(a.lineno, a.col_offset) : self._get_end(a)] for a in arguments]  # type: ignore[arg-type]
        function = self._text[self._offset(call.func.lineno, call.func.col_offset) : self._get_end(call.func)]
        inner = self._indent + "    "
        new = function + "(\n" + "".join(f"{inner}{p},\n" for p in parts) + self._indent + ")"
        return self._compose(self._put(call, new), None, setting)

    def swap(self, setting: str | None) -> str | None:
        """Return the program with the operands of a sum or a product the other way round."""
        for node in ast.walk(self._statement):
            if (
                isinstance(node, ast.BinOp)
                and isinstance(node.op, (ast.Add, ast.Mult))
                and self._place in ast.walk(node)
            ):
                parts = [
                    self._text[self._offset(n.lineno, n.col_offset) : self._get_end(n)] for n in (node.left, node.right)
                ]
                sign = "+" if isinstance(node.op, ast.Add) else "*"
                return self._compose(self._put(node, f"(({parts[1]}) {sign} ({parts[0]}))"), None, setting)
        return None

    def _is_argument(self) -> bool:
        return any(isinstance(n, ast.Call) and self._place in n.args for n in ast.walk(self._statement))

    def _is_in_scope(self) -> bool:
        """Tell whether the tensor stands in a comprehension or a lambda, whose variables the line before has not."""
        scopes = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        return any(isinstance(n, scopes) and self._place in ast.walk(n) for n in ast.walk(self._statement))

    def _compose(self, statement: str, before: str | None, setting: str | None) -> str | None:
        line = self._text[self._text.rfind("\n", 0, self._start) + 1 : self._start]
        rest = self._text[self._end : (self._text + "\n").find("\n", self._end)]
        if line.strip() or rest.strip().startswith(";"):
            return None  # several statements on one line
        if '"""' in statement or "'''" in statement:
            return None
        lines = statement if before is None else f"{before}\n{self._indent}{statement}"
        if setting is not None:
            lines = self._surround(lines, SETTINGS[setting])
        head = self._text[: self._start]
        return _insert_helpers(head + lines + self._text[self._end :])

    def _surround(self, lines: str, setting: tuple[str, ...]) -> str:
        deep = "        " if setting[-1].startswith("    if") else "    "
        inner = deep + lines.replace("\n", f"\n{deep}")
        if None in setting:
            return f"try:\n{self._indent}{inner}\n{self._indent}finally:\n{self._indent}    pass"
        heads = f"\n{self._indent}".join(setting)
        return f"{heads}\n{self._indent}{inner}"


def _insert_helpers(text: str) -> str:
    if not re.search(r"\b(Holder|identity|choose)\(", text):
        return text
    head = re.match(r"(?:#.*\n)*", text)
    end = head.end() if head else 0
    return text[:end] + textwrap.dedent(HELPERS) + "\n" + text[end:]
