"""Fuzz what reads the user's program: call sites, the expressions there, and the corrected line.

    make fuzz SECONDS=3600

Each input becomes a small program in which a tensor refuses to become an array, and a change to its file after it was
compiled, as when a program is edited while it runs. The coverage of the modules that read source guides the search
(atheris, libFuzzer). Whatever the program looks like,

- the explanation comes out, as an error of ours that is also stock's; its text can be read; our code does not fail;
- the expression shown for the tensor, if it is one without calls, has that tensor for its value;
- the corrected line, put in the place of the user's line, runs, and gives the array;
- permissive mode gives the same array.
"""

from __future__ import annotations

import ast
import itertools
import json
import linecache
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atheris

with atheris.instrument_imports(include=["safe_numpy", "executing", "asttokens", "pure_eval"]):
    import executing
    import numpy as np
    import torch

    import safe_numpy

COUNTS: Counter[str] = Counter()
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz"))
NUMBER = itertools.count()
START = time.time()
VALUES = [1.0, -2.0, 0.5]

TENSORS = [
    "x", "d['k']", 'd["a b"]["c"]', "l[0]", "l[-1]", "o.a", "o.b.a", "t[1]", "make()", "l[i]", "d[key]", "(x)",
    "(y := x)", "o.items['k'][0].a", "naïve", "变量", "__x", "x if True else None", "[x][0]", "{'k': x}['k']",
    "(lambda: x)()", "next(iter(l))", "l[0:1][0]", "o.make()", "x[...]", "x[:]", "x * 1", "-x", "(x + 0).view(3)",
    "d.get('k')", "getattr(o, 'a')", "o . a", "l [ 0 ]", "(\n  x\n)", "d[\n'k'\n]", "o.\\\n    a", "x # note\n",
    "t[1] if l else x", "[*l][0]", "f'{1}' and x", "(x,)[0]", "x.T.T", "o.b.make(x)", "l[len(l) - 1]",
]  # fmt: skip
DOORS = [
    "{t}.numpy()", "({t}).numpy()", "({t}).numpy( )", "({t})\\\n    .numpy()", "np.asarray({t})", "np.array({t})",
    "np.asarray(({t}), None)", "np.asarray(a={t})", "np.asarray(*[{t}])", "np.asarray(**dict(a={t}))",
    "library({t})", "library(1, value={t})", "np.stack([{t}, {t}])[0]", "np.sum([{t}], axis=0)", "np.add({t}, 0)",
    "np.asarray([{t}][0])", "(np.asarray)({t})", "alias({t})", "({t}).__array__()", "np.copy({t})",
    "np.multiply(1, ({t}))", "np.concatenate(({t}, {t}))[:3]", "(lambda v: v.numpy())({t})",
    "list(map(np.asarray, [{t}]))[0]", "[v.numpy() for v in [{t}]][0]", "max([{t}], key=lambda v: v.numpy()[0]).detach().numpy()",
    "getattr({t}, 'numpy')()", "torch.Tensor.numpy({t})", "np.asarray(np.asarray({t}))",
]  # fmt: skip
STATEMENTS = [
    "return {e}", "r = {e}\nreturn r", "r: object = {e}\nreturn r", "r = s = {e}; return s", "r, q = {e}, 1\nreturn r",
    "r = [{e}, 0][0]; return r", "if ({e}).any(): return {e}", "for r in [{e}]: return r", "while True: return {e}",
    "with manager({e}) as r:\n    return r", "assert ({e}) is not None, 'text'\nreturn {e}", "try:\n    return {e}\nfinally:\n    pass",
    "def inner():\n    return {e}\nreturn inner()", "return (lambda: {e})()", "return [{e} for _ in range(1)][0]",
    "class C:\n    r = {e}\nreturn C.r", "return {e} if True else 0", "r = f'{{ {e} }}'; return {e}", "return identity(\n    {e},\n)",
    "return identity(value={e})", "return dict(a={e})['a']", "r = None; r = r or identity({e}) ; return r",
    "match 1:\n    case 1:\n        return {e}", "@decorate({e})\ndef g():\n    pass\nreturn g", "r = 0; r = {e} + r; return r",
    "'''long\ntext'''; return {e}", "return (  # why\n    {e}  # because\n)", "yield {e}", "yield from [{e}]", "r = await_({e}); return r",
    "return not_here if False else {e}", "if True:\n\treturn {e}", "print(end='', sep=''); return {e}", "del unused; return {e}",
]  # fmt: skip
NOISE = ["", "\n", "# comment\n", "'''text\n'''\n", "\f\n", "é = 'ünï'\n", "\t\n", "if True:\n    pass\n", "class A:\n    def m(self): return 1\n", "f = lambda: 0; g = lambda: 0\n"]  # fmt: skip
WORDS = [
    "x",
    "np",
    "numpy",
    "asarray",
    "return",
    "变量",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    ".",
    "\\",
    "'",
    '"',
    "\n",
]


class Thing(SimpleNamespace):
    """An object of the user's."""

    def make(self, *values: Any) -> Any:
        return values[0] if values else self.a


