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

import safe_numpy

X = torch.tensor([1.0, 2.0], requires_grad=True)
Y = X * 2

_numbers = iter(range(10**6))


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
    ("r = np.asarray(z := y)", "y", "r = np.asarray(z := y.detach().numpy())"),
    ("assert y.numpy().sum() == 6", "y", "assert y.detach().numpy().sum() == 6"),
    ("if np.asarray(y).sum() > 1 and True:\n    r = 1", "y", "np.asarray(y.detach().numpy()).sum() > 1 and True"),
    ("for v in np.asarray(y):\n    r = v", "y", "np.asarray(y.detach().numpy())"),
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
    ("def f():\n    return y.numpy()\nf()", "y", "y.detach().numpy()"),
    ("def f():\n    yield y.numpy()\nlist(f())", "y", "y.detach().numpy()"),
    ("def f(a=y.numpy()):\n    pass", "y", "y.detach().numpy()"),
    ("class C:\n    w = y.numpy()", "y", "w = y.detach().numpy()"),
    ("@(lambda f: np.asarray(y))\ndef f():\n    pass", "y", "lambda f: np.asarray(y.detach().numpy())"),
    ("r = getattr(y, 'numpy')()", "y", None),
    ("r = np.asarray(same(y))", "y", None),
    ("r = list(map(np.asarray, [x, y]))", "x", None),
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
        "[\n    x.detach().numpy(),  # the first\n    y.detach().numpy(),\n]",
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
    ("r = np.asarray([(z := y)][0])", "y", None),
    ('r = f"""\n  {y.numpy().sum()}\n"""', "y", 'r = f"""\n  {y.detach().numpy().sum()}\n"""'),
]


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn.t accept a copy keyword:DeprecationWarning"
)  # of torch 2.4
@pytest.mark.parametrize(("source", "name", "shown"), FORMS, ids=[f[0].strip().partition("\n")[0] for f in FORMS])
def test_form(source: str, name: str, shown: str | None) -> None:
    diagnosis = explain(source)
    assert (diagnosis.name, diagnosis.named) == (name, True)
    expected = shown if shown is not None else f"{name}.detach().numpy()"
    assert diagnosis.shown == expected
    assert f"fix  {expected}".split("\n")[0] in re.sub("fix +", "fix  ", str(diagnosis))
    assert diagnosis.fix is not None
    compile(diagnosis.fix, "<fix>", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if shown is not None and name != "t":  # a variable of the comprehension or lambda is not to be had outside
        names = {**make_names(), "r": np.ones((2, 2))}
        execute(compile(shown, "<fix>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)


@pytest.mark.parametrize(
    ("source", "inside", "fix"),
    [
        ("np.sqrt(y.mean())", "np.sqrt(y.mean())", "np.sqrt(safe_numpy.to_numpy(y.mean()))"),
        ("np.array([y.mean(), x.mean()])", "np.array([y.mean(), x.mean()])", "tensor.detach().numpy()"),
        ("m = y.numpy; m()", "m()", "tensor.detach().numpy()"),
        # an iterator, which to_numpy would exhaust
        ("list(map(np.asarray, [y.mean()]))", "list(map(np.asarray, [y.mean()]))", "tensor.detach().numpy()"),
        (
            "np.array([-x for x in [y]])",
            "np.array([-x for x in [y]])",
            "np.array(safe_numpy.to_numpy([-x for x in [y]]))",
        ),
    ],
)
def test_what_cannot_be_told_is_not_guessed(source: str, inside: str, fix: str) -> None:
    diagnosis = explain(source)
    assert not diagnosis.named
    assert str(diagnosis).startswith(f"A tensor inside `{inside}` cannot become a NumPy array, for 1 reason:")
    assert diagnosis.fix == fix
    if "tensor." not in fix:
        assert isinstance(eval(fix, make_names()), (np.ndarray, np.floating))


def test_a_long_line_is_corrected_where_it_must_be() -> None:
    diagnosis = explain(
        "r = np.concatenate([np.asarray(y), np.zeros(3), np.ones(3), np.full(3, 7.0), np.arange(10.0)])"
    )
    assert diagnosis.shown == "np.asarray(y.detach().numpy())"
    assert all(len(line) <= 100 for line in str(diagnosis).splitlines())


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
    assert (caught.value.diagnosis.named, caught.value.diagnosis.fix) == (False, "x.detach().numpy()")


@pytest.mark.parametrize("lines", [[], ["not python at all\n"] * 2, ["\n"], ["r = x\n", "r = (\n"]])
def test_source_that_is_gone_or_broken(lines: list[str]) -> None:
    code = compile_lines("first = x\nr = np.asarray(first)")
    linecache.cache[code.co_filename] = (1, None, lines, code.co_filename)
    with pytest.raises(safe_numpy.ConversionError) as caught:
        exec(code, make_names())
    text = str(caught.value)
    assert text.startswith("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.\n\n")
    assert "This tensor (`x` below) cannot become a NumPy array, for 1 reason:\n  grad" in text
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
