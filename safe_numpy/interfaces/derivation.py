"""The code to write for a piece of a file, derived from the tables: a ledger says which cures, and never which code.

What a ledger proposes is taken apart by the codes that the tables have, down to the text that stands in the file, and
put together again. What cannot be taken apart so is not written.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from safe_numpy.callsite.expression import METHODS, find_receiver
from safe_numpy.callsite.replacements import LOOP_FORMS
from safe_numpy.callsite.syntax import makes_tensor
from safe_numpy.diagnosis.causes import Cause, parse_code, put_in_parentheses
from safe_numpy.diagnosis.framework import Twins, load_framework
from safe_numpy.diagnosis.registry import FRAMEWORKS

_HOLE = "hole_of_safe_numpy_"
_DTYPE = re.compile(r"bool|(?:u?int|b?float|complex)\d+(?:_e\d+m\d+(?:b\d+)?(?:fn)?u?z?(?:_x\d)?)?")
_MOST = 20_000
"""characters of a text"""

_ELEMENTS = ("t", "row")
_PATHS = (ast.Name, ast.Attribute, ast.Subscript)
_Holes = dict[str, Any]
_Piece = tuple[int, int, str]
"""where a piece of a text starts and ends, and what to write there"""


class Pattern:
    """A code of the tables, which recognizes what was made of it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._tree = parse_code(code.format_map(_Named()), "eval").body

    def match(self, node: ast.AST) -> _Holes | None:
        """Return what stands in the code's fields; None: the node is no such code."""
        found: _Holes = {}
        return found if _match(self._tree, node, found) else None


