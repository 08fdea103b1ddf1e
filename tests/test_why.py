"""`why`: the reason for what no guard sees, and silence about what has nothing to do with it."""

from __future__ import annotations

import dataclasses
import json  # noqa: F401 - the lines below call these
import sys
import tempfile
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F  # noqa: F401, N812
import toy_device  # noqa: F401
from field.unrelated import PROGRAMS
from PIL import Image
from processes import launch, run
from torch.utils.tensorboard import SummaryWriter
from versions import HAS_PYTHON_BACKENDS

import safe_numpy
from safe_numpy import why
from safe_numpy.postmortem.why import find_unsaid

# NumPy asks the tensor before it gives up
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar:UserWarning"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


HEADLINES = {
    "method": "is the method itself: its parentheses are missing.",
    "array_method": "is a method of arrays.",
    "conversion": "is a tensor, and has no ",
    "wants_array": "is a tensor, and an array is wanted here.",
    "no_grad": "has no gradient.",
    "none": "is None, not a tensor.",
    "array": "it is in host memory, and no tensor any more (",
    "tensor_method": "is a method of tensors.",
    "number": ", and no tensor any more.",
    "container": "has no ",
    "members": ", which holds tensors.",
    "module": ", a module and no tensor.",
    "dataset": ", which gives tensors when it is iterated.",
    "class": "is a class, not an instance of it.",
    "operator": "NumPy and the tensor's framework do not compute together.",
    "argument": " takes tensors.",
    "one_tensor": " takes one tensor.",
    "function": "with arguments that only NumPy's takes.",
    "constructor": "builds a tensor of numbers, and ",
    "ragged": "is a list of tensors of ",
    "already": "is a tensor already.",
    "no_array": " takes an array.",
    "backwards": "is an array that runs backwards in memory",
    "objects": "which PyTorch has not.",
    "format": "and a number is to be formatted.",
    "item": "and item() gives one number.",
    "json": "is a tensor, which JSON does not know.",
    "points": "OpenCV ",
    "pandas": "is a tensor, and pandas wants an array here.",
    "index": ", and an index is wanted",
    "dtype": "is an attribute of NumPy's dtypes.",
    "figure": "is a tensor, and add_figure draws a figure of matplotlib's.",
    "device": ", and the tensor that it is an index of on cpu.",
    "cut": " cut its path, ",
}


@dataclasses.dataclass
class Output:
    logits: Any
    loss: Any = None


class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """As Hugging Face's: a mapping whose items are attributes too."""

    def __init__(self, **members: Any) -> None:
        super().__init__(members)
        self.__dict__.update(members)


class Watched:
    """Keeps the gradient of what goes into a module."""

    def __init__(self, module: Any) -> None:
        def keep(module: Any, grad_in: Any, grad_out: Any) -> None:
            self.seen = grad_in[0]

        self.module, self.seen = module, None
        module.register_full_backward_hook(keep)


assert safe_numpy  # a line to paste mentions it
Pair = namedtuple("Pair", "mu logvar")
t = torch.tensor([1.0, 2.0, 3.0])
g = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
low = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16)
a = np.ones(3)
a32 = np.ones(3, np.float32)
whole = np.array([0, 1, 2])
pixels = torch.zeros(4, 4, 3, dtype=torch.uint8)
planes = torch.zeros(3, 4, 5, dtype=torch.uint8)
tensors = [t, g]
arrays = [a32, a32]
pair = (t, t)
scores = (t.sum(), torch.ones(2, 3))
nested = (t, (t, t))
means = Pair(t, t)
by_name = {"x": t, "y": low}
answer = OrderedDict(out=torch.ones(2, 3), aux=torch.ones(2, 3))
mixed = [t, 1]
ragged = [t, t[:2]]
losses = [g.sum(), t.sum()]
one = torch.ones(1)
nothing = None
number = 3
real = 3.0
scalar = np.float32(3)
output = Output(t)
outputs = ModelOutput(logits=t, loss=g.sum())
TensorDataset, DataLoader = torch.utils.data.TensorDataset, torch.utils.data.DataLoader
dataset = TensorDataset(t)
net = torch.nn.Linear(3, 2)
rnn = torch.nn.GRU(3, 4)
batch = torch.ones(2, 3)
fresh = torch.ones(2, 3)
watched = Watched(torch.nn.Linear(3, 2))
objects = np.array([1.0, 2.0], dtype=object)
floats = torch.tensor([0.0, 1.0])
toy = torch.tensor([0, 1]).to("toy") if HAS_PYTHON_BACKENDS else None
corner = (torch.tensor(1), torch.tensor(2))
image = np.zeros((9, 9, 3), np.uint8)
frame = pd.DataFrame({"p": [1.0, 2.0, 3.0]})
loss = (g * 2).sum()
recorded = g * 2
states = (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))
only_logits = ModelOutput(logits=t, loss=None)
meter = {"v": one, "n": "acc"}
writer = SummaryWriter(tempfile.mkdtemp())


