"""Whether an array becomes a tensor again, as far as the source says."""

from __future__ import annotations

import linecache
import textwrap
from types import CodeType

import pytest

from safe_numpy.callsite.flow import Flow, follow, is_learnt_from
from safe_numpy.diagnosis.facts import Site

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
    "a metric that is a tensor again": (
        Flow.ENDS,
        "for x in xs:\n    losses.append(x.numpy())  # 1\nprint(torch.tensor(losses).mean())",
    ),
    "such a metric, returned": (
        Flow.ENDS,
        "def s(x):\n    y = x.numpy()  # 1\n    return torch.tensor(y).mean()\nv = s(x)  # 2\n"
        "if v < best:\n    best = v",
    ),
    "such a metric's number": (
        Flow.ENDS,
        "for x in xs:\n    acc = torch.tensor(x.numpy()).mean().item()  # 1\n    history.append(acc)",
    ),
    "shown, and used as well": (
        Flow.RETURNS,
        "def f(x):\n    h = torch.tensor(x.numpy())  # 1\n    print(h)\n    net(h).sum().backward()",
    ),
    "a replay buffer": (
        Flow.ENDS,
        "for x in xs:\n    buffer.append(x.numpy())  # 1\n    batch = random.sample(buffer, 8)\n"
        "    net(torch.tensor(batch)).sum().backward()",
    ),
    "a replay buffer, by indices": (
        Flow.ENDS,
        "for x in xs:\n    states.append(x.numpy())  # 1\n    chosen = np.random.randint(0, n, 8)\n"
        "    net(torch.tensor([states[i] for i in chosen])).sum().backward()",
    ),
    "a penalty": (
        Flow.RETURNS,
        "for x in xs:\n    a = float(np.abs(x.numpy()).sum())  # 1\n    loss = mse + 0.1 * a\n    loss.backward()",
    ),
    "an index": (Flow.ENDS, "def f(x):\n    i = torch.tensor(x.numpy().argmax())  # 1\n    return net(i)"),
    "a mask": (Flow.ENDS, "def f(x):\n    m = torch.tensor(x.numpy() > 0)  # 1\n    return net(m)"),
    "a helper": (Flow.RETURNS, "class N:\n    def forward(self, x):\n        return self.l(to_torch(x.numpy()))  # 1"),
    "a helper that is in sight": (
        Flow.RETURNS,
        "def g(a):\n    return torch.tensor(a * 2)\ndef f(x):\n    h = g(x.numpy())  # 1\n    return net(h)",
    ),
    "a helper that gives a number": (
        Flow.ENDS,
        "def g(a):\n    return torch.tensor(a).mean().item()\ndef f(x):\n    h = g(x.numpy())  # 1\n    log.append(h)",
    ),
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
        for i, (first, _, column, end) in enumerate(code.co_positions()):
            if (first, column, end) == (*start, start[1] + len(call)):
                return Site("<flow>", lineno, "f", code=code, lasti=2 * i)
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    raise AssertionError("no instruction stands there")


