"""`why`: the reason for what no guard sees, and silence about what has nothing to do with it."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict
from typing import Any

import cv2  # noqa: F401 - the lines below call it
import numpy as np
import pytest
import torch
from PIL import Image
from processes import run

import safe_numpy
from safe_numpy import why

# NumPy asks the tensor before it gives up
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")


HEADLINES = {
    "method": "is the method itself: its parentheses are missing.",
    "array_method": "is a method of arrays.",
    "wants_array": "is a tensor, and an array is wanted here.",
    "no_grad": "has no gradient.",
    "none": "is None, not a tensor.",
    "array": "it is in host memory, and no tensor any more (",
    "container": "has no ",
    "members": ", which holds tensors.",
    "dataset": ", which gives tensors when it is iterated.",
    "class": "is a class, not an instance of it.",
    "operator": "NumPy and the tensor's framework do not compute together.",
    "function": "with arguments that only NumPy's takes.",
    "constructor": "builds a tensor of numbers, and ",
    "ragged": "is a list of tensors of shapes ",
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


assert safe_numpy  # a line to paste mentions it
t = torch.tensor([1.0, 2.0, 3.0])
g = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
low = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16)
a = np.ones(3)
pixels = torch.zeros(4, 4, 3, dtype=torch.uint8)
tensors = [t, g]
pair = (t, t)
by_name = {"x": t, "y": low}
mixed = [t, 1]
ragged = [t, t[:2]]
one = torch.ones(1)
nothing = None
number = 3
scalar = np.float32(3)
output = Output(t)
outputs = ModelOutput(logits=t, loss=g)
dataset = torch.utils.data.TensorDataset(t)
net = torch.nn.Linear(3, 2)

ROWS: dict[str, tuple[str, str, str | None]] = {
    # source -> cause, headline, the line to paste
    "a + t": ("operator", "`a` is an array and `t` a tensor", "a + t.numpy()"),
    "a * g": ("operator", "`a` is an array and `g` a tensor", "a * g.detach().numpy()"),
    "a @ low": ("operator", "`a` is an array and `low` a tensor", "a @ low.float().numpy()"),
    "a - t": ("operator", "`a` is an array and `t` a tensor", "a - t.numpy()"),
    "a < t": ("operator", "`a` is an array and `t` a tensor", "a < t.numpy()"),
    "np.ones(3) + t": ("operator", "`np.ones(3)` is an array and `t` a tensor", "np.ones(3) + t.numpy()"),
    "b = a.copy(); b += t": ("operator", "`b` is an array and `t` a tensor", "b += t.numpy()"),
    "np.mean(t)": ("function", "`t` is a tensor, whose own `mean` is called by `np.mean`", "np.mean(t.numpy())"),
    "np.sum(g)": ("function", "`g` is a tensor, whose own `sum` is called", "np.sum(g.detach().numpy())"),
    "np.max(low)": ("function", "`low` is a tensor, whose own `max` is called", "np.max(low.float().numpy())"),
    "np.std(t)": ("function", "`t` is a tensor, whose own `std` is called", "np.std(t.numpy())"),
    "np.var(t)": ("function", "`t` is a tensor, whose own `var` is called", "np.var(t.numpy())"),
    "torch.tensor([t, t])": ("constructor", "`torch.tensor` builds a tensor of numbers", "torch.stack([t, t])"),
    "torch.tensor(tensors)": ("constructor", "and `tensors` is a list of tensors", "torch.stack(tensors)"),
    "np.array(ragged)": ("ragged", "`ragged` is a list of tensors of shapes [3] and [2]: no array has both", None),
    "Image.fromarray(pixels)": ("wants_array", "`pixels` is a tensor, and an array", "Image.fromarray(pixels.numpy())"),
    "cv2.flip(pixels, 0)": ("wants_array", "`pixels` is a tensor, and an array", "cv2.flip(pixels.numpy(), 0)"),
    "tensors.numpy()": ("container", "it is a list of 2 tensors", "[safe_numpy.to_numpy(t) for t in tensors]"),
    "pair.numpy()": ("container", "`pair` has no numpy(): it is a tuple of 2 tensors", "[t.numpy() for t in pair]"),
    "tensors.cpu()": ("container", "`tensors` has no cpu()", "[t.cpu() for t in tensors]"),
    "by_name.detach()": ("container", "it is a dict of 2 tensors", "{k: t.detach() for k, t in by_name.items()}"),
    "mixed.numpy()": ("container", "it is a list of 1 tensor.", None),
    "nothing.numpy()": ("none", "`nothing` is None, not a tensor", None),
    "g.grad.numpy()": ("no_grad", "`g.grad` is None: `g` has no gradient", None),
    "a.numpy()": ("array", "`a` needs no numpy(): it is in host memory", "a"),
    "a.cpu()": ("array", "`a` needs no cpu()", "a"),
    "scalar.numpy()": ("array", "`scalar` needs no numpy()", "scalar"),
    "number.item()": ("array", "`number` needs no item()", "number"),
    "output.numpy()": ("members", "it is a test_why.Output, which holds tensors", "output.logits.numpy()"),
    "outputs.detach()": ("members", "it is a test_why.ModelOutput, which holds tensors", None),
    "dataset.numpy()": ("dataset", "which gives tensors when it is iterated", None),
    "torch.nn.Linear.numpy()": ("class", "`torch.nn.Linear` is a class, not an instance", None),
    "torch.Tensor.numpy()": ("class", "`torch.Tensor` is a class", None),
    "np.sin(t.numpy)": ("method", "`t.numpy` is the method itself: its parentheses", "np.sin(t.numpy())"),
    "float(one.item)": ("method", "`one.item` is the method itself", "float(one.item())"),
    "np.asarray(g.numpy, float)": ("method", "`g.numpy` is the method", "np.asarray(g.detach().numpy(), float)"),
    "t.detach.numpy()": ("method", "`t.detach` is the method itself", "t.detach().numpy()"),
    "t.numpy.mean()": ("method", "`t.numpy` is the method itself", "t.numpy().mean()"),
    "t.astype('float64')": ("array_method", "`astype` is a method of arrays", "t.numpy().astype('float64')"),
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
    "sorted([t, None])", "range(t)", "np.sin('x')", "str.join(t)", "t.view('x')",
]  # fmt: skip
RUN = _make_runs()


@pytest.mark.parametrize("source", ROWS)
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
    assert "has nothing to do with converting tensors" in str(explanation)


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