class _Named(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"{_HOLE}{name}"


def _match(pattern: Any, value: Any, found: _Holes) -> bool:
    if isinstance(pattern, ast.Name) and pattern.id.startswith(_HOLE) and isinstance(value, ast.expr):
        return _enter(pattern.id, value, found)
    if isinstance(pattern, ast.AST):
        is_alike = type(value) is type(pattern)
        return is_alike and all(_match(getattr(pattern, f), getattr(value, f), found) for f in pattern._fields)
    if isinstance(pattern, list):
        is_list = isinstance(value, list) and len(value) == len(pattern)
        return is_list and all(_match(p, v, found) for p, v in zip(pattern, value, strict=True))
    if isinstance(pattern, str) and pattern.startswith(_HOLE):  # a name behind a dot: of a dtype, and nothing else
        return isinstance(value, str) and _DTYPE.fullmatch(value) is not None and _enter(pattern, value, found)
    return bool(type(pattern) is type(value) and pattern == value)


def _enter(hole: str, value: Any, found: _Holes) -> bool:
    known = found.setdefault(hole.removeprefix(_HOLE), value)
    return known is value or _is_same(known, value)


def _is_same(a: Any, b: Any) -> bool:
    return _spell(a) == _spell(b)


def _spell(value: Any) -> str:
    return ast.dump(value) if isinstance(value, ast.AST) else str(value)


@functools.cache
def _get_pattern(code: str) -> Pattern:
    return Pattern(code)


class Rules:
    """The codes of one framework's tables."""

    def __init__(self, causes: Sequence[Cause], twins: Twins | None) -> None:
        self.cures = [(cause, Pattern(cause.code)) for cause in causes if cause.code is not None]
        self.twins = twins

    def patterns(self, *names: str) -> Iterator[Pattern]:
        """Yield codes of the twins by their names."""
        return (_get_pattern(getattr(self.twins, name)) for name in names if self.twins is not None)


def iterate_rules() -> Iterator[Rules]:
    """Yield the rules of each framework that is installed here, the next one loaded when it is asked for."""
    for module in FRAMEWORKS:
        try:
            importlib.import_module(module)  # what loads ours, who imports it: not the other way round
            framework = load_framework(module)
        except Exception:  # it is not there, or broken
            continue
        try:
            twins = framework.introspect(None).find_twins(())
        except Exception:  # it has some for what is being traced alone, and nothing is
            twins = None
        yield Rules(framework.causes, twins)


class _Anything:
    """Stands for a tensor whose parts are asked for."""

    def __getattr__(self, name: str) -> _Anything:
        return self


class Derivation:
    """Derives the code for one piece of a file."""

    def __init__(self, old: str, rules: Rules, paths: Callable[[], frozenset[str]]) -> None:
        self._text = f"({old}\n)"
        self._rules = rules
        self._paths = paths
        self._known: dict[tuple[int, int], str | None] = {}
        self._cured: dict[tuple[int, int, bool, str], str | None] = {}

    def derive(self, proposed: str) -> str | None:
        """Return the code that was meant by `proposed`; None: it does not follow from the tables."""
        old = parse_code(self._text, "eval").body
        new = parse_code(f"({proposed}\n)", "eval").body
        derived = None if _is_same(old, new) else self._derive(old, new)
        return derived if derived is not None and _is_same(parse_code(f"({derived}\n)", "eval").body, new) else None

    def _derive(self, old: ast.expr, new: ast.expr) -> str | None:
        key = id(old), id(new)
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._find(old, new)
        return self._known[key]

    def _find(self, old: ast.expr, new: ast.expr) -> str | None:
        if _is_same(old, new):
            return self._take(old)
        asked = _find_asked(old)
        number = _get_pattern("{x}.item()").match(new)
        if number is not None and _is_same(number["x"], old):
            return f"{put_in_parentheses(self._take(old))}.item()"
        for node in (asked, old):
            text = self._convert(node, self._take(node), new) if node is not None else None
            if text is not None:
                return text
        kept = self._keep(old, new) if isinstance(old, ast.Call) else None
        if kept is None and asked is not None:
            inner = self._derive(asked, new)
            kept = None if inner is None else put_in_parentheses(inner)
        return kept if kept is not None else self._look_inside(old, new)

    def _take(self, node: ast.AST) -> str:
        """Return the text of a node of the file."""
        return ast.get_source_segment(self._text, node) or ""

    # arrays

    def _convert(self, root: ast.expr, text: str, new: ast.expr) -> str | None:
        """Return `new` as a conversion of `root`, whose text is given; None: it is none."""
        name = put_in_parentheses(text)
        found = _get_pattern("safe_numpy.to_numpy({x})").match(new)
        if found is not None and _is_same(found["x"], root):
            return f"safe_numpy.to_numpy({name if isinstance(root, ast.Tuple) else text})"
        if isinstance(new, ast.Lambda):
            return self._convert_call(text, new)
        array = self._find_array(root, new)
        return array.format(x=name) if array is not None else self._find_loop(root, text, new)

    def _convert_call(self, text: str, new: ast.Lambda) -> str | None:
        """Return a function that gives arrays where `text` is one that gives tensors."""
        call = f"{text}(*args)"
        form = parse_code(f"lambda *args: ({call}\n)", "eval").body
        if not isinstance(form, ast.Lambda) or not _is_same(form.args, new.args):
            return None
        array = self._find_array(form.body, new.body)
        return None if array is None else f"lambda *args: {array.format(x=call)}"

    def _find_array(self, root: ast.expr, new: ast.expr) -> str | None:
        """Return the code over ``{x}`` that makes the array `new` of a tensor."""
        found = _get_pattern("{x}.numpy()").match(new)
        code = self._find_cure(root, found["x"]) if found is not None else None
        return self._find_cure(root, new, ends=True) if code is None else f"{code}.numpy()"

    def _find_cure(self, root: ast.expr, new: ast.expr, below: int = sys.maxsize, ends: bool = False) -> str | None:
        """Return the cures over ``{x}`` that make `new` of a tensor, each once at most, in the order of the table."""
        if _is_same(root, new) and not ends:
            return "{x}"
        key = id(new), below, ends, _spell(root)
        if key not in self._cured:
            self._cured[key] = None
            indices = (i for i in range(min(below, len(self._rules.cures))) if self._rules.cures[i][0].ends is ends)
            found = (self._apply(i, root, new) for i in indices)
            self._cured[key] = next((code for code in found if code is not None), None)
        return self._cured[key]

    def _apply(self, index: int, root: ast.expr, new: ast.expr) -> str | None:
        cause, pattern = self._rules.cures[index]
        holes = pattern.match(new)
        if holes is None:
            return None
        if cause.parts is not None:
            return self._apply_to_parts(index, root, holes)
        inner = self._find_cure(root, holes["x"], index)
        return None if inner is None else pattern.code.format_map({**holes, "x": inner})

    def _apply_to_parts(self, index: int, root: ast.expr, holes: _Holes) -> str | None:
        cause, pattern = self._rules.cures[index]
        codes: dict[str, str] = {}
        for name, (expression, _) in (cause.parts(_Anything()) if cause.parts is not None else {}).items():
            # a cure of the whole goes before: `x.detach().get_data()`
            for before in self._list_cured(root, index):
                part = parse_code(expression.format(x=f"({before[1]}\n)"), "eval").body
                inner = self._find_array(part, holes[name])
                if inner is not None:
                    codes[name] = inner.format(x=expression.format(x=before[0]))
                    break
            else:
                return None
        return pattern.code.format_map(codes)

    def _list_cured(self, root: ast.expr, below: int) -> Iterator[tuple[str, str]]:
        """Yield the codes over ``{x}`` for a tensor with no cure or with one, and what they are of `root`."""
        text = f"({ast.unparse(root)})"
        yield "{x}", text
        for cause, pattern in self._rules.cures[:below]:
            if not cause.ends and cause.parts is None and pattern.code.count("{") == 1:
                yield pattern.code, pattern.code.format(x=text)

    def _find_loop(self, root: ast.expr, text: str, new: ast.expr, depth: int = 0) -> str | None:
        """Return a loop that makes arrays of what a container holds."""
        for form in LOOP_FORMS.values():
            holes = _get_pattern(form).match(new)
            if holes is None or not _is_same(holes.get("text", holes.get("name")), root):
                continue
            variable = getattr(holes["t"], "id", "")
            element = ast.Name(variable, ast.Load())
            if variable not in _ELEMENTS:
                continue
            fix = self._convert_element(element, holes["fix"], depth)
            if fix is not None:
                return form.format(fix=fix, t=variable, text=text, name=put_in_parentheses(text))
        return None

    def _convert_element(self, element: ast.Name, new: ast.expr, depth: int) -> str | None:
        item = _get_pattern("{x}.item()").match(new)
        if item is not None and _is_same(item["x"], element):
            return f"{element.id}.item()"
        array = self._find_array(element, new)
        if array is not None:
            return array.format(x=element.id)
        return self._find_loop(element, element.id, new, depth + 1) if depth == 0 else None

    # tensors that stay tensors

    def _keep(self, old: ast.Call, new: ast.expr) -> str | None:
        """Return what a call becomes where tensors stay tensors."""
        names = _list_path(old.func)
        if names and makes_tensor(names[-1]) and len(old.args) == 1 and not old.keywords:
            made = self._derive(old.args[0], new)
            if made is not None:
                return made
        twins = self._rules.twins
        path = ".".join(names[1:] or names)
        twin = twins.functions.get(path) if twins is not None else None
        if twins is None or twin is None or not old.args or any(isinstance(a, ast.Starred) for a in old.args):
            return None
        bound = twins.bounds.get(names[-1])
        if bound is not None and len(old.args) == 2:
            holes = _get_pattern(bound).match(new)
            for x, number in (old.args, old.args[::-1]) if holes is not None else ():
                texts = self._derive(x, holes["x"]), self._derive(number, holes["bound"])  # type: ignore[index]
                if texts[0] is not None and texts[1] is not None:
                    return bound.format(x=texts[0], bound=texts[1])
        return self._rename(old, new, twin, twins)

    def _rename(self, old: ast.Call, new: ast.expr, twin: str, twins: Twins) -> str | None:
        """Return a call of the framework's function of the same meaning."""
        if not twin:
            is_alone = len(old.args) == 1 and not old.keywords
            return self._derive_operand(old.args[0], new) if is_alone else None
        keywords = [(twins.keywords.get(k.arg or ""), k.value) for k in old.keywords]
        if not isinstance(new, ast.Call) or [name for name, _ in keywords] != [k.arg for k in new.keywords]:
            return None
        function, given, wanted = twin, list(old.args), list(new.args)
        method = f".{twin.rpartition('.')[2]}"
        if not _is_same(new.func, parse_code(twin, "eval").body):
            if not isinstance(new.func, ast.Attribute) or f".{new.func.attr}" != method:
                return None
            stacked = self._derive_operand(given.pop(0), new.func.value)
            function = "" if stacked is None else f"{stacked}{method}"
        if not function or len(given) != len(wanted):
            return None
        texts = [self._derive_operand(a, b) for a, b in zip(given, wanted, strict=True)]
        named = [self._derive(value, k.value) for (_, value), k in zip(keywords, new.keywords, strict=True)]
        if None in texts or None in named:
            return None
        pairs = [f"{name}={text}" for (name, _), text in zip(keywords, named, strict=True)]
        return f"{function}({', '.join([*map(str, texts), *pairs])})"

    def _derive_operand(self, old: ast.expr, new: ast.expr) -> str | None:
        text = self._derive(old, new)
        if text is not None:
            return text
        for pattern in self._rules.patterns("stack"):
            holes = pattern.match(new)
            text = self._derive(old, holes["x"]) if holes is not None else None
            if text is not None:
                return pattern.code.format(x=text)
        return None

    def _make_tensor(self, old: ast.expr, new: ast.expr) -> str | None:
        """Return the code that makes a tensor of an array beside another."""
        for pattern in self._rules.patterns("like"):
            holes = pattern.match(new)
            if holes is None or not isinstance(holes["y"], _PATHS):
                continue
            text, other = self._make_tensor(old, holes["x"]), ast.unparse(holes["y"])
            if text is not None and other in self._paths():
                return pattern.code.format(x=text, y=other)
        for pattern in self._rules.patterns("from_array", "from_any"):
            holes = pattern.match(new)
            text = self._derive(old, holes["x"]) if holes is not None else None
            if text is not None:
                return pattern.code.format(x=text)
        return None

    # the rest as it is

    def _look_inside(self, old: ast.expr, new: ast.expr) -> str | None:
        """Return the text of an expression with what is in it derived."""
        made = self._make_tensor(old, new)
        if made is not None or type(old) is not type(new) or isinstance(old, ast.JoinedStr):
            return made
        pieces = self._gather(old, new)
        if pieces is None:
            return None
        start, end = self._find_range(old)
        text, position = "", start
        for first, last, piece in sorted(pieces):
            text += self._text[position:first] + piece
            position = last
        return text + self._text[position:end]

    def _gather(self, old: Any, new: Any) -> list[_Piece] | None:
        """Return what to write in a node whose kind is the same; None: it does not follow from the tables."""
        if isinstance(old, list):
            is_alike = isinstance(new, list) and len(old) == len(new)
            return self._join(zip(old, new, strict=True)) if is_alike else None
        if not isinstance(old, ast.AST):
            return [] if type(old) is type(new) and old == new else None
        if type(old) is not type(new):
            return None
        return self._join((getattr(old, name), getattr(new, name)) for name in old._fields)

    def _join(self, pairs: Iterable[tuple[Any, Any]]) -> list[_Piece] | None:
        pieces: list[_Piece] = []
        for old, new in pairs:
            if isinstance(old, ast.expr) and isinstance(new, ast.expr):
                text = "" if (is_same := _is_same(old, new)) else self._derive(old, new)
                found = [] if is_same else None if text is None else [(*self._find_range(old), text)]
            else:
                found = self._gather(old, new)
            if found is None:
                return None
            pieces += found
        return pieces

    @functools.cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self._text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def _find_range(self, node: ast.expr) -> tuple[int, int]:
        return self._find_offset(node.lineno, node.col_offset), self._find_offset(
            node.end_lineno or 0, node.end_col_offset or 0
        )

    def _find_offset(self, lineno: int, column: int) -> int:
        start, end = self._starts[lineno - 1 : lineno + 1]
        return start + len(self._text[start:end].encode()[:column].decode())


def _find_asked(node: ast.expr) -> ast.expr | None:
    """Return ``x`` of ``x.numpy()`` and of ``torch.Tensor.numpy(x)``."""
    if not isinstance(node, ast.Call) or not node.args:
        return find_receiver(node) if isinstance(node, ast.Call) else None
    owner, name = ["", "", *_list_path(node.func)][-2:]
    is_unbound = owner == "Tensor" and name in METHODS and len(node.args) == 1 and not node.keywords
    return node.args[0] if is_unbound else None


def _list_path(function: ast.expr) -> list[str]:
    """Return the names in a path of names, ``np.linalg.norm``; none of anything else."""
    names: list[str] = []
    while isinstance(function, ast.Attribute):
        names.insert(0, function.attr)
        function = function.value
    return [function.id, *names] if isinstance(function, ast.Name) else []


class Deriver:
    """Derives code for the pieces of files, with the tables of the frameworks that are installed."""

    def __init__(self) -> None:
        self._rules: list[Rules] = []
        self._more = iterate_rules()

    def derive(self, old: str, proposed: str, paths: Callable[[], frozenset[str]]) -> str | None:
        """Return the code to write for a piece of a file; None: what is proposed does not follow from the tables.

        `paths` gives the variables that the statement mentions.
        """
        if max(len(old), len(proposed)) > _MOST:
            return None
        try:
            for rules in self._iterate():
                derived = Derivation(old, rules, paths).derive(proposed)
                if derived is not None:
                    return derived
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # of what is proposed: it is no expression
            return None
        return None

    def _iterate(self) -> Iterator[Rules]:
        yield from list(self._rules)
        for rules in self._more:
            self._rules.append(rules)
            yield rules


def list_paths(tree: ast.Module, lineno: int) -> frozenset[str]:
    """Return the variables, attributes and elements that the statements of a line mention."""
    found = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt) and statement.lineno <= lineno <= (statement.end_lineno or 0):
            heads = [n for n in ast.iter_child_nodes(statement) if not isinstance(n, (ast.stmt, ast.ExceptHandler))]
            found |= {ast.unparse(n) for head in heads for n in ast.walk(head) if isinstance(n, _PATHS)}
    return frozenset(found)