def reset() -> tuple[Any, dict[str, int]]:
    return a32, {"seed": 0}


def sample() -> tuple[Any, Any]:
    return a32, whole


ROWS: dict[str, tuple[str, str, str | None]] = {
    # source -> cause, headline, the line to paste
    "a + t": ("operator", "`a` is an array and `t` a tensor", "a + t.numpy()"),
    "a32 * g": ("operator", "`a32` is an array and `g` a tensor", "torch.from_numpy(a32) * g"),
    "a * g": ("operator", "`a` is an array and `g` a tensor", "torch.from_numpy(a).to(g) * g"),
    "a * (g * 2)": ("operator", "`a` is an array and `g * 2` a tensor", "torch.from_numpy(a).to(g) * (g * 2)"),
    "r = 2 * a * g + a": ("operator", "`2 * a`", "r = torch.from_numpy(2 * a).to(g) * g + torch.from_numpy(a).to(g)"),
    "a - net(batch)[0, 0]": ("operator", "and `net(batch)[0, 0]`", "torch.from_numpy(a).to(batch) - net(batch)[0, 0]"),
    "print(a * g)": ("operator", "`a` is an array and `g` a tensor", "print(a * g.detach().numpy())"),
    "np.mean(a * g)": ("operator", "`a` is an array and `g` a tensor", None),
    "a @ low": ("operator", "`a` is an array and `low` a tensor", "a @ low.float().numpy()"),
    "a - t": ("operator", "`a` is an array and `t` a tensor", "a - t.numpy()"),
    "a < t": ("operator", "`a` is an array and `t` a tensor", "a < t.numpy()"),
    "np.ones(3) + t": ("operator", "`np.ones(3)` is an array and `t` a tensor", "np.ones(3) + t.numpy()"),
    "b = a.copy(); b += t": ("operator", "`b` is an array and `t` a tensor", "b += t.numpy()"),
    "b = a.copy(); b += g": ("operator", "`b` is an array and `g` a tensor", None),
    "torch.clip(a, 0, 1)": ("argument", "`a` is an array, and `torch.clip`", "torch.clip(torch.from_numpy(a), 0, 1)"),
    "net(a)": ("argument", "`a` is an array, and `net` takes", "net(torch.from_numpy(a).float())"),
    "net(a32)": ("argument", "`a32` is an array, and `net` takes", "net(torch.from_numpy(a32))"),
    "F.one_hot(whole)": ("argument", "`whole` is an array", "F.one_hot(torch.from_numpy(whole))"),
    "F.mse_loss(g, a)": ("argument", "`a` is an array", "F.mse_loss(g, torch.from_numpy(a).to(g))"),
    "t.clamp(min=-a)": ("argument", "`-a` is an array", "t.clamp(min=torch.from_numpy(-a).to(t))"),
    "torch.cat([t, a32])": ("argument", "`a32` is an array", "torch.cat([t, torch.from_numpy(a32)])"),
    "torch.stack(arrays)": (
        "argument",
        "`arrays` is a list of arrays",
        "torch.stack([torch.from_numpy(a) for a in arrays])",
    ),
    "torch.mean(tensors)": ("one_tensor", "`tensors` is a list of tensors", "torch.mean(torch.stack(tensors))"),
    "net(by_name)": ("one_tensor", "`by_name` is a dict that holds tensors, and `net` takes one tensor", None),
    "net(answer)": ("one_tensor", "`answer` is a collections.OrderedDict that holds tensors", "net(answer['out'])"),
    "np.mean(t)": ("function", "`t` is a tensor, whose own `mean` is called by `np.mean`", "np.mean(t.numpy())"),
    "np.sum(g)": ("function", "`g` is a tensor, whose own `sum` is called", "torch.sum(g)"),
    "np.std(g, axis=0)": ("function", "`g` is a tensor", "torch.std(g, dim=0, correction=0)"),
    "np.mean(net(batch))": ("function", "`net(batch)` is a tensor, whose own `mean`", "torch.mean(net(batch))"),
    "print(np.sum(g))": ("function", "`g` is a tensor, whose own `sum` is called", "print(np.sum(g.detach().numpy()))"),
    "np.exp(t - np.max(t))": ("function", "`t` is a tensor", "np.exp(t.numpy() - np.max(t.numpy()))"),
    "np.max(low)": ("function", "`low` is a tensor, whose own `max` is called", "np.max(low.float().numpy())"),
    "np.std(t)": ("function", "`t` is a tensor, whose own `std` is called", "np.std(t.numpy())"),
    "np.var(t)": ("function", "`t` is a tensor, whose own `var` is called", "np.var(t.numpy())"),
    "np.moveaxis(batch, 1, 0)": ("function", "`batch` is a tensor", "np.moveaxis(batch.numpy(), 1, 0)"),
    "torch.tensor([t, t])": ("constructor", "`torch.tensor` builds a tensor of numbers", "torch.stack([t, t])"),
    "torch.tensor(tensors)": ("constructor", "and `tensors` is a list of tensors", "torch.stack(tensors)"),
    "torch.tensor(pair, dtype=torch.float64)": ("constructor", "`pair`", "torch.stack(pair).to(dtype=torch.float64)"),
    "torch.FloatTensor(tensors)": ("constructor", "`torch.FloatTensor` builds", "torch.stack(tensors).float()"),
    "torch.tensor(ragged)": ("constructor", "and `ragged` is a list of tensors", None),
    "np.array(ragged)": ("ragged", "`ragged` is a list of tensors of shapes [3] and [2]: no array has both", None),
    "np.array([x.cpu() for x in ragged])": ("ragged", "of different shapes: no array has them all", None),
    "y = np.concatenate(ragged); r = np.array([x.cpu() for x in ragged]); r - y": (
        "ragged",
        "of different shapes: no array has them all",
        "r = np.concatenate([x.cpu() for x in ragged])",
    ),
    "torch.from_numpy(t)": ("already", "`t` is a tensor already", "t"),
    "torch.from_numpy([1, 2])": ("no_array", "`[1, 2]` is a list", "torch.tensor([1, 2])"),
    "torch.from_numpy(arrays)": ("no_array", "`arrays` is a list", "torch.from_numpy(np.array(arrays))"),
    "torch.from_numpy(scalar)": ("no_array", "`scalar` is a numpy.float32", "torch.tensor(scalar)"),
    "torch.from_numpy((a, {}))": ("no_array", "`(a, {})` is a tuple", None),
    "torch.from_numpy(a[::-1])": ("backwards", "`a[::-1]` is an array", "torch.from_numpy(a[::-1].copy())"),
    "torch.from_numpy(np.flip(a))": ("backwards", "`np.flip(a)` is", "torch.from_numpy(np.flip(a).copy())"),
    "torch.tensor(objects)": ("objects", "`objects` is an array", "torch.tensor(objects.astype(np.float32))"),
    "Image.fromarray(pixels)": ("wants_array", "`pixels` is a tensor, and an array", "Image.fromarray(pixels.numpy())"),
    "Image.fromarray(planes)": (
        "wants_array",
        "`planes` is a tensor",
        "Image.fromarray(planes.permute(1, 2, 0).numpy())",
    ),
    "Image.fromarray(g * 2)": ("wants_array", "`g * 2` is a tensor", "Image.fromarray((g * 2).detach().numpy())"),
    "cv2.flip(pixels, 0)": ("wants_array", "`pixels` is a tensor, and an array", "cv2.flip(pixels.numpy(), 0)"),
    "cv2.circle(image, corner, 1, 0)": (
        "points",
        "`corner` is a tuple of tensors, and OpenCV takes numbers",
        "cv2.circle(image, tuple(t.item() for t in corner), 1, 0)",
    ),
    "cv2.circle(image, (t[0], t[1]), 1, 0)": (
        "points",
        "`t[0]` is a tensor, and OpenCV wants numbers",
        "cv2.circle(image, (int(t[0]), int(t[1])), 1, 0)",
    ),
    "frame.loc[:, 'q'] = g": ("pandas", "`g` is a tensor", "frame.loc[:, 'q'] = g.detach().numpy()"),
    "json.dumps({'loss': t})": ("json", "`t` is a tensor", "json.dumps({'loss': t}, default=lambda t: t.tolist())"),
    "f'{one:.2f}'": ("format", "`one` is a tensor of one element", "f'{one.item():.2f}'"),
    "f'{t:.2f}'": ("format", "`t` is a tensor of 3 elements", None),
    "'%.3f' % t": ("format", "`t` is a tensor of 3 elements", None),
    "'{:.1f} {}'.format(t, 1)": ("format", "`t` is a tensor of 3 elements", None),
    "'%.3f' % tensors": ("format", "`tensors[0]` is a tensor", None),
    "t.item()": ("item", "`t` is a tensor of 3 elements", None),
    "loss_weights = t; loss_weights.item()": ("item", "`loss_weights` is a tensor of 3 elements", None),
    "losses = [t]; [x.item() for x in losses]": ("item", "`x` is a tensor", "[x.mean().item() for x in losses]"),
    "'{v:f} {n}'.format(**meter)": (
        "format",
        "`meter['v']` is a tensor",
        "'{v:f} {n}'.format(**{k: v.item() if torch.is_tensor(v) else v for k, v in meter.items()})",
    ),
    "t.dtype.kind == 'f'": ("dtype", "`t` is a tensor, and `kind`", "t.numpy().dtype.kind == 'f'"),
    "writer.add_figure('x', planes)": ("figure", "`planes` is a tensor", "writer.add_image('x', planes)"),
    "writer.add_figure('x', batch)": ("figure", "`batch` is a tensor", None),
    "t[floats]": ("index", "`floats` is a tensor of floats", "t[floats.long()]"),
    "t[toy]": ("device", "`toy` is on toy:0", "t[toy.cpu()]"),
    "tensors.numpy()": ("container", "it is a list of 2 tensors", "[safe_numpy.to_numpy(t) for t in tensors]"),
    "tensors.detach().numpy()": ("container", "it is a list of 2", "[t.detach().numpy() for t in tensors]"),
    "pair.numpy()": ("container", "`pair` has no numpy(): it is a tuple of 2", "tuple(t.numpy() for t in pair)"),
    "tensors.cpu()": ("container", "`tensors` has no cpu()", "[t.cpu() for t in tensors]"),
    "x = losses.numpy() * 2": ("container", "a list of 2 tensors", "x = torch.stack(losses).detach().numpy() * 2"),
    "tensors.mean()": ("container", "`tensors` has no mean()", "torch.stack(tensors).mean()"),
    "scores.detach().cpu().numpy()": ("container", "it is a tuple of 2", "scores[1].detach().cpu().numpy()"),
    "scores.item()": ("container", "it is a tuple of 2 tensors", "scores[0].item()"),
    "nested.squeeze(0)": ("container", "it is a tuple of 1 tensor", "nested[0].squeeze(0)"),
    "rnn(batch).detach().numpy()": ("container", "`rnn(batch)` has no", "rnn(batch)[0].detach().numpy()"),
    "by_name.detach()": ("container", "it is a dict of 2 tensors", "{k: t.detach() for k, t in by_name.items()}"),
    "answer.argmax(1)": ("container", "OrderedDict of 2 tensors", "answer['out'].argmax(1)"),
    "x = pair.numpy() * 2": ("container", "`pair` has no numpy()", None),
    "mixed.numpy()": ("container", "it is a list of 1 tensor.", "mixed[0].numpy()"),
    "means.detach()": ("members", "it is a test_why.Pair", None),
    "top = torch.max(batch, 1).numpy()": ("members", "return_types", "top = torch.max(batch, 1).values.numpy()"),
    "preds = batch.max(1).numpy()": ("members", "a torch.return_types.max", "preds = batch.max(1).indices.numpy()"),
    "preds = torch.topk(t, 2).squeeze(0).tolist(); [k for k in preds]": (
        "members",
        "return_types.topk",
        "preds = torch.topk(t, 2).indices.squeeze(0).tolist()",
    ),
    "best, k = torch.topk(t, 2).tolist()": ("members", "return_types.topk", None),
    "rows = only_logits.detach(); [r for r in rows]": (
        "members",
        "it is a test_why.ModelOutput",
        "rows = only_logits.logits.detach()",
    ),
    "states = pair; states = states.cpu(); rnn(batch, states)": (
        "container",
        "it is a tuple of 2 tensors",
        "states = tuple(t.cpu() for t in states)",
    ),
    "x = pair; x = x.cpu(); net(x)": ("container", "it is a tuple of 2 tensors", None),
    "nothing.numpy()": ("none", "`nothing` is None, not a tensor", None),
    "g.grad.numpy()": ("no_grad", "`g.grad` is None: `g` has no gradient", None),
    "loss.grad.data": ("no_grad", "`loss.grad` is None: `loss` has no gradient", None),
    "a.numpy()": ("array", "`a` needs no numpy(): it is in host memory", "a"),
    "a.cpu()": ("array", "`a` needs no cpu()", "a"),
    "a.detach().cpu().numpy().mean()": ("array", "`a` needs no detach()", "a.mean()"),
    "scalar.numpy()": ("array", "`scalar` needs no numpy()", "scalar"),
    "number.item()": ("array", "`number` needs no item()", "number"),
    "real.item()": ("array", "`real` needs no item()", "float(real)"),
    "real.backward()": ("number", "`real` is a float", None),
    "a.unsqueeze(0)": ("tensor_method", "`a` is an array", "torch.from_numpy(a).unsqueeze(0)"),
    "output.numpy()": ("members", "it is a test_why.Output, which holds tensors", "output.logits.numpy()"),
    "outputs.detach()": ("members", "it is a test_why.ModelOutput", "outputs.logits.detach()"),
    "outputs.backward()": ("members", "it is a test_why.ModelOutput", "outputs.loss.backward()"),
    "net.numpy()": ("module", "`net` has no numpy()", None),
    "dataset.numpy()": ("dataset", "which gives tensors when it is iterated", None),
    "torch.nn.Linear.numpy()": ("class", "`torch.nn.Linear` is a class, not an instance", None),
    "torch.Tensor.numpy()": ("class", "`torch.Tensor` is a class", None),
    "np.sin(t.numpy)": ("method", "`t.numpy` is the method itself: its parentheses", "np.sin(t.numpy())"),
    "float(one.item)": ("method", "`one.item` is the method itself", "float(one.item())"),
    "np.asarray(g.numpy, float)": ("method", "`g.numpy` is the method", "np.asarray(g.detach().numpy(), float)"),
    "t.detach.numpy()": ("method", "`t.detach` is the method itself", "t.detach().numpy()"),
    "t.numpy.mean()": ("method", "`t.numpy` is the method itself", "t.numpy().mean()"),
    "t.astype('float64')": ("array_method", "`astype` is a method of arrays", "t.numpy().astype('float64')"),
    "t.toarray()": ("conversion", "`t` is a tensor, and has no toarray()", "t.numpy()"),
    "loss.detach().backward()": ("cut", "`loss.detach()` does not require grad: `loss.detach()` cut its path", None),
}  # fmt: skip


