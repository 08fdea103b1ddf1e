"""Whether an array becomes a tensor again, as far as the source says."""

from __future__ import annotations

import linecache
import textwrap
from types import CodeType

import pytest

from safe_numpy.diagnosis.facts import Site
from safe_numpy.frameworks.torch.flow import Flow, follow

ON_ONE_LINE: dict[str, tuple[Flow, str]] = {
    "in a branch": (
        Flow.RETURNS,
        "def f(x, d):\n    h = x\n    if d: h = torch.from_numpy(x.numpy())  # 1\n    return h",
    ),
    "in a loop": (Flow.RETURNS, "def f(xs):\n    for x in xs: h = torch.from_numpy(x.numpy())  # 1"),
    "in a block": (Flow.RETURNS, "def f(x):\n    with c: a = x.numpy()  # 1\n    return torch.tensor(a)"),
    "after another": (Flow.RETURNS, "def f(x):\n    n = 1; a = x.numpy()  # 1\n    return torch.tensor(a)"),
    "before another": (Flow.RETURNS, "def f(x):\n    a = x.numpy(); n = 1  # 1\n    return torch.tensor(a)"),
    "before another tensor": (Flow.ENDS, "def f(x):\n    print(x.numpy()); n = torch.tensor(3)  # 1\n    return n"),
}
CASES: dict[str, tuple[Flow, str]] = {
    **ON_ONE_LINE,
    "a function on one line": (Flow.RETURNS, "def f(x): return torch.from_numpy(x.numpy())  # 1"),
    "at once": (Flow.RETURNS, "def f(x):\n    h = torch.from_numpy(np.tanh(x.numpy()))  # 1\n    return h"),
    "by variables": (
        Flow.RETURNS,
        "def f(x):\n    a = x.numpy()  # 1\n    b, c = np.sort(a), 3\n    return torch.tensor(b)",
    ),
    "by a container": (
        Flow.RETURNS,
        "def f(x):\n    out = []\n    out.append(x.numpy())  # 1\n    return torch.as_tensor(out)",
    ),
    "by an item": (Flow.RETURNS, "def f(x):\n    a[0] = x.numpy()  # 1\n    return torch.tensor(a)"),
    "by a walrus": (Flow.RETURNS, "def f(x):\n    if (a := x.numpy()).any():  # 1\n        return torch.tensor(a)"),
    "by the loop before": (
        Flow.RETURNS,
        "a = None\nfor x in xs:\n    if a is not None:\n        net(torch.from_numpy(a))\n    a = x.numpy()  # 1",
    ),
    "by the caller": (
        Flow.RETURNS,
        "def s(x):\n    y = x.numpy()  # 1\n    return y * 2\nz = s(x)  # 2\ntorch.as_tensor(z)",
    ),
    "by the caller's line": (
        Flow.RETURNS,
        "def s(x):\n    return x.numpy()  # 1\ndef f(x):\n    return torch.asarray(s(x))  # 2",
    ),
    "with a constructor": (Flow.RETURNS, "def f(x):\n    a = x.numpy()  # 1\n    return FloatTensor(a)"),
    "a metric": (
        Flow.ENDS,
        "for x in xs:\n    acc = score(x.numpy())  # 1\n    history.append(acc)\n    print(acc)\nplt.plot(history)",
    ),
    "a plot": (Flow.ENDS, "for x in xs:\n    plt.plot(x.numpy())  # 1\n    y = torch.tensor(data)\n    plt.show()"),
    "a comparison": (
        Flow.ENDS,
        "def f(x):\n    if x.numpy().any():  # 1\n        y = torch.tensor(3)",
    ),
    "numpy's own functions": (
        Flow.ENDS,
        "def f(x):\n    np.save('a', x.numpy())  # 1\n    return torch.tensor(np.ones(3))",
    ),
    "np.asarray": (Flow.ENDS, "def f(x):\n    a = x.numpy()  # 1\n    b = np.asarray(a)\n    print(b)"),
    "an attribute": (Flow.UNKNOWN, "def f(self, x):\n    self.h = x.numpy()  # 1"),
    "a method of its own": (Flow.UNKNOWN, "def f(self, x):\n    self.record(x.numpy())  # 1"),
    "a function within": (
        Flow.UNKNOWN,
        "def f(x):\n    a = x.numpy()  # 1\n    def g():\n        return a\n    u(g)",
    ),
    "a generator": (Flow.UNKNOWN, "def f(xs):\n    for x in xs:\n        yield x.numpy()  # 1"),
    "a callback": (Flow.UNKNOWN, "def f(x):\n    return x.numpy()  # 1"),
    "no source": (Flow.UNKNOWN, ""),
    "no Python": (Flow.UNKNOWN, "def f(x:\n    x.numpy()  # 1"),
}


@pytest.mark.parametrize("case", CASES)
def test_flow(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, source = CASES[case]
    lines = textwrap.dedent(source).splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<flow>", (len(source), None, lines, "<flow>"))
    unmarked = [Site("<flow>", 1, "f")]
    for has_columns in (True, False):
        if has_columns and case == "no Python":
            continue
        running = [find_marked(lines, code, mark, has_columns) for mark, code in MARKS.items() if mark in source]
        is_lost = case in ON_ONE_LINE and not has_columns  # which of them, is not to be told
        assert follow(running or unmarked) is (Flow.UNKNOWN if is_lost else expected), has_columns


MARKS = {"# 1": "x.numpy()", "# 2": "s(x)"}


def find_marked(lines: list[str], call: str, mark: str, has_columns: bool) -> Site:
    """Return the line with a mark, and the instruction there that makes the call."""
    lineno, line = next((n, line) for n, line in enumerate(lines, 1) if line.rstrip().endswith(mark))
    if not has_columns:
        return Site("<flow>", lineno, "f")
    start = (lineno, line.index(call))
    pending = [compile("".join(lines), "<flow>", "exec")]
    while pending:
        code = pending.pop()
        for i, (first, _, column, _) in enumerate(code.co_positions()):
            if (first, column) == start:
                return Site("<flow>", lineno, "f", code=code, lasti=2 * i)
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    raise AssertionError("no instruction stands there")