class Manager:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __enter__(self) -> Any:
        return self.value

    def __exit__(self, *exc: object) -> None:
        return None


def make_namespace(filename: str) -> dict[str, Any]:
    leaf = torch.tensor(VALUES, requires_grad=True)
    x = leaf * 1
    inner = Thing(a=x)
    o = Thing(a=x, b=inner, items={"k": [inner]})
    return {
        "__name__": "program", "__file__": filename, "np": np, "torch": torch, "safe_numpy": safe_numpy,
        "x": x, "__x": x, "naïve": x, "变量": x,
        "d": {"k": x, "a b": {"c": x}}, "l": [x], "t": (0, x), "o": o, "i": 0, "key": "k", "make": lambda: x,
        "library": lambda *a, value=None: np.asarray(value if value is not None else a[0]), "alias": np.asarray,
        "identity": lambda value: value, "manager": Manager, "decorate": lambda value: lambda f: value,
        "await_": lambda value: value, "unused": 0,
    }  # fmt: skip


def build(data: atheris.FuzzedDataProvider) -> str:
    """Return the source of a program whose function ``program`` returns, or yields, the array."""
    tensor = data.PickValueInList(TENSORS)
    if data.ConsumeProbability() < 0.1:
        tensor = data.ConsumeUnicodeNoSurrogates(12)
    expression = data.PickValueInList(DOORS).replace("{t}", tensor)
    if data.ConsumeProbability() < 0.3:
        expression = data.PickValueInList(["({e})", "identity({e})", "[{e}][0]", "{e}.copy()"]).replace(
            "{e}", expression
        )
    statement = data.PickValueInList(STATEMENTS).replace("{e}", expression).replace("{{", "{").replace("}}", "}")
    depth = data.ConsumeIntInRange(0, 3)
    body = statement
    for _ in range(depth):
        body = (
            data.PickValueInList(["if True:", "try:", "with manager(0):", "for _ in [0]:", "for _ in range(2):"])
            + "\n"
            + indent(body)
        )
        if body.startswith("try"):
            body += "\nfinally:\n    pass"
    head = "".join(data.PickValueInList(NOISE) for _ in range(data.ConsumeIntInRange(0, 4)))
    before = "".join(data.PickValueInList(NOISE) for _ in range(data.ConsumeIntInRange(0, 2)))
    tail = data.PickValueInList(NOISE)
    gap = " " if data.ConsumeBool() else "  "
    return f"{head}def program(unused=0):\n{indent(before + body)}\n{tail}".replace("    ", gap * 2)


def indent(text: str) -> str:
    return "\n".join("    " + line if line.strip() else line for line in text.split("\n"))


def spoil(data: atheris.FuzzedDataProvider, text: str) -> bytes | None:
    """Return what the file holds when the error comes; None: it is gone."""
    kind = data.ConsumeIntInRange(0, 9)
    raw = text.encode("utf-8", "surrogatepass")
    if kind <= 4:
        return raw
    if kind == 5:
        return None
    if kind == 6:
        return data.PickValueInList(
            [b"", b"\x00", b"\xff\xfe" + raw, b"# coding: latin-1\n" + raw, b"# coding: no\n", b"\xef\xbb\xbf" + raw]
        )
    if kind == 7:
        return raw.replace(b"\n", data.PickValueInList([b"\r\n", b"\r", b"\n\n", b"\x0c\n"]))
    for _ in range(data.ConsumeIntInRange(1, 4)):
        at = data.ConsumeIntInRange(0, len(raw))
        gone = data.ConsumeIntInRange(0, 8)
        new = data.PickValueInList(WORDS).encode() if data.ConsumeBool() else data.ConsumeBytes(4)
        raw = raw[:at] + new + raw[at + gone :]
    return raw


def run(function: Any) -> Any:
    result = function()
    return next(result) if hasattr(result, "__next__") else result


