"""Where the result is learnt from, or a library called a function of the user's: what the fix is, put in and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from test_correction import compile_library, compile_lines

import safe_numpy

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array.* copy keyword:DeprecationWarning", "ignore:__array_wrap__ must accept:DeprecationWarning"
)  # what this torch has not followed NumPy in


def make_names() -> dict[str, Any]:
    torch.manual_seed(0)
    call = "import numpy as np\ndef call(f, x0, jac=None, callback=None):\n    return np.asarray(f(x0)) + 0\n"
    score = "import numpy as np\ndef score(m):\n    return np.asarray((m[0] if type(m) is list else m).predict(1))\n"
    return {
        "np": np,
        "torch": torch,
        "net": torch.nn.Linear(2, 2),
        "x": torch.rand(3, 2),
        "weights": np.array([[1.0, 2.0]]),
        "call": compile_library(call)["call"],
        "score": compile_library(score)["score"],
        "history": [],
    }


def explain(source: str, names: dict[str, Any]) -> safe_numpy.Diagnosis:
    with pytest.raises(safe_numpy.ConversionError) as caught:
        exec(compile_lines(source), names)
    assert caught.value.diagnosis is not None
    return caught.value.diagnosis


LEARNT = {
    # what the loss is, the same with tensors kept, and with the tensor converted
    "(net(x) * weights).sum()": (
        "(net(x) * torch.from_numpy(weights).to(net(x))).sum()",
        "(net(x).detach().numpy() * weights).sum()",
    ),
    "np.tanh(net(x)).sum()": ("torch.tanh(net(x)).sum()", "np.tanh(net(x).detach().numpy()).sum()"),
    "np.maximum(net(x), 0).sum()": ("torch.clamp(net(x), min=0).sum()", "np.maximum(net(x).detach().numpy(), 0).sum()"),
    "np.sum([net(x), net(x)], axis=0).sum()": (
        "torch.stack([net(x), net(x)]).sum(dim=0).sum()",
        "np.sum([net(x).detach().numpy(), net(x).detach().numpy()], axis=0).sum()",
    ),
    "torch.from_numpy(np.clip(net(x), -1, 1)).sum()": (
        "torch.clip(net(x), -1, 1).sum()",
        "torch.from_numpy(np.clip(net(x).detach().numpy(), -1, 1)).sum()",
    ),
    "np.concatenate([net(x), net(x)]).sum()": (
        "torch.cat([net(x), net(x)]).sum()",
        "np.concatenate([net(x).detach().numpy(), net(x).detach().numpy()]).sum()",
    ),
    "torch.from_dlpack(np.exp(net(x))).sum()": (
        "torch.exp(net(x)).sum()",
        "torch.from_dlpack(np.exp(net(x).detach().numpy())).sum()",
    ),
    "np.log(np.exp(net(x))).sum()": (
        "torch.log(torch.exp(net(x))).sum()",
        "np.log(np.exp(net(x).detach().numpy())).sum()",
    ),
}


@pytest.mark.parametrize("loss", LEARNT)
def test_a_loss_keeps_its_tensors(loss: str) -> None:
    kept, look = LEARNT[loss]
    names = make_names()
    diagnosis = explain(f"loss = {loss}\nloss.backward()", names)
    assert (diagnosis.shown, diagnosis.look) == (f"loss = {kept}", f"loss = {look}")
    text = " ".join(str(diagnosis).split())
    assert "tensors stay tensors here, since a gradient is computed of the result" in text
    assert "for a value to look at: no gradient passes through it" in text
    assert "SAFE_NUMPY=permissive" not in text, "which would cut the gradient"
    exec(f"{diagnosis.shown}\nloss.backward()\n{diagnosis.look.replace('loss =', 'value =')}", names)
    assert names["net"].weight.grad.abs().sum() > 0
    np.testing.assert_allclose(names["loss"].item(), names["value"], rtol=1e-4)


def test_the_same_where_nothing_is_learnt_from_it() -> None:
    diagnosis = explain("history.append(np.tanh(net(x)).sum())\nprint(history)", make_names())
    assert diagnosis.shown == "history.append(np.tanh(net(x).detach().numpy()).sum())"
    assert diagnosis.look is None


def test_where_torch_has_no_such_function_there_is_no_fix() -> None:
    diagnosis = explain("loss = torch.as_tensor(np.sinc(net(x))).sum()\nloss.backward()", make_names())
    assert (diagnosis.shown, diagnosis.fix) == (None, None)
    assert "instead  stay with tensors here: a gradient is computed of the result" in str(diagnosis)
    assert diagnosis.look == "loss = torch.as_tensor(np.sinc(net(x).detach().numpy())).sum()"


@pytest.mark.parametrize("maker", ["torch.from_numpy(call(abs, {x}))", "torch.tensor({x}, dtype=torch.float64)"])
def test_what_is_not_known_to_keep_the_tensor_is_left_to_words(maker: str) -> None:
    source = f"loss = {maker.format(x='net(x).numpy()')}.sum()\nloss.backward()"
    said = explain(source, make_names())
    assert (said.stays, said.shown) == ("learnt", None)
    assert said.look == f"loss = {maker.format(x='net(x).detach().numpy()')}.sum()"


def test_an_array_that_torch_takes_further_on() -> None:
    names = make_names()
    diagnosis = explain("y = x.bfloat16()\nz = np.tanh(y)\nr = torch.sigmoid(z)", names)
    assert diagnosis.shown == "z = torch.tanh(y)"
    assert "tensors stay tensors here, since torch is given the result" in str(diagnosis)


def test_arrays_that_torch_stacks() -> None:
    lines = "rows = []\nfor _ in range(2):\n    rows.append(np.tanh(net(x)))\nr = torch.stack(rows)"
    diagnosis = explain(lines, names := make_names())
    assert diagnosis.shown == "rows.append(torch.tanh(net(x)))"
    exec(lines.replace("rows.append(np.tanh(net(x)))", diagnosis.shown), names)
    assert names["r"].shape == (2, 3, 2)


def test_a_tensor_of_integers_is_made_of_an_array() -> None:
    diagnosis = explain("i = x.bfloat16().numpy()\nr = torch.LongTensor(i)", make_names())
    assert (diagnosis.shown, diagnosis.stays) == ("i = x.bfloat16().float().numpy()", "")


def test_after_finally_and_in_a_warm_loop() -> None:
    lines = "for i in range(40):\n    try:\n        y = net(x) if i == 39 else x\n        loss = (y * weights).sum()\n"
    diagnosis = explain(
        f"{lines}    finally:\n        done = i\n    if i == 39:\n        loss.backward()", make_names()
    )
    assert diagnosis.shown == "loss = (y * torch.from_numpy(weights).to(y)).sum()"
    diagnosis = explain("for i in range(40):\n    r = np.array([x, net(x)] if i == 39 else [x, x])", make_names())
    assert diagnosis.shown == "r = np.array([x, net(x).detach().numpy()] if i == 39 else [x, x])"


CALLBACKS = {
    "def cost(w):\n    return (net(x) ** 2).sum()\nr = call(cost, weights)": (
        "`cost`",
        "return (net(x) ** 2).sum().item()",
    ),
    "def cost(w):\n    y = net(x)\n    return y\nr = call(cost, weights)": ("`cost`", "return y.detach().numpy()"),
    "def cost(w):\n    return net(x).sum(), net(x)\nr = call(lambda w: cost(w)[0], weights)": (
        "the lambda",
        "r = call(lambda w: cost(w)[0].item(), weights)",
    ),
    "r = call(net, x)": ("`net`", "r = call(lambda *args: net(*args).detach().numpy(), x)"),
    "def f(w): return net(x).sum()\ndef g(w): return weights\nr = call(f, weights, jac=g)": (
        "`f`",
        "return net(x).sum().item()",
    ),
    "def f(w): return net(x).sum()\ndef g(w): pass\nr = call(f, weights, callback=g)": (
        "`f`",
        "return net(x).sum().item()",
    ),
    "class M:\n    def predict(self, w):\n        return net(x)\nm = M()\nr = score(m)": (
        "`predict`",
        "return net(x).detach().numpy()",
    ),
    "class M:\n    def predict(self, w):\n        return net(x)\nm = [M(), 1]\nr = score(m)": (
        "`predict`",
        "return net(x).detach().numpy()",
    ),
    "def f(w): return net(x).sum()\nr = np.vectorize(f)([1, 2])": ("`f`", "return net(x).sum().item()"),
}


@pytest.mark.parametrize("source", CALLBACKS)
def test_what_a_function_of_the_users_returned(source: str) -> None:
    who, shown = CALLBACKS[source]
    names = make_names()
    diagnosis = explain(source, names)
    assert (diagnosis.returned_by, diagnosis.shown, diagnosis.named) == (who, shown, False)
    assert str(diagnosis).startswith(f"The tensor that {who} returned cannot become a NumPy array, for 1 reason:")
    wrong = (
        next(line for line in source.splitlines() if shown.partition(" ")[0] in line and "call(" not in line)
        if (shown.startswith("return"))
        else source.splitlines()[-1]
    )
    fixed = wrong[: wrong.index("return")] + shown if shown.startswith("return") else shown
    exec(source.replace(wrong, fixed), names)
    assert isinstance(names["r"], (np.ndarray, np.generic))


CONSTANTS = {
    # what is computed with the array of a library -> whether a gradient would be expected to pass through it
    "loss = (net(x).sum() - torch.tensor(r)) ** 2": False,
    "loss = net(torch.as_tensor([[r, r]], dtype=torch.float32)).sum()": False,
    "h = net(x)\ny = h.sum()\nloss = torch.nn.functional.mse_loss(y, torch.as_tensor(r).float())": False,
    "w = torch.ones(2, requires_grad=True)\nloss = (w * torch.as_tensor(r)).sum()": False,
    "loss = (torch.as_tensor(r) - 1) ** 2": True,
    "y = torch.as_tensor(r)\nloss = y * net(x).sum()": True,
    "k = (net(x) * torch.as_tensor(r)).sum()\nloss = k + (torch.as_tensor(r) - 1)": True,
}


@pytest.mark.parametrize("source", CONSTANTS)
def test_an_array_that_is_a_constant_beside_what_is_learnt(source: str) -> None:
    diagnosis = explain(
        f"def cost(w):\n    return net(x).sum()\nr = call(cost, weights)\n{source}\nloss.backward()", make_names()
    )
    text = "return net(x).sum().item()"
    assert (diagnosis.shown, diagnosis.look) == ((None, text) if CONSTANTS[source] else (text, None))


def test_a_function_with_several_returns_is_named_alone() -> None:
    source = "def f(w):\n    if w is None:\n        return 0\n    return net(x)\nr = call(f, weights)"
    diagnosis = explain(source, make_names())
    assert (diagnosis.returned_by, diagnosis.shown) == ("`f`", None)
    assert "convert it before it gets there; with `t` for the tensor: `t.detach().numpy()`" in str(diagnosis)


ESTIMATORS = [
    "class M:\n    def predict(self, w): return net(x)\n    def transform(self, w): return w\nm = M()\nr = score(m)",
    "class M:\n    def predict(self, w): return net(x)\nr = score(M())",
    "class M:\n    def predict(self, w): return self.y\nm = M()\nm.y = net(x)\nr = score(m)",
    "class M:\n    def predict(self, w): yield net(x)\nm = M()\nm.predict = lambda w: net(x)\nr = score(m)",
]


@pytest.mark.parametrize("source", ESTIMATORS)
def test_which_method_gave_a_tensor_is_not_guessed(source: str) -> None:
    diagnosis = explain(source, make_names())
    assert (diagnosis.returned_by, diagnosis.shown) == ("", None)


GIVEN = {
    # a function that is not always given a tensor -> its line, corrected
    "d = {'a': net(x).sum(), 'b': 0.5}\ndef put(v):\n    return np.append(weights, v)\nr = [put(d[k]) for k in d]": (
        "return np.append(weights, safe_numpy.to_numpy(v))"
    ),
    "d = [net(x).sum(), 2]\ndef put(v):\n    return np.append(weights, v)\nfor t in d:\n    r = put(v=t)": (
        "return np.append(weights, safe_numpy.to_numpy(v))"
    ),
    "def act(p):\n    if p: return net(x).sum()\n    return 0\ndef put(a):\n    return np.append(weights, a)\n"
    "for p in (1, 0):\n    a = act(p)\n    r = put(a)": "return np.append(weights, safe_numpy.to_numpy(a))",
    "def put(k, v):\n    return np.append(weights, v)\n"
    "for k, v in {'a': net(x).sum(), 'b': 1}.items():\n    r = put(k, v)": (
        "return np.append(weights, safe_numpy.to_numpy(v))"
    ),
    "d = {'a': net(x).sum(), 'b': 0.5}\ndef put(v):\n    return np.append(weights, v)\nr = put(d['a'])": (
        "return np.append(weights, v.detach().numpy())"
    ),
    "d = [net(x).sum()]\ndef put(v):\n    return np.append(weights, v)\nfor t in d:\n    r = put(t)": (
        "return np.append(weights, v.detach().numpy())"
    ),
}


@pytest.mark.parametrize("source", GIVEN)
def test_a_parameter_that_is_not_always_a_tensor(source: str) -> None:
    names = {**make_names(), "safe_numpy": safe_numpy}
    shown = explain(source, names).shown
    assert shown == GIVEN[source]
    wrong = next(line for line in source.splitlines() if line.startswith("    return np.append"))
    exec(source.replace(wrong.strip(), shown), names)


def test_a_plot_that_is_drawn_later() -> None:
    names = {**make_names(), "plt": pytest.importorskip("matplotlib.pyplot")}
    source = (
        "fig, ax = plt.subplots()\n(line,) = ax.plot([0, 1, 2], [0, 0, 0])\n"
        "def update(y):\n    line.set_ydata(y)\nupdate(net(x)[:, 0])\nfig.canvas.draw()"
    )
    diagnosis = explain(source, names)
    assert (diagnosis.shown, diagnosis.shown_at[-2:]) == ("line.set_ydata(y.detach().numpy())", ":4")
    assert str(diagnosis).startswith("A tensor inside `fig.canvas.draw()` cannot become a NumPy array")
    exec(source.replace("set_ydata(y)", "set_ydata(y.detach().numpy())"), names)
    twice = source.replace("(y)\nup", "(y)\n    line.set_xdata(y)\nup")
    assert explain(twice, names).shown is None, "which of the two it was, is not certain"
    names["plt"].close("all")


def test_a_quantized_tensor_that_a_library_has_detached() -> None:
    histogram = "def histogram(t):\n    return (t.detach().cpu() if hasattr(t, 'cpu') else t).__array__()"
    names = {**make_names(), "histogram": compile_library(histogram)["histogram"]}
    names["q"] = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    assert explain("r = histogram(q)", names).shown == "r = histogram(q.dequantize().numpy())"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "r = net.weight.numpy()",
            "it is the memory of net.weight, a parameter: writing to the array changes the model",
        ),
        ("r = net(x).numpy()", "nothing is copied: writing to the array changes net(x), and the other way round"),
        ("r = np.array(net(x))", "a copy: writing to the array does not change net(x)"),
        (
            "history.append(net(x).bfloat16().numpy())",
            "a copy of 24 B: writing to the array does not change the tensor",
        ),
        ("print(net(x).numpy())", None),
        ("call(abs, net(x))", None),
    ],
)
def test_what_is_said_of_memory_is_about_what_the_program_gets(source: str, said: str | None) -> None:
    text = " ".join(str(explain(source, make_names())).split())
    if said is None:
        assert "copied" not in text
        assert "a copy" not in text
    else:
        assert said in text
