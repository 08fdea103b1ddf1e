"""Whether an array becomes a tensor again, as far as the source says."""

from __future__ import annotations

import linecache
import textwrap

import pytest

from safe_numpy.callsite.flow import Flow, follow

CASES: dict[str, tuple[Flow, str]] = {
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
    marked = [i + 1 for mark in ("# 1", "# 2") for i, line in enumerate(lines) if line.rstrip().endswith(mark)]
    assert follow([("<flow>", lineno) for lineno in marked or [1]]) is expected
