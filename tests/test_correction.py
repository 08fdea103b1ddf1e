"""The user's line, corrected: in every form that a line can have, what is shown compiles, runs and is right."""

from __future__ import annotations

import ast
import asyncio
import linecache
import re
import textwrap
from typing import Any

import numpy as np
import pytest
import torch
import toy_device  # noqa: F401 - registers the device

import safe_numpy

X = torch.tensor([1.0, 2.0], requires_grad=True)
Y = X * 2

_numbers = iter(range(10**6))


class Own(torch.Tensor):
    """A class of the user's, derived from a tensor."""


def compile_lines(source: str) -> Any:
    """Compile source that `linecache` knows, as a notebook does with a cell."""
    source = textwrap.dedent(source).lstrip("\n")
    filename = f"/cells/{next(_numbers)}.py"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return compile(source, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def make_names() -> dict[str, Any]:
    async def send(value: Any) -> Any:
        return value

    class Record:
        def __init__(self) -> None:
            self.loss = Y
            self.losses = [X, Y]

    return {
        "np": np,
        "torch": torch,
        "safe_numpy": safe_numpy,
        "x": X,
        "y": Y,
        "same": lambda value: value,
        "send": send,
        "batch": {"a": {"b": [X, Y]}, "n": 3},
        "losses": [X, Y],
        "pair": (X, Y),
        "by_name": {"x": X, "y": Y},
        "own": Y.as_subclass(Own),
        "d": X.detach().to("toy"),
        "g": X.to("toy"),
        "mixed": [X.detach(), Y, X.bfloat16()],
        "record": Record(),
        "plain": np.ones(2),
    }


def execute(code: Any, names: dict[str, Any]) -> Any:
    result = eval(code, names)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def explain(source: str) -> safe_numpy.Diagnosis:
    with pytest.raises(safe_numpy.ConversionError) as caught:
        execute(compile_lines(source), make_names())
    assert caught.value.diagnosis is not None
    return caught.value.diagnosis


FORMS: list[tuple[str, str, str | None]] = [
    # source, the name, and what is to be pasted; None: the tensor's own conversion, since more is not certain
    ("y.numpy()", "y", "y.detach().numpy()"),
    ("r = y.numpy().mean().item()", "y", "r = y.detach().numpy().mean().item()"),
    ("r = {'mean': float(np.asarray(y).mean())}", "y", "r = {'mean': float(np.asarray(y.detach().numpy()).mean())}"),
    ("r = f'{y.numpy()!r:>20} and {x.sum().item()}'", "y", "r = f'{y.detach().numpy()!r:>20} and {x.sum().item()}'"),
    ("r = (await send(y)).numpy()", "await send(y)", "r = (await send(y)).detach().numpy()"),
    ("r = await send(y.numpy())", "y", "r = await send(y.detach().numpy())"),
    ("r = (lambda t, k=1: t.numpy() + k)(y)", "t", "r = (lambda t, k=1: t.detach().numpy() + k)(y)"),
    ("r = [t.numpy() for t in losses]", "t", "r = [t.detach().numpy() for t in losses]"),
    (
        "r = {i: t.numpy() for i, t in enumerate(losses)}",
        "t",
        "r = {i: t.detach().numpy() for i, t in enumerate(losses)}",
    ),
    ("r = list(np.asarray(t) for t in pair)", "t", "r = list(np.asarray(t.detach().numpy()) for t in pair)"),
    ("r = np.array(losses)", "losses[0]", "r = np.array([t.detach().numpy() for t in losses])"),
    ("r = np.array(pair)", "pair[0]", "r = np.array(tuple(t.detach().numpy() for t in pair))"),
    ("r = np.add(*losses)", "losses[0]", "r = np.add(*[t.detach().numpy() for t in losses])"),
    ("r = np.array(mixed)", "mixed[1]", "r = np.array(safe_numpy.to_numpy(mixed))"),
    ("r = np.array(record.losses)", "record.losses[0]", "r = np.array([t.detach().numpy() for t in record.losses])"),
    ("r = np.array([x, y, plain])", "x", "r = np.array([x.detach().numpy(), y.detach().numpy(), plain])"),
    ("r = np.asarray(batch['a']['b'][1])", "batch['a']['b'][1]", "r = np.asarray(batch['a']['b'][1].detach().numpy())"),
    (
        "np.testing.assert_equal(by_name, by_name)",
        "by_name['x']",
        "np.testing.assert_equal({k: t.detach().numpy() for k, t in by_name.items()}, "
        "{k: t.detach().numpy() for k, t in by_name.items()})",
    ),
    ("r = np.asarray(record.loss)", "record.loss", "r = np.asarray(record.loss.detach().numpy())"),
    ("r = np.asarray(x if True else y)", "x", "r = np.asarray(x.detach().numpy() if True else y.detach().numpy())"),
    ("r = np.asarray(z := y)", "y", "r = np.asarray((z := y).detach().numpy())"),
    ("assert y.numpy().sum() == 6", "y", "assert y.detach().numpy().sum() == 6"),
    (
        "if np.asarray(y).sum() > 1 and True:\n    r = 1",
        "y",
        "if np.asarray(y.detach().numpy()).sum() > 1 and True:",
    ),
    ("for v in np.asarray(y):  # each: one\n    r = v", "y", "for v in np.asarray(y.detach().numpy()):"),
    (
        "with open(0 if np.asarray(y).sum() > 1 else 1, closefd=False): pass",
        "y",
        "with open(0 if np.asarray(y.detach().numpy()).sum() > 1 else 1, closefd=False):",
    ),
    ("r = np.zeros((2, 2)); r[0] = y", "y", "r[0] = y.detach().numpy()"),
    ("r = 1; s = y.numpy(); t = 2", "y", "s = y.detach().numpy()"),
    ("r = (x + y).numpy()", "x + y", "r = (x + y).detach().numpy()"),
    ("r = (-x).numpy()", "-x", "r = (-x).detach().numpy()"),
    ("r = np.asarray(y[0])", "y[0]", "r = np.asarray(y[0].detach().numpy())"),
    ("r = np.sqrt(y * 2)", "y * 2", "r = np.sqrt((y * 2).detach().numpy())"),
    ("r = np.concatenate([x.numpy(), y.numpy()])", "x", "r = np.concatenate([x.detach().numpy(), y.detach().numpy()])"),
    ("r = torch.Tensor.numpy(y)", "y", "r = y.detach().numpy()"),
    ("r = y.__array__()", "y", "r = y.detach().numpy()"),
    ("r = y.bfloat16().numpy(force=True)", "y.bfloat16()", "r = y.bfloat16().detach().float().numpy()"),
    ("r = np.from_dlpack(y)", "y", "r = np.from_dlpack(y.detach().numpy())"),
    ("def f():\n    return y.numpy()\nf()", "y", "return y.detach().numpy()"),
    ("def f():\n    yield y.numpy()\nlist(f())", "y", "yield y.detach().numpy()"),
    ("def f(a=y.numpy()):\n    pass", "y", "y.detach().numpy()"),
    ("class C:\n    w = y.numpy()", "y", "w = y.detach().numpy()"),
    ("@(lambda f: np.asarray(y))\ndef f():\n    pass", "y", "lambda f: np.asarray(y.detach().numpy())"),
    ("r = getattr(y, 'numpy')()", "y", None),
    ("r = np.asarray(same(y))", "y", "r = np.asarray(safe_numpy.to_numpy(same(y)))"),
    ("r = list(map(np.asarray, [x, y]))", "x", "r = list(map(np.asarray, [x.detach().numpy(), y.detach().numpy()]))"),
    (
        "r = list(map(np.asarray, zip(*[pair, pair])))",
        "pair[0]",
        "r = list(map(np.asarray, zip(*[tuple(t.detach().numpy() for t in pair), "
        "tuple(t.detach().numpy() for t in pair)])))",
    ),
    ("r, s = map(np.asarray, pair)", "pair[0]", "r, s = map(np.asarray, tuple(t.detach().numpy() for t in pair))"),
    (
        "r = np.array(list(map(same, losses)))",
        "losses[0]",
        "r = np.array(list(map(same, [t.detach().numpy() for t in losses])))",
    ),
    ("r = np.sqrt(y.mean())", "y.mean()", "r = np.sqrt(y.mean().detach().numpy())"),
    (
        "r = np.array([y.mean(), x[0]])",
        "y.mean()",
        "r = np.array([y.mean().detach().numpy(), x[0].detach().numpy()])",
    ),
    ("r = np.dot(y * 2, (x))", "y * 2", "r = np.dot((y * 2).detach().numpy(), x.detach().numpy())"),
    ("r = np.dot((y * 2), x)", "y * 2", "r = np.dot((y * 2).detach().numpy(), x.detach().numpy())"),
    ("r = 0; s = plain[np.asarray(y) > 2]", "y", "s = plain[np.asarray(y.detach().numpy()) > 2]"),
    ("r = np.zeros(2); r[:] = y * 2", "y * 2", "r[:] = (y * 2).detach().numpy()"),
    (
        "r = np.mean(np.asarray(x)) - np.mean(np.asarray(y))",
        "x",
        "r = np.mean(np.asarray(x.detach().numpy())) - np.mean(np.asarray(y.detach().numpy()))",
    ),
    (
        "r = np.stack(list(by_name.values()))",
        "by_name['x']",
        "r = np.stack(list([t.detach().numpy() for t in by_name.values()]))",
    ),
    (
        "r = np.stack([v for v in by_name.values()])",
        None,
        "r = np.stack([v.detach().numpy() for v in by_name.values()])",
    ),
    ("r = np.array([-x for x in [y]])", None, "r = np.array([(-x).detach().numpy() for x in [y]])"),
    ("r = np.array([same(t) for t in losses])", None, "r = np.array([same(t).detach().numpy() for t in losses])"),
    (
        "r = np.array([[x[0], y[0]], [1.0, 2.0]])",
        "x[0]",
        "r = np.array([[x[0].detach().numpy(), y[0].detach().numpy()], [1.0, 2.0]])",
    ),
    (
        "r = np.array([pair, pair])",
        "pair[0]",
        "r = np.array([tuple(t.detach().numpy() for t in pair), tuple(t.detach().numpy() for t in pair)])",
    ),
    (
        """
        r = np.stack(
            [
                x,  # the first
                y,
            ],
        )
        """,
        "x",
        "r = np.stack(\n    [\n        x.detach().numpy(),  # the first\n        y.detach().numpy(),\n    ],\n)",
    ),
    (
        """
        if True:
            r = np.stack([x,
                          y])
        """,
        "x",
        "r = np.stack([x.detach().numpy(),\n              y.detach().numpy()])",
    ),
    (
        """
        r = (y
             .numpy()
             .sum())
        """,
        "y",
        "r = (y.detach().numpy()\n     .sum())",
    ),
    # an operand over several lines, with a comment in it; a string in which two blanks stand
    ("r = np.asarray([y # note\n][0])", "[y][0]", "r = np.asarray([y # note\n][0].detach().numpy())"),
    (
        "r = np.asarray({'a  b': y}['a  b'])",
        "{'a  b': y}['a  b']",
        "r = np.asarray({'a  b': y}['a  b'].detach().numpy())",
    ),
    # not `z`, which only the line itself binds
    ("r = np.asarray([(z := y)][0])", "[(z := y)][0]", "r = np.asarray([(z := y)][0].detach().numpy())"),
    ('r = f"""\n  {y.numpy().sum()}\n"""', "y", 'r = f"""\n  {y.detach().numpy().sum()}\n"""'),
    # unbound, where the tensor's class calls it by way of torch's protocol
    ("r = torch.Tensor.numpy(y)", "y", "r = y.detach().numpy()"),
    ("r = torch.Tensor.numpy(own)", "own", "r = own.detach().numpy()"),
    # of what the line does already nothing is written again
    ("r = np.stack([d, g.detach()])", "d", "r = np.stack([d.cpu().numpy(), g.detach().cpu().numpy()])"),
    # every tensor of the line, and not the one alone that failed first
    ("r = np.asarray(x), x.numpy()", "x", "r = np.asarray(x.detach().numpy()), x.detach().numpy()"),
    ("r = x.numpy(), np.asarray(x)", "x", "r = x.detach().numpy(), np.asarray(x.detach().numpy())"),
    (
        "r = (lambda: (x.numpy(), y.numpy()))()",
        "x",
        "r = (lambda: (x.detach().numpy(), y.detach().numpy()))()",
    ),
    (
        "r = (lambda f: f())(lambda: np.stack([x, np.asarray(y)]))",
        "y",
        "r = (lambda f: f())(lambda: np.stack([x.detach().numpy(), np.asarray(y.detach().numpy())]))",
    ),
    (
        "r = x.numpy(), [np.asarray(t) for t in losses], {k: t.numpy() for k, t in by_name.items()}",
        "x",
        "r = x.detach().numpy(), [np.asarray(t.detach().numpy()) for t in losses], "
        "{k: t.detach().numpy() for k, t in by_name.items()}",
    ),
    (
        "r = [(np.asarray(t), y.numpy()) for t in losses], np.stack([x, y]), x.numpy()",
        "t",
        "r = [(np.asarray(t.detach().numpy()), y.detach().numpy()) for t in losses], "
        "np.stack([x.detach().numpy(), y.detach().numpy()]), x.detach().numpy()",
    ),
]


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn.t accept a copy keyword:DeprecationWarning"
)  # of torch 2.4
@pytest.mark.parametrize(("source", "name", "shown"), FORMS, ids=[f[0].strip().partition("\n")[0] for f in FORMS])
def test_form(source: str, name: str | None, shown: str | None) -> None:
    diagnosis = explain(source)
    assert (diagnosis.name, diagnosis.named) == (name or "t", name is not None)
    assert diagnosis.shown == shown
    if shown is None:
        assert f"instead  convert it before it gets there: `{name}.detach().numpy()`" in str(diagnosis)
        return
    assert f"fix  {shown}".split("\n")[0] in re.sub("fix +", "fix  ", str(diagnosis))
    assert diagnosis.is_part == ("in place of that part of the statement" in str(diagnosis))
    assert diagnosis.fix is not None
    compile(diagnosis.fix, "<fix>", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if name != "t":  # a variable of the comprehension or lambda is not to be had outside
        names = {**make_names(), "r": np.ones((2, 2))}
        whole = f"{shown} pass" if shown.endswith(":") else shown
        whole = f"def f():\n    {whole}\nr = f()" if shown.startswith(("return", "yield")) else whole
        execute(compile(whole, "<fix>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        ("m = y.numpy; m()", "m()"),
        ("list(map(np.asarray, iter([y.mean()])))", "list(map(np.asarray, iter([y.mean()])))"),
        ("np.asarray(make())", "np.asarray(make())"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(source: str, inside: str) -> None:
    names = {**make_names(), "make": [X * 3, X * 4].pop}
    diagnosis = explain_with(source, names)
    assert not diagnosis.named
    assert str(diagnosis).startswith(f"A tensor inside `{inside}` cannot become a NumPy array, for 1 reason:")
    if diagnosis.shown is None:
        assert diagnosis.fix is None
        assert "convert it before it gets there; with `t` for the tensor: `t.detach().numpy()`" in str(diagnosis)
    else:
        names["make"] = [X * 3, X * 4].pop
        assert execute(compile(diagnosis.shown, "<fix>", "exec"), names) is None


def test_a_statement_is_shown_whole_however_long_its_line() -> None:
    line = "r = np.concatenate([np.asarray(y), np.zeros(3), np.ones(3), np.full(3, 7.0), np.arange(10.0), np.ones(9)])"
    diagnosis = explain(line)
    assert (diagnosis.shown, diagnosis.is_part) == (line.replace("(y)", "(y.detach().numpy())"), False)


def test_of_a_very_long_statement_a_part_is_shown() -> None:
    rest = "\n".join(f"    np.zeros({i})," for i in range(20))
    diagnosis = explain(f"r = np.concatenate([\n    np.asarray(y),\n{rest}\n])")
    assert (diagnosis.shown, diagnosis.is_part) == ("np.asarray(y.detach().numpy())", True)
    assert "in place of that part of the statement" in str(diagnosis)


def test_what_the_file_lacks_is_imported() -> None:
    names = {**make_names(), "mixed": [X.detach(), Y, X.bfloat16()]}
    del names["safe_numpy"]
    diagnosis = explain_with("if True:\n    r = np.array(mixed)", names)
    assert diagnosis.shown == "import safe_numpy\nr = np.array(safe_numpy.to_numpy(mixed))"
    exec(diagnosis.shown, names)
    assert names["r"].shape == (3, 2)


def test_every_round_of_a_loop_is_converted() -> None:
    names = {**make_names(), "state": {"a": X.bfloat16(), "b": X.double(), "c": torch.arange(2)}}
    diagnosis = explain_with("r = {k: v.numpy() for k, v in state.items()}", names)
    assert diagnosis.shown == "r = {k: safe_numpy.to_numpy(v) for k, v in state.items()}"
    diagnosis = explain_with("for v in [x.detach(), y]:\n    r = v.bfloat16().numpy()", names)
    assert diagnosis.shown == "r = v.bfloat16().float().numpy()"
    diagnosis = explain_with("for v in [x, 1.5]:\n    r = np.append(plain, v)", names)
    assert diagnosis.shown == "r = np.append(plain, safe_numpy.to_numpy(v))"


def test_an_argument_is_known_by_the_parameter_that_it_became() -> None:
    names = make_names()
    library = compile_library(
        "import numpy as np\ndef draw(values, /, *rest, scale=1):\n    return np.asarray(rest[0]) * scale\n"
    )
    names["draw"] = library["draw"]
    diagnosis = explain_with("r = draw(0, y.mean() + 1, scale=2)", names)
    assert (diagnosis.name, diagnosis.shown) == (
        "y.mean() + 1",
        "r = draw(0, (y.mean() + 1).detach().numpy(), scale=2)",
    )


def test_a_parameter_that_was_assigned_to_tells_nothing() -> None:
    names = make_names()
    names["draw"] = compile_library("import numpy as np\ndef draw(v):\n    v = v['y']\n    return np.asarray(v)\n")[
        "draw"
    ]
    names["make"] = lambda: {"y": X * 3}
    diagnosis = explain_with("r = draw(make())", names)
    assert (diagnosis.named, diagnosis.inside) == (False, "draw(make())")
    assert diagnosis.fix == "draw(safe_numpy.to_numpy(make()))"
    assert eval(diagnosis.fix, {**names, "safe_numpy": safe_numpy}).tolist() == [3, 6]


def test_code_that_knows_tensors_is_given_no_more_arrays_than_it_must() -> None:
    source = "import numpy as np, torch\ndef compare(a, b):\n    return np.asarray(a) - b.detach().numpy()\n"
    names = {**make_names(), "compare": compile_library(source)["compare"]}
    assert explain_with("r = compare(x, y)", names).shown == "r = compare(x.detach().numpy(), y)"


def compile_library(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "library"}
    exec(compile(source, "/usr/lib/python3/site-packages/library.py", "exec"), names)
    return names


def explain_with(source: str, names: dict[str, Any]) -> safe_numpy.Diagnosis:
    with pytest.raises(safe_numpy.ConversionError) as caught:
        exec(compile_lines(source), names)
    assert caught.value.diagnosis is not None
    return caught.value.diagnosis


def test_source_that_has_changed_is_not_believed() -> None:
    code = compile_lines("first = x\nr = np.asarray(first)")
    linecache.cache[code.co_filename] = (1, None, ["other = x\n", "r = np.asarray(other)\n"], code.co_filename)
    with pytest.raises(safe_numpy.ConversionError) as caught:
        exec(code, make_names())
    assert caught.value.diagnosis is not None
    assert (caught.value.diagnosis.named, caught.value.diagnosis.fix) == (False, None)


@pytest.mark.parametrize("lines", [[], ["not python at all\n"] * 2, ["\n"], ["r = x\n", "r = (\n"]])
def test_source_that_is_gone_or_broken(lines: list[str]) -> None:
    code = compile_lines("first = x\nr = np.asarray(first)")
    linecache.cache[code.co_filename] = (1, None, lines, code.co_filename)
    with pytest.raises(safe_numpy.ConversionError) as caught:
        exec(code, make_names())
    text = str(caught.value)
    assert text.startswith("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.\n\n")
    assert "This tensor cannot become a NumPy array, for 1 reason:\n  grad" in text
    assert f"{code.co_filename}:2" in text
    assert "safe_numpy could not" not in text


def test_a_variable_that_has_changed_since_is_not_named() -> None:
    value: Any = X * 2
    with pytest.raises(safe_numpy.ConversionError) as caught:
        np.asarray(value)
    other, value = value, "something else"
    diagnosis = caught.value.diagnosis
    assert diagnosis is not None
    assert (diagnosis.named, diagnosis.inside) == (False, "np.asarray(value)")
    assert other is not value


LINES = {
    "y = np.unique(\n    x,\n    return_counts=True,\n)": "y = np.unique(x, return_counts=True)",
    "y = np.maximum(  # the larger one\n    x, 1)": "y = np.maximum(  # the larger one",
    "y = dict(\n    a=[1,\n       2],\n    b=x.numpy(),\n)": "b=x.numpy(),",
    "y = np.sum([x, [\n    1.0, 2.0\n]], axis=0)": "y = np.sum([x, [1.0, 2.0]], axis=0)",
}
"""what fails, and the line that is shown of it"""


@pytest.mark.parametrize("source", LINES)
def test_a_line_is_shown_with_those_that_belong_to_its_operation(source: str) -> None:
    site = explain(source).site
    assert site is not None
    assert site.source == LINES[source]