LEARNT: dict[str, tuple[bool, str]] = {
    "a loss": (True, "def f(x):\n loss = np.f(x)  # 3\n loss.backward()"),
    "a loss by way of a name": (True, "def f(x):\n a = np.f(x)  # 3\n loss = a.sum() + b\n loss.backward()"),
    "at once": (True, "def f(x):\n np.f(x).backward()  # 3"),
    "a scaled loss": (True, "def f(x):\n loss = np.f(x)  # 3\n scaler.scale(loss).backward()"),
    "accelerate": (True, "def f(x):\n loss = np.f(x)  # 3\n accelerator.backward(loss)"),
    "a gradient": (True, "def f(x):\n y = np.f(x)  # 3\n return torch.autograd.grad(y.sum(), x)"),
    "a criterion": (True, "for x in xs:\n loss = mse(np.f(x), y)  # 3\n loss.backward()"),
    "a sum": (True, "total = 0\nfor x in xs:\n total += np.f(x)  # 3\ntotal.backward()"),
    "a list": (True, "losses = []\nfor x in xs:\n losses.append(np.f(x))  # 3\nsum(losses).backward()"),
    "a helper": (True, "def g(a):\n a.sum().backward()\ndef f(x):\n g(np.f(x))  # 3"),
    "a helper's result": (True, "def s(x):\n return np.f(x)  # 3\nloss = s(x)  # 2\nloss.backward()"),
    "forward": (True, "class N:\n def forward(self, x):\n  return np.f(x)  # 3"),
    "forward's next layer": (
        True,
        "class N:\n def forward(self, x):\n  h = np.f(x)  # 3\n  u = self.l(h)",
    ),
    "forward's list of layers": (True, "class N:\n def forward(self, x):\n  u = self.l[0](np.f(x))  # 3"),
    "forward's torch": (True, "class N:\n def forward(self, x):\n  u = torch.relu(np.f(x))  # 3"),
    "called by forward": (
        True,
        "class N:\n def f(self, x):\n  return np.f(x)  # 3\n def forward(self, x):\n  return s(x)  # 2",
    ),
    "a training step": (
        True,
        "class N:\n def training_step(self, b):\n  loss = np.f(x)  # 3\n  return loss",
    ),
    "a member": (
        True,
        "class N:\n def f(self, x):\n  self.h = np.f(x)  # 3\n def g(self):\n  self.h.sum().backward()",
    ),
    "a chain": (True, "y = np.f(x).unsqueeze(0)  # 3"),
    "a chain of arrays too": (False, "y = np.f(x).view(-1)  # 3"),
    "the next line": (True, "y = np.f(x)  # 3\ny = y.requires_grad_()"),
    "a closure": (
        True,
        "def f():\n def closure():\n  l = np.f(x)  # 3\n  l.backward()\n o.step(closure)",
    ),
    "printed": (False, "print(np.f(x))  # 3"),
    "formatted": (False, "for x in xs:\n print(f'{np.f(x)}')  # 3"),
    "plotted": (False, "class N:\n def forward(self, x):\n  plt.plot(np.f(x))  # 3\n  return self.l(x)"),
    "printed in forward": (False, "class N:\n def forward(self, x):\n  print(np.f(x))  # 3\n  return x"),
    "asked in forward": (
        False,
        "class N:\n def forward(self, x):\n  if np.f(x).any():  # 3\n   return x",
    ),
    "logged": (False, "self.log('loss', np.f(x))  # 3\nloss.backward()"),
    "a history": (
        False,
        "for x in xs:\n history.append(np.f(x))  # 3\n loss.backward()\nprint(np.mean(history))",
    ),
    "a metric": (False, "for x in xs:\n acc = score(y, np.f(x))  # 3\n loss.backward()\n total += acc"),
    "a loss's value": (
        False,
        "for x in xs:\n loss = x = c(z)\n loss.backward()\n loss = np.f(x)  # 3\n total += loss",
    ),
    "a condition": (False, "if np.f(x) < best:  # 3\n loss.backward()"),
    "a shape": (False, "n = np.f(x).shape  # 3\n(loss / n[0]).backward()"),
    "saved": (False, "np.save('a', np.f(x))  # 3"),
    "thrown away": (False, "np.f(x)  # 3"),
    "returned to nobody in sight": (False, "def f(x):\n return np.f(x)  # 3"),
    "no source": (False, ""),
}


@pytest.mark.parametrize("case", LEARNT)
def test_learnt(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, source = LEARNT[case]
    lines = source.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<flow>", (len(source), None, lines, "<flow>"))
    for has_columns in (True, False):
        marks = [(mark, code) for mark, code in (("# 3", "np.f(x)"), ("# 2", "s(x)")) if mark in source]
        calls = [
            (mark, code.replace("(x)", "(loss)") if f"f(loss)  {mark}" in source else code) for mark, code in marks
        ]
        running = [find_marked(lines, code, mark, has_columns) for mark, code in calls]
        is_clear = has_columns or case not in NEED_COLUMNS
        assert is_learnt_from(running or [Site("<flow>", 1, "f")]) is (expected and is_clear), has_columns


NEED_COLUMNS = {"a chain", "the next line"}