def check(text: str, on_disk: bytes | None) -> None:
    """Run one program in explain mode, read the error, apply it, and run it again in permissive mode."""
    file = FOLDER / f"program{next(NUMBER) % 50}.py"  # files change under a name, as an edited one does
    filename = str(file)
    try:
        code = compile(text, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        COUNTS["not a program"] += 1
        return
    if on_disk is not None:
        file.write_bytes(on_disk)
    scope = make_namespace(filename)
    begun = time.process_time()
    try:
        with safe_numpy.mode("explain"):
            exec(code, scope)
            run(scope["program"])
    except safe_numpy.ConversionError as error:
        COUNTS["refused"] += 1
        judge(error, text, on_disk, filename, scope, code)
    except RuntimeError as error:
        if "numpy() on" in str(error):
            raise AssertionError(f"our code failed: {getattr(error, '__notes__', '')}") from error
        COUNTS["other errors of the program's own"] += 1
    except Exception:
        COUNTS["other errors of the program's own"] += 1
    else:
        COUNTS["nothing refused"] += 1
    finally:
        file.unlink(missing_ok=True)
        linecache.cache.pop(filename, None)
        linecache.cache.pop(filename + "~", None)
        executing.Source._class_local("__source_cache_with_lines", {}).pop(filename, None)
    if time.process_time() - begun > 5:
        raise AssertionError("it took more than five seconds")


def judge(error: Exception, text: str, on_disk: bytes | None, filename: str, scope: dict[str, Any], code: Any) -> None:
    if not isinstance(error, RuntimeError):
        raise AssertionError("stock raises RuntimeError here")
    message = str(error)
    diagnosis = error.diagnosis  # type: ignore[attr-defined]
    if "could not" in message or not message:
        raise AssertionError(message)
    found = diagnosis.site
    if on_disk is not None and on_disk == text.encode("utf-8", "surrogatepass"):
        if diagnosis.named:
            COUNTS["named"] += 1
            check_name(diagnosis.name, scope)
        if diagnosis.shown is not None and diagnosis.shown != diagnosis.fix:
            COUNTS["line corrected"] += 1
            ast.parse(indent_free(diagnosis.shown))
            apply(diagnosis, found, text, filename)
    with safe_numpy.mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        try:
            array = run(scope["program"])
        except safe_numpy.ConversionError as again:
            raise AssertionError("permissive mode refuses a gradient") from again
        except Exception:
            COUNTS["other errors after a conversion"] += 1
            return
    if isinstance(array, np.ndarray) and array.shape == (3,) and not np.array_equal(np.abs(array), np.abs(VALUES)):
        raise AssertionError(f"permissive mode gave {array}")
    COUNTS["converted in permissive mode"] += 1


def check_name(name: str, scope: dict[str, Any]) -> None:
    tree = ast.parse(f"({name})", mode="eval")
    if any(isinstance(node, (ast.Call, ast.NamedExpr, ast.Lambda)) for node in ast.walk(tree)):
        return
    try:
        value = eval(compile(tree, "<name>", "eval"), dict(scope))
    except NameError:
        return  # a local
    if not (isinstance(value, torch.Tensor) and value.requires_grad) and not isinstance(value, (list, tuple)):
        raise AssertionError(f"{name!r} is no tensor that requires grad: {value!r}")


def indent_free(shown: str) -> str:
    """Complete the head of a block, ``if …:``, which is no statement by itself."""
    text = shown.strip("\n")
    for candidate in (
        text,
        text + "\n    pass",
        text + " pass",
        "try:\n    pass\n" + text + "\n    pass",
        text + "\ndef _(): pass",
    ):
        try:
            ast.parse(candidate)
        except SyntaxError:
            continue
        return candidate
    # a line of a statement that has several: its own part only
    return "pass" if "\n" not in text else text


def apply(diagnosis: Any, site: Any, text: str, filename: str) -> None:
    """Put the corrected line where the line was, if both are one line, and run it until nothing is refused."""
    lines = text.split("\n")
    at = site.lineno - 1
    if "\n" in diagnosis.shown or at >= len(lines):
        return
    try:
        (statement,) = ast.parse(lines[at].strip()).body
    except (SyntaxError, ValueError):
        return  # a part of a statement, or several of them
    shown = ast.parse(indent_free(diagnosis.shown)).body[0]
    if hasattr(statement, "body") or type(shown) is not type(statement) or isinstance(shown, ast.Expr):
        return  # what is shown is the statement inside, or as much of it as is not too long
    lead = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    changed = "\n".join([*lines[:at], lead + diagnosis.shown.strip(), *lines[at + 1 :]])
    scope = make_namespace(filename)
    try:
        exec(compile(changed, filename + "~", "exec", dont_inherit=True), scope)
        with safe_numpy.mode("explain"):
            array = run(scope["program"])
    except NameError as error:
        raise AssertionError(f"the corrected line lacks a name: {diagnosis.shown!r}") from error
    except safe_numpy.ConversionError as error:
        if error.diagnosis.shown == diagnosis.shown:
            raise AssertionError(f"the corrected line is refused like the line: {diagnosis.shown!r}") from error
        COUNTS["a second tensor on the line"] += 1
        return
    if isinstance(array, np.ndarray) and array.shape == (3,) and not np.array_equal(np.abs(array), np.abs(VALUES)):
        raise AssertionError(f"the corrected line gave {array}")
    COUNTS["corrected line ran"] += 1


def test_one_input(raw: bytes) -> None:
    """Make a program of the input, and check it."""
    COUNTS["inputs"] += 1
    if raw[:1] >= b"\xf0":  # one in sixteen: the order of the bytes decides nothing, only a seed does
        raw = random.Random(raw).randbytes(400)
    data = atheris.FuzzedDataProvider(raw)
    text = build(data)
    on_disk = spoil(data, text)
    try:
        check(text, on_disk)
    except BaseException:
        sys.stderr.write(f"\n--- program\n{text}\n--- file {on_disk!r}\n")
        raise
    if COUNTS["inputs"] % 1000 == 0:
        safe_numpy.report(reset=True)
        write_counts()


def write_counts() -> None:
    COUNTS_FILE.write_text(json.dumps({"seconds": round(time.time() - START), **COUNTS}, indent=2) + "\n")


if __name__ == "__main__":
    COUNTS_FILE = Path(sys.argv.pop(1))
    warnings.simplefilter("ignore")  # torch's and Python's, on what the programs do
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
