"""The user's source: which expression was running, and the statement around it.

The work is done by `executing`, which maps an instruction to a node of the syntax tree. It would parse the whole file,
some 130 ms for 5,000 lines; so it is handed the block around the line alone, at the same line numbers.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import io
import linecache
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import CodeType, FrameType, TracebackType
from typing import Any

import asttokens  # noqa: F401 - executing would import it late
import executing
from executing.executing import statement_containing_node

from safe_numpy.diagnosis.causes import parse_code, parsing_quietly

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SMALL = 200
"""lines; a smaller file is parsed whole"""

_MOST_TEXT = 100_000
"""characters of one part of a file; more is not parsed: it is data, or made by a program, and takes seconds"""

_CODE_NAMES = ("<listcomp>", "<dictcomp>", "<setcomp>")
"""the names of their code, before Python 3.12 made it a part of the code around them (https://peps.python.org/pep-0709/)"""

_MOST_CALLS = 1000
_PRECALL = dis.opmap.get("PRECALL", -1)
_PRECALL_SIZE = 4  # bytes: the instruction, and a cache
_BLOCK = re.compile(r"\s*(?:async\s+def\b|def\b|class\b|@)")


@dataclass(frozen=True, slots=True, eq=False)
class RunningCode:
    """What an instruction is, in the source: a part of a file, parsed; the nodes have a `parent`."""

    source: executing.Source
    node: ast.expr | None
    """the operation, most often a call; None: it is somewhere in `statement`"""
    statement: ast.stmt

    def find_text(self, node: ast.AST) -> str:
        """Return the text of a node, or nothing where the syntax tree does not know where it stands."""
        start, end = self.find_range(node)
        return self.source.text[start:end]

    def find_range(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node starts and ends in the text; (0, 0) if that is not known."""
        start, end = self.source.asttext().get_text_range(node, padded=False)
        if isinstance(node, ast.expr) and not _says(self.source.text[start:end], node):
            # positions in f-strings are wrong before Python 3.12 (https://github.com/python/cpython/issues/104608)
            return 0, 0
        return start, end

    def list_inlined_loops(self, code: CodeType) -> list[ast.comprehension]:
        """Return the loops of comprehensions around the operation that `code` itself runs, the outermost first."""
        loops: list[ast.comprehension] = []
        node: Any = self.node
        around = node if code.co_name not in _CODE_NAMES else None
        while around is not None and not isinstance(around, (ast.stmt, ast.Lambda)):
            met = list(takewhile(lambda loop: node not in ast.walk(loop.iter), getattr(around, "generators", [])))
            if met and isinstance(around, ast.GeneratorExp):
                break
            loops = [*met, *loops]
            around = around.parent
        return loops

    def get_line(self, lineno: int) -> str:
        """Return what a line of the file says; where the operation begins on it and goes on, with its later lines."""
        lines, node = self.source.lines, self.node
        if not 0 < lineno <= len(lines):
            return ""
        last = (node.end_lineno or lineno) if node is not None and node.lineno == lineno else lineno
        return _join_lines([line.strip() for line in lines[lineno - 1 : last]])


def _join_lines(lines: Sequence[str]) -> str:
    """Return the lines of an expression as one; the first alone where that would say something else."""
    text = lines[0]
    if any("#" in line or '"""' in line for line in lines):
        return text
    for line in lines[1:]:
        if line.startswith((")", "]", "}")):
            text = text.removesuffix(",") + line
        else:
            text += line if text.endswith(("(", "[", "{")) else f" {line}"
    return text


def _says(text: str, node: ast.expr) -> bool:
    if isinstance(node, ast.Name) and node.id == text:
        return True
    try:
        parsed = parse_code(f"({text}\n)", "eval").body
    except (SyntaxError, ValueError):
        return False
    return ast.dump(parsed).replace("Store()", "Load()") == ast.dump(node).replace("Store()", "Load()")


def read_running(frame: FrameType, lasti: int, lineno: int) -> RunningCode | None:
    """Return what the instruction at `lasti` of the frame's code is; None where there is no source.

    Remembered per instruction, for the last thousand of them.
    """
    key = (id(frame.f_code), lasti)
    known = _calls.get(key)
    if known is None:
        if len(_calls) >= _MOST_CALLS:
            _calls.clear()
        try:
            known = _calls[key] = (frame.f_code, _find_running(frame, lasti, lineno))  # the code keeps its id
        finally:
            _forget_trees()
    return known[1]


_calls: dict[tuple[int, int], tuple[CodeType, RunningCode | None]] = {}


def read_line(filename: str, lineno: int) -> RunningCode | None:
    """Return the statement at a line of a file."""
    lines = tuple(linecache.getlines(filename))
    for text in _cut(lines, lineno):
        source = _parse(text)
        statement = _find_statement(source, lineno)
        if statement is not None:
            _forget_trees()
            return RunningCode(source, None, statement)
    return None


def read_function(code: CodeType) -> tuple[executing.Source, ast.AST] | None:
    """Return the source of a function, and the node that defines it; None where that cannot be told."""
    first, is_lambda = code.co_firstlineno, code.co_name == "<lambda>"
    for text in _cut(tuple(linecache.getlines(code.co_filename)), first):
        source = _parse(text)
        found: list[ast.AST] = []
        for node in ast.walk(source.tree) if source.tree is not None else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
                found += [node] if min([node.lineno, *(d.lineno for d in node.decorator_list)]) == first else []
            elif is_lambda and isinstance(node, ast.Lambda) and node.lineno == first:
                found.append(node)
        _forget_trees()
        if len(found) == 1:
            return source, found[0]
    return None


def read_around(filename: str, lineno: int) -> str:
    """Return the text of a file; of a large one, the function or class at its top level around a line, if there is one.

    It stands at the line numbers that it has in the file. To parse 5,000 lines takes some 130 ms.
    """
    lines = tuple(linecache.getlines(filename))
    *parts, whole = _cut(lines, lineno) if 0 < lineno <= len(lines) else ["".join(lines)]
    is_definition = bool(parts) and _BLOCK.match(parts[-1].lstrip("\n")) is not None
    return parts[-1] if is_definition else whole


def _forget_trees() -> None:
    """Let go of what `executing` would keep as long as the process lives: every tree that it was asked about.

    Its caches know no limit (https://github.com/alexmojaki/executing/blob/v2.2.0/executing/executing.py#L302, #L1058).
    """
    for function in (executing.Source.statements_at_line, statement_containing_node):
        function.cache_clear()


def get_lines(frame: FrameType) -> Sequence[str]:
    """Return the lines of the file that a frame's code comes from; none if there is no such file."""
    module = frame.f_globals
    if type(module) is not dict or type(module.get("__file__", "")) is not str:
        # else code of somebody's own would answer; and linecache read the open file of that number, to its end
        module = {name: value for name, value in dict.items(module) if name != "__file__" or type(value) is str}
    return linecache.getlines(frame.f_code.co_filename, module) or _get_command(frame.f_code)


def digest_file(frame: FrameType) -> str:
    """Return the digest of the file that a frame's code comes from, as it was when somebody first asked."""
    filename = frame.f_code.co_filename
    if filename not in _digests:
        _digests[filename] = digest_lines(get_lines(frame))
    return _digests[filename]


_digests: dict[str, str] = {}  # one per file that converts


def digest_lines(lines: Iterable[str]) -> str:
    """Return a digest of a file's text, by its lines; a newline is added to the last where it has none."""
    text = "".join(lines)
    if text and not text.endswith("\n"):
        text += "\n"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _get_command(code: CodeType) -> Sequence[str]:
    """Return the lines of ``python -c``, if it is what `code` comes from."""
    if code.co_filename != "<string>" or "-c" not in sys.orig_argv:
        return ()
    after = sys.orig_argv[sys.orig_argv.index("-c") + 1 :]
    command = after[0] if after else ""
    try:
        with parsing_quietly() as filename:
            whole = compile(command, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return ()
    return split_lines(command) if code in _walk_code(whole) else ()


def _walk_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _walk_code(constant)


def _find_running(frame: FrameType, lasti: int, lineno: int) -> RunningCode | None:
    lines = tuple(get_lines(frame))
    fallback = None
    for text in _list_parts(lines, lineno):
        source = _parse(text)
        if source.tree is None:
            continue
        node = _find_node(source, frame, lasti, lineno)
        if isinstance(node, ast.expr) and _is_what_ran(node, frame.f_code):
            return RunningCode(source, node, find_statement(node))
        statement = node if isinstance(node, ast.stmt) else _find_statement(source, lineno)
        if statement is not None and fallback is None:
            fallback = RunningCode(source, None, statement)
    return fallback


def find_statement(node: Any) -> ast.stmt:
    """Return the statement that a node stands in."""
    while not isinstance(node, ast.stmt):
        node = node.parent
    return node


def _find_statement(source: executing.Source, lineno: int) -> ast.stmt | None:
    """Return the statement at a line; of several the one inside the others, as in ``def f(x): return x``."""
    found = source.statements_at_line(lineno) if source.tree is not None else set()
    inner = [s for s in found if not any(t is not s and t in found for t in ast.walk(s))]
    return inner[0] if len(inner) == 1 else None  # type: ignore[return-value]


def _is_what_ran(node: ast.AST, code: CodeType) -> bool:
    """Tell whether every name in `node` is one of the code's: else the file has been edited since it was read."""
    own = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    pending: list[ast.AST] = [node]
    while pending:
        child = pending.pop()
        name = child.id if isinstance(child, ast.Name) else child.attr if isinstance(child, ast.Attribute) else None
        if name is not None and name not in own and not any(o.endswith(name) for o in own):  # `_Class__private`
            return False
        if not isinstance(child, (ast.Lambda, *COMPREHENSIONS)):
            pending += ast.iter_child_nodes(child)
    return True


def _find_node(source: executing.Source, frame: FrameType, lasti: int, lineno: int) -> ast.AST | None:
    class OneText(executing.Source):
        """Knows one text; a class for each, since `executing` keeps for ever what a class has found."""

        @classmethod
        def for_frame(cls, frame: FrameType, use_cache: bool = True) -> executing.Source:
            return source

    return OneText.executing(TracebackType(None, frame, _skip_precall(frame.f_code, lasti), lineno)).node


def _skip_precall(code: CodeType, lasti: int) -> int:
    """Return where a call stands: warm code of Python 3.11 does PRECALL and CALL at once, and fails at the first."""
    return lasti + _PRECALL_SIZE if code.co_code[lasti] == _PRECALL else lasti


def _parse(text: str) -> executing.Source:
    """Parse a part of a file; nothing is found in one that is too long."""
    with parsing_quietly() as filename:
        return executing.Source(filename, [] if _is_too_long(text) else split_lines(text))


def _is_too_long(text: str) -> bool:
    return len(text) > _MOST_TEXT and len(text.lstrip("\n")) > _MOST_TEXT


def split_lines(text: str) -> list[str]:
    """Return the lines as Python counts them: `str.splitlines` takes a form feed, too, for the end of one."""
    return io.StringIO(text, newline=None).readlines()


def _cut(lines: Sequence[str], lineno: int) -> Iterator[str]:
    """Yield ever larger parts of a file that may be parsed for what stands at `lineno`, and at last the whole."""
    if not 0 < lineno <= len(lines):
        return
    if len(lines) > _SMALL or sum(map(len, lines)) > _MOST_TEXT:
        limit = sys.maxsize
        for start in range(lineno, 0, -1):
            indent = _measure_indent(lines[start - 1])
            if indent is None or indent >= limit:
                continue
            limit = indent
            if indent == 0 or _BLOCK.match(lines[start - 1]):
                yield _frame_block(lines, start, lineno, indent)
                if indent == 0:
                    break
    yield "".join(lines)


def _list_parts(lines: Sequence[str], lineno: int) -> Iterator[str]:
    """Yield the parts as `_cut` does; in the place of the first that is too long, the statement at the line alone."""
    for text in _cut(lines, lineno):
        if _is_too_long(text):
            yield _frame_block(lines, lineno, lineno, _measure_indent(lines[lineno - 1]) or 0)
            return
        yield text


def _frame_block(lines: Sequence[str], start: int, lineno: int, indent: int) -> str:
    """Return the lines from `start` to where the indentation ends, at the line numbers that they have."""
    end = lineno
    while end < len(lines):
        below = _measure_indent(lines[end])
        if below is not None and below <= indent and not lines[end].lstrip().startswith((")", "]", "}")):
            break
        end += 1
    before = "\n" * (start - 1) if indent == 0 else "\n" * (start - 2) + "if 1:\n"
    return before + "".join(lines[start - 1 : end])


def _measure_indent(line: str) -> int | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    return len(line[: len(line) - len(line.lstrip())].rpartition("\f")[2])  # which begins the line anew