def fail(source: str) -> BaseException:
    """Run one line of this file's own, and return its error."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        RUN[source]()
    return caught.value


def _make_runs() -> dict[str, Any]:
    """Make a function of each source, in a file that `linecache` finds."""
    import linecache

    runs = {}
    for i, source in enumerate([*ROWS, *UNRELATED]):
        text = f"def run():\n    {source}\n"
        filename = f"/why/{i}.py"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        scope = dict(globals())
        exec(compile(text, filename, "exec"), scope)
        runs[source] = scope["run"]
    return runs


UNRELATED = [
    # the same types of error, beside tensors
    "1 + 'a'", "len(5)", "int('x')", "None + 1", "[].append()", "{}['x'].y if {} else None.x", "t.no_such",
    "net.no_such", "a.no_such", "tensors.no_such()", "nothing.shape", "'text'.numpy", "object().numpy",
    "[1, 2].numpy()", "{}.numpy()", "len(t, t)", "net(t, t)", "np.zeros((2, 'a'))", "np.reshape(a, (7, 7))",
    "np.concatenate([a, np.ones((2, 2))])", "torch.tensor([1, 'a'])", "np.array([[1, 2], [3]])", "a + 'x'", "t + 'x'",
    "int(t)", "float('t')", "open('/tmp', t)", "Image.fromarray('x')", "cv2.flip('x', 0)", "np.mean('x')", "dict(t)",
    "'{x:.2f}'.format(**{'x': 'text'})", "writer.add_figure('x', None)", "torch.from_numpy(('x', {}))",
    "sorted([t, None])", "range(t)", "np.sin('x')", "str.join(t)", "t.view('x')",
]  # fmt: skip
RUN = _make_runs()


@pytest.mark.parametrize("source", [s for s in ROWS if "toy" not in s or HAS_PYTHON_BACKENDS])
def test_row(source: str) -> None:
    cause, headline, fix = ROWS[source]
    explanation = why(fail(source))
    text = str(explanation)
    assert explanation, text
    assert headline in " ".join(text.split()), text
    assert f"  {source}" in text
    if fix is None:
        assert "  fix " not in text
    else:
        assert f"  fix   {fix}" in text
        exec(fix, {**globals(), "b": a.copy()})
    assert all(len(row) <= 100 for row in text.splitlines())
    assert explanation._repr_html_().startswith('<pre class="safe-numpy" style="font-family: monospace">')
    assert repr(explanation) == text
    assert HEADLINES[cause] in " ".join(text.split())


def test_every_headline_is_met() -> None:
    assert {cause for cause, _, _ in ROWS.values()} == set(HEADLINES)


@pytest.mark.parametrize("source", UNRELATED)
def test_silence(source: str) -> None:
    explanation = why(fail(source))
    assert not explanation, str(explanation)
    assert "nothing to do with converting tensors" in str(explanation) or "No reason is known" in str(explanation)


@pytest.mark.parametrize("i", range(len(PROGRAMS)))
def test_silence_about_other_programs(i: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[i][1])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        exec(compile(program.read_text(), program, "exec"), {"__name__": "__main__"})
    assert find_unsaid(caught.value) is None
    assert not why(caught.value), str(why(caught.value))


def test_tensors_are_named_where_no_reason_is_known() -> None:
    error = fail("t.no_such")
    assert str(why(error)) == (
        "No reason is known to safe_numpy. The line's tensors are: `t`, Tensor float32[3] on cpu."
    )
    assert find_unsaid(error) is None


def test_an_explained_error_is_shown_as_it_is() -> None:
    with pytest.raises(RuntimeError) as caught:
        g.numpy()
    assert str(why(caught.value)) == str(caught.value).partition("\n\n")[2]


def wrap(hides: bool) -> None:
    try:
        g.numpy()
    except RuntimeError as error:
        if hides:
            raise ValueError("another") from None
        raise ValueError("another") from error


def test_a_chain_is_followed_as_python_shows_it() -> None:
    with pytest.raises(ValueError, match="another") as caught:
        wrap(hides=False)
    assert "`g` cannot become a NumPy array" in str(why(caught.value))
    with pytest.raises(ValueError, match="another") as caught:
        wrap(hides=True)
    assert not why(caught.value)


def test_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "last_value", raising=False)
    assert not why()
    assert str(why()) == "There is no error to explain."
    error = fail("a + t")
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    assert "`a` is an array" in str(why())
    try:
        RUN["tensors.numpy()"]()
    except AttributeError:
        assert "a list of 2 tensors" in str(why()), "the one that is being handled comes first"


@pytest.mark.parametrize("wrong", ["text", 3, ValueError])
def test_what_is_no_exception(wrong: Any) -> None:
    with pytest.raises(TypeError, match="expected an exception, or nothing for the last one; got"):
        why(wrong)


def test_an_error_without_source_or_traceback() -> None:
    assert not why(TypeError("unsupported operand type(s) for +: 'numpy.ndarray' and 'Tensor'"))
    with pytest.raises(TypeError) as caught:
        exec("a - t", dict(globals()))
    assert not why(caught.value)


def test_a_message_whole() -> None:
    error = fail("np.ones(3) + t")
    assert str(why(error)) == (
        "`np.ones(3)` is an array and `t` a tensor: NumPy and the tensor's framework do not compute together.\n\n"
        f"  line  {error.__traceback__.tb_next.tb_frame.f_code.co_filename}:2  np.ones(3) + t\n\n"  # type: ignore[union-attr]
        "  fix   np.ones(3) + t.numpy()\n"
        "  note  `t` is Tensor float32[3] on cpu\n"
        "  note  to stay with tensors, convert the array instead: `torch.from_numpy(np.ones(3))`"
    )


def test_inside_a_library_the_users_line_is_shown() -> None:
    from sklearn.metrics import accuracy_score

    def evaluate() -> None:
        Image.fromarray(pixels)

    assert accuracy_score([1], [1]) == 1
    with pytest.raises(AttributeError) as caught:
        evaluate()
    text = str(why(caught.value))
    assert "Image.fromarray(pixels)   (inside PIL)" in text
    assert "fix   Image.fromarray(pixels.numpy())" in text


def wrap_in_group() -> None:
    errors = []
    for source in ("len(5)", "a + t"):
        try:
            RUN[source]()
        except TypeError as error:
            errors.append(error)
    raise ExceptionGroup("several", errors)


def test_groups_and_causes_are_looked_through() -> None:
    with pytest.raises(ExceptionGroup) as group:
        wrap_in_group()
    assert "`a` is an array" in str(why(group.value))
    try:
        wrap_in_group()
    except ExceptionGroup as error:
        outer = RuntimeError("a callback failed")
        outer.__cause__ = error
        assert "`a` is an array" in str(why(outer))
        assert find_unsaid(outer) is not None


PROCESSES = """
import concurrent.futures, multiprocessing, sys
import numpy as np, torch, safe_numpy

def convert(i):
    return torch.ones(2, requires_grad=True).numpy()

def add(i):
    return np.ones(2) * torch.ones(2)

def measure(i):
    return torch.ones(2, requires_grad=True) * 2

def ask(i):
    return (torch.ones(2), 1).detach()

class Rows(torch.utils.data.Dataset):
    def __init__(self, get):
        self.get = get
    def __len__(self):
        return 2
    def __getitem__(self, i):
        return self.get(i)

WAYS = {
    "futures": lambda f: list(concurrent.futures.ProcessPoolExecutor(1).map(f, [1])),
    "pool": lambda f: multiprocessing.get_context("fork").Pool(1).map(f, [1]),
    "loader": lambda f: list(torch.utils.data.DataLoader(Rows(f), num_workers=1)),
    "joblib": lambda f: __import__("joblib").Parallel(2, backend="multiprocessing")(
        __import__("joblib").delayed(f)(i) for i in [1, 2]
    ),
}
if __name__ == "__main__":
    try:
        WAYS[sys.argv[1]](globals()[sys.argv[2]])
    except Exception as error:
        print(safe_numpy.why(error), bool(safe_numpy.why(error)))
"""


@pytest.mark.parametrize(
    ("pool", "after", "fix"),
    [
        ("Pool", "", "return (torch.ones(2, requires_grad=True) * 2).detach()"),
        ("Pool", "result[0].sum().backward()", "from multiprocessing.pool import ThreadPool as Pool"),
        ("Pool, Lock", "result[0].sum().backward()", ""),
    ],
)
def test_tensors_that_cannot_leave_a_process(pool: str, after: str, fix: str, tmp_path: Path) -> None:
    program = tmp_path / "rows.py"
    program.write_text(
        f"{PROCESSES.partition('class Rows')[0]}from multiprocessing import {pool}\n"
        f"try:\n    with Pool(1) as pool:\n        result = pool.map(measure, [1])\n        {after}\n"
        "except Exception as error:\n    print(safe_numpy.why(error))\n"
    )
    said = " ".join(launch(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')").stdout.split())
    assert "`measure` returns a tensor that autograd records: it cannot come from another process." in said
    assert (f"fix {fix}" in said) if fix else ("fix" not in said)


@pytest.mark.parametrize("way", ["futures", "pool", "loader", "joblib"])
def test_errors_of_other_processes(way: str, tmp_path: Path) -> None:
    program = tmp_path / "rows.py"
    program.write_text(PROCESSES)
    said = {
        "convert": "`torch.ones(2, requires_grad=True)` cannot become a NumPy array, for 1 reason:",
        "add": "`np.ones(2)` is an array and `torch.ones(2)` a tensor",
        "ask": "`(torch.ones(2), 1)` has no detach(): it is a tuple.",
    }
    for function, sentence in said.items():
        done = launch(
            f"import runpy, sys; sys.argv = ['', '{way}', '{function}']; "
            f"sys.path.insert(0, '{tmp_path}'); runpy.run_path('{program}', run_name='__main__')"
        )
        assert sentence in done.stdout, done.stdout + done.stderr
        assert done.stdout.endswith(" True\n")


CUTS = {
    "h = g.detach() * 2\n    (h + 1).sum().backward()": "`g.detach()` cut its path",
    "h = [x.item() for x in g]\n    torch.tensor(h).sum().backward()": "`x.item()` cut its path",
    "h = [(g * k).sum() for k in range(2)]\n    y = torch.tensor(h)\n    y.sum().backward()": "`torch.tensor(h)` cut",
    "h = torch.from_numpy(g.detach().numpy())\n    loss = h.sum()\n    loss.backward()": "`g.detach()` cut its path",
    "with torch.no_grad():\n        y = net(batch)\n    y.sum().backward()": "`torch.no_grad()` cut its path",
    "y = cut_inside(g)\n    y.sum().backward()": "`x.detach()` cut its path",
    "h = []\n    h.append((g * 2).data)\n    loss = torch.stack(h).sum()\n    loss.backward()": "`(g * 2).data` cut",
}


def cut_inside(x: Any) -> Any:
    y = x.detach()
    return y * 2


@pytest.mark.parametrize("body", CUTS)
def test_which_statement_cut_the_path(body: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"def run():\n    {body}\n")
    scope = {**globals(), "__name__": "program"}
    exec(compile(program.read_text(), program, "exec"), scope)
    with pytest.raises(RuntimeError, match="does not require grad") as caught:
        scope["run"]()
    assert CUTS[body] in " ".join(str(why(caught.value)).split())


def test_silence_where_no_cut_is_to_be_seen(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("def run(x):\n    y = x * 2\n    y.sum().backward()\n")
    scope = dict(globals())
    exec(compile(program.read_text(), program, "exec"), scope)
    with pytest.raises(RuntimeError) as caught:
        scope["run"](t)
    assert not why(caught.value)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs") as caught:
        scope["run"].__globals__["g"].mul(2).backward()
    assert not why(caught.value)


PLACES = {
    # the failing program -> the corrected statement, which is another one than the one that failed
    "made = answer.copy()\n    made.cpu().numpy()\n    made[:, 0]": "made = answer.copy()['out']",
    "d = g * 1\n    m = np.mean(d, axis=0)\n    np.dot(m, d)": "d = (g * 1).detach().numpy()",
    "state, k = reset(), 0\n    torch.from_numpy(state)\n    state = k": "state, k = reset()[0], 0",
    "state = reset()\n    for i in range(2):\n        x = torch.from_numpy(state)\n        state = np.ones(3)": (
        "state = reset()[0]"
    ),
    "state = reset()\n    for i in range(2):\n        x = torch.from_numpy(state)\n        y = a\n        state = y": (
        "state = reset()[0]"
    ),
    "c = tuple(floats.int())\n    cv2.circle(image, c, 1, 0)\n    print(c)": "c = tuple(floats.int().tolist())",
    "c = list(floats)\n    cv2.circle(image, c, 1, 0)\n    print(c)": "c = list(floats.int().tolist())",
    "h = g * 2\n    h.sum().backward()\n    h.grad.numpy()": "h = g * 2\n    h.retain_grad()",
    "y = watched.module(fresh)\n    y.sum().backward()\n    watched.seen.numpy()": (
        "y = watched.module(fresh.requires_grad_())"
    ),
    "x, y = sample()\n    F.one_hot(y).float() @ torch.relu(x)": "x, y = map(torch.from_numpy, sample())",
    "d = TensorDataset(recorded)\n    loader = DataLoader(d, num_workers=1)\n    for x in loader:\n        pass": (
        "d = TensorDataset(recorded.detach())"
    ),
    "w = np.sqrt(a32)\n    h = w * g\n    ((h - w) ** 2).mean()": "w = torch.from_numpy(np.sqrt(a32))",
}


@pytest.mark.parametrize("body", PLACES)
def test_the_place_to_mend_is_where_a_value_is_made(body: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"def run():\n    {body}\n")
    scope = dict(globals())
    exec(compile(program.read_text(), program, "exec"), scope)
    with pytest.raises((AttributeError, TypeError, RuntimeError, cv2.error)) as caught:
        scope["run"]()
    explanation = why(caught.value)
    text = str(explanation)
    fixes = [row for block in explanation.compose().blocks for row in block if row.is_fix]
    assert [row.text.replace("\n", "\n    ") for row in fixes][:1] == [PLACES[body]], text
    assert f"{program}:2" in text
    mended = f"def run():\n    {PLACES[body]}\n" + program.read_text().partition("\n")[2].partition("\n")[2]
    exec(compile(mended, "mended", "exec"), scope)
    scope["run"]()


NOT_CERTAIN = [
    # several values may reach the line, or another line may want what was made
    "for i in range(2):\n        x = scores if i else pair\n    x.squeeze(0)\n    x = x + 1",
    "x = pair\n    if len(x) > 1:\n        x = scores\n    x.squeeze(0)\n    x.cpu()",
    "x = scores\n    for i in range(2):\n        x.squeeze(0)\n        x = pair\n    x.cpu()",
    "state = reset()\n    for i in range(2):\n        x = torch.from_numpy(state)\n        state = reset()",
    "h = g * 2\n    h.grad.numpy()",
    "h = g * 2\n    if True:\n        h = h + 1\n    h.sum().backward()\n    h.grad.numpy()",
    "x, y = sample()\n    F.one_hot(y).float() @ torch.relu(x)\n    abs_of(x)",
    "x, y = sample()\n    F.one_hot(y).float() @ torch.relu(x)\n    np.sin(x)",
    "r = np.array([x.cpu() for x in ragged])\n    y = np.concatenate(ragged)\n    for v in r:\n        y - v",
    "c = corner\n    cv2.circle(image, c, 1, 0)\n    print(c)",
]


@pytest.mark.parametrize("body", NOT_CERTAIN)
def test_no_fix_where_that_is_not_certain(body: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"def run():\n    {body}\n")
    scope = dict(globals())
    exec(compile(program.read_text(), program, "exec"), scope)
    with pytest.raises((AttributeError, TypeError, RuntimeError, ValueError, cv2.error)) as caught:
        scope["run"]()
    explanation = why(caught.value)
    assert explanation
    assert not [row for block in explanation.compose().blocks for row in block if row.is_fix], str(explanation)


def test_several_that_may_be_meant_are_named() -> None:
    text = " ".join(str(why(fail("means.detach()"))).split())
    assert "it holds `means.mu`, Tensor float32[3] on cpu and `means.logvar`, Tensor float32[3] on cpu" in text
    assert "  or    top = torch.max(batch, 1).indices.numpy()" in str(why(fail("top = torch.max(batch, 1).numpy()")))


def test_why_imports_nothing() -> None:
    out = run(
        """
        import sys, safe_numpy
        try:
            None.numpy
        except AttributeError as error:
            print(safe_numpy.why(error))
        print(*(m for m in ("torch", "tensorflow", "numpy") if m in sys.modules))
        """
    )
    assert [" ".join(line.split()) for line in out.splitlines() if line] == [
        "`None` is None, not a tensor.",
        "line <string>:4 None.numpy",
        "note the function that gave it may lack a `return`, or changes something in place",
    ]
