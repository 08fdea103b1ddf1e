"""Where a gradient comes from: the operation, the leaves by the names that people know them by, and what to do."""

from __future__ import annotations

import os
import re
import sys
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_correction import compile_library
from torch import Tensor, nn

import safe_numpy
from safe_numpy.frameworks.torch import gradients as _torch_origin


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.linear(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Block(), Block())
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(4, 3)
        self.decode = nn.Linear(3, 4, bias=False)
        self.decode.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.decode(self.embed(x))
        return out


INPUT = torch.ones(2, 3)


def origin(error: pytest.ExceptionInfo[safe_numpy.ConversionError]) -> str:
    diagnosis = error.value.diagnosis
    assert diagnosis is not None
    (problem,) = (p for p in diagnosis.problems if p.cause == "grad")
    assert f"autograd records it ({problem.facts['origin']}); the graph" in " ".join(str(error.value).split())
    return problem.facts["origin"]


def remark(error: pytest.ExceptionInfo[safe_numpy.ConversionError]) -> list[str]:
    assert error.value.diagnosis is not None
    starts = {text.partition("}` ")[2] or text: name for name, text in _torch_origin.REMARKS.items()}
    return [name for r in error.value.diagnosis.remarks for end, name in starts.items() if r.endswith(end)]


def test_a_network_of_nested_modules() -> None:
    model = Net()
    with pytest.raises(safe_numpy.GradError) as caught:
        model(INPUT).numpy()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others", "though the tensor is gone"
    deep = Net()
    deep.body = nn.Sequential(*(Block() for _ in range(9)))
    with pytest.raises(safe_numpy.GradError) as caught:
        deep(INPUT).numpy()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and others", "nobody looked further in time"
    logits = model(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        np.asarray(logits)
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others"
    hidden = model.body[0](INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        hidden.numpy()
    assert origin(caught) == "ReluBackward0, from body.0.linear.weight and body.0.linear.bias"


def test_inside_a_submodule_the_name_is_that_of_the_whole() -> None:
    class Peek(Block):
        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            return y + torch.from_numpy(y.numpy())

    model = Net()
    model.body[1] = Peek()
    with pytest.raises(safe_numpy.GradError) as caught:
        model(INPUT)
    assert origin(caught) == "AddmmBackward0, from body.1.linear.weight, body.1.linear.bias and 2 others"
    assert remark(caught) == ["forward"]
    assert "`Peek.forward` is running: what is computed from the array has no gradient" in str(caught.value)


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, lambda m: torch.compile(m, backend="eager")], ids=["parallel", "compiled"]
)
def test_wrappers_do_not_show(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # the toy device is an accelerator too, and DataParallel would move the network there
    module = sys.modules["torch.nn.parallel.data_parallel"]
    monkeypatch.setattr(module, "_get_available_device_type", lambda: None)
    wrapped = wrap(Net())
    logits = wrapped(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others"


def test_a_compiled_graph() -> None:
    model = torch.compile(Net(), backend="aot_eager")
    logits = model(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert origin(caught) == "CompiledFunctionBackward, from body.0.linear.weight, body.0.linear.bias and 4 others"


def test_a_wrapper_of_ones_own() -> None:
    class Ema(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    ema = Ema(Net())
    logits = ema.module(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others"


def test_modules_of_an_older_torch_keep_their_members_in_an_ordered_dict() -> None:
    network = Net()
    for module in network.modules():
        for kind in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(module, kind, OrderedDict(vars(module)[kind]))
    logits = network(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others"


def test_a_shared_parameter_has_both_names() -> None:
    tied = Tied()
    logits = tied(torch.tensor([0, 1]))
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert origin(caught).endswith(", from embed.weight = decode.weight")


def test_a_name_that_says_too_little_gets_the_variable() -> None:
    layer, stack = nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 2))
    y, z = layer(INPUT), stack(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    assert origin(caught) == "AddmmBackward0, from layer.weight and layer.bias"
    with pytest.raises(safe_numpy.GradError) as caught:
        z.numpy()
    assert origin(caught) == "AddmmBackward0, from stack.0.weight and stack.0.bias"


def test_two_modules_with_the_same_names() -> None:
    encoder, decoder = Net(), Net()
    y = encoder.head(INPUT) * decoder.head(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    assert origin(caught) == "MulBackward0, from encoder.head.bias, decoder.head.bias and 2 others"


def test_a_module_that_is_a_member_of_something() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.model = Net()
            self.scale = torch.ones(2, requires_grad=True)

        def run(self) -> Any:
            logits = self.model(INPUT)
            return np.asarray(logits)

        def weigh(self) -> Any:
            return (self.scale * 2).numpy()

    with pytest.raises(safe_numpy.GradError) as caught:
        Trainer().run()
    assert origin(caught) == "AddmmBackward0, from head.weight, head.bias and 4 others"
    with pytest.raises(safe_numpy.GradError) as caught:
        Trainer().weigh()
    assert origin(caught) == "MulBackward0, from self.scale"


def test_leaves() -> None:
    model, w = Net(), torch.ones(2, requires_grad=True)
    with pytest.raises(safe_numpy.GradError) as caught:
        model.head.weight.numpy()
    assert origin(caught) == "the parameter head.weight"
    with pytest.raises(safe_numpy.GradError) as caught:
        w.numpy()
    assert origin(caught) == "a leaf that requires grad"
    y = w * 3
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    assert origin(caught) == "MulBackward0, from w"
    y = y * torch.ones(2, requires_grad=True)
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    assert origin(caught) == "MulBackward0, from w and 1 other"


def test_a_function_of_ones_own_is_asked_nothing() -> None:
    asked = []

    class Twice(torch.autograd.Function):
        @property
        def next_functions(self) -> Any:  # type: ignore[override]
            asked.append("next_functions")
            return ()

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g * 2

    w = torch.ones(2, requires_grad=True)
    y = Twice.apply(w)
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    assert origin(caught) == "TwiceBackward, from w"
    assert not asked


def test_anomaly_mode_gives_the_line_that_made_it() -> None:
    w = torch.ones(2, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        y = w * 2  # made here
        with pytest.raises(safe_numpy.GradError) as caught:
            y.numpy()
        text = origin(caught)
    line = Path(__file__).read_text().splitlines().index("        y = w * 2  # made here") + 1
    assert text == f"MulBackward0, made at {os.path.relpath(__file__)}:{line}, from w"


def test_the_work_is_bounded() -> None:
    w = torch.ones(2, requires_grad=True)
    y = w
    for _ in range(20_000):
        y = y * 1
    start = time.perf_counter()
    leaves, complete = _torch_origin.find_leaves(y.grad_fn, start + 0.005)
    assert (leaves, complete) == ([], False)
    assert time.perf_counter() - start < 5, "the limit is 5 ms; this is no benchmark"
    with pytest.raises(safe_numpy.GradError) as caught:
        y.numpy()
    told = re.fullmatch(r"MulBackward0, from parameters beyond the nearest ([\d,]+) operations", origin(caught))
    assert told is not None, origin(caught)
    assert int(told[1].replace(",", "")) <= 1000
    start = time.perf_counter()
    assert _torch_origin.find_leaves(y.grad_fn, start - 1) == ([], False), "nor for long"


@pytest.mark.parametrize("count", [3, 30, 90])
def test_parameters_behind_many_operations_are_named_though_the_tensor_is_gone(count: int) -> None:
    model = Net()

    def run() -> Any:
        x = model(INPUT)
        for _ in range(count):
            x = torch.tanh(x) * 2
        return (x + 1).numpy()

    with pytest.raises(safe_numpy.GradError) as caught:
        run()
    assert re.fullmatch(r"AddBackward0, from head.weight, head.bias and (4 )?others", origin(caught))


def test_parameters_that_are_too_far_are_said_to_be() -> None:
    model = Net()

    def run() -> Any:
        x = model(INPUT)
        for _ in range(3000):
            x = x * 2
        return (x + 1).numpy()

    with pytest.raises(safe_numpy.GradError) as caught:
        run()
    assert re.fullmatch(r"AddBackward0, from parameters beyond the nearest [\d,]+ operations", origin(caught))


def test_nothing_is_looked_for_before_somebody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(_torch_origin, "explain_gradient", lambda x, *_: looked.append("closer") or ([], ()))
    monkeypatch.setattr(_torch_origin, "find_leaves", lambda *_: looked.append("leaves") or ([], True))
    logits = Net()(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert looked == []
    assert str(caught.value)
    assert looked == ["closer"]


KEPT = [torch.ones(2, requires_grad=True) * 1]

HOLDERS: dict[str, Callable[[Tensor], Any]] = {
    "nobody": lambda x: (x * 2).numpy(),
    "nobody any more": lambda x: [x * 2, x * 3][0].numpy(force=False),
    "a variable": lambda x: (lambda y: y.numpy())(x * 2),
    "a container": lambda x: KEPT[0].numpy(),
    "a caller in C": lambda x: np.asarray(x * 2),
}


@pytest.mark.parametrize("mode", ["explain", "strict"])
@pytest.mark.parametrize("holder", HOLDERS)
def test_only_what_nobody_else_holds_is_looked_back_at_unasked(
    holder: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look_back = _torch_origin.remember_origin
    monkeypatch.setattr(_torch_origin, "remember_origin", lambda *made: looked.append("back") or look_back(*made))
    weight = torch.ones(2, requires_grad=True)
    with safe_numpy.mode(mode), pytest.raises(safe_numpy.GradError) as caught:
        HOLDERS[holder](weight)
    assert looked == (["back"] if holder.startswith("nobody") else [])
    assert origin(caught).startswith("MulBackward0")


def test_a_view_that_torch_knows_no_graph_of_any_more() -> None:
    base = torch.ones(4, requires_grad=True) * 2
    view, _ = base.split(2)
    base.mul_(2)
    with pytest.raises(RuntimeError, match="base or another view of its base has been modified"):
        _ = view.grad_fn
    with pytest.raises(safe_numpy.GradError) as caught:
        view.numpy()
    assert origin(caught) == "a view that was changed in place, with its base"
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.fix == "view.detach().numpy()"


def test_an_error_keeps_no_graph() -> None:
    weight = torch.ones(2, requires_grad=True)
    alive, y = weakref.ref(weight), weight * 2
    with pytest.raises(safe_numpy.GradError) as of_a_variable:
        y.numpy()
    with pytest.raises(safe_numpy.GradError) as of_a_temporary:
        (weight * 2).numpy()
    del weight, y
    assert alive() is None, "though nobody has read the errors"
    assert str(of_a_variable.value)
    assert str(of_a_temporary.value)


def test_evaluation_is_told_of_inference_mode() -> None:
    model = Net().eval()
    logits = model(INPUT)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    assert remark(caught) == ["evaluation"]
    assert "`model` is in evaluation mode: inside `with torch.inference_mode():` autograd records" in str(caught.value)
    frozen = Net().eval().requires_grad_(False)
    w = torch.ones(2, requires_grad=True)
    del model, logits
    with pytest.raises(safe_numpy.GradError) as caught:
        w.numpy()
    assert remark(caught) == [], "what is frozen records nothing anyway"
    assert not frozen.training


class Epoch:
    """Collects losses, with their graphs."""

    def __init__(self) -> None:
        w = torch.ones(2, requires_grad=True)
        self.losses = [(w * i).sum() for i in range(3)]

    def show(self) -> Any:
        return np.array(self.losses)


def add_up(losses: list[Tensor]) -> Any:
    total: Any = 0.0
    for loss in losses:
        total += loss
    return total.numpy()


def show_history(losses: list[Tensor], make: Any = dict) -> Any:
    history = make({"loss": list(losses), "acc": [0.1, 0.2]})
    losses.clear()
    return np.array(history["loss"])


COLLECTED: dict[str, Any] = {
    "a list": lambda epoch: np.array(epoch.losses),
    "a member": Epoch.show,
    "a sum": lambda epoch: add_up(epoch.losses),
    "a stack": lambda epoch: np.asarray(torch.stack(epoch.losses)),
    "a history": lambda epoch: show_history(epoch.losses),
    "a history in order": lambda epoch: show_history(epoch.losses, OrderedDict),
}


@pytest.mark.parametrize("how", COLLECTED)
def test_an_accumulated_loss_is_told_of_item(how: str) -> None:
    epoch = Epoch()
    with pytest.raises(safe_numpy.GradError) as caught:
        COLLECTED[how](epoch)
    assert remark(caught) == ["accumulated"]
    assert "collect `loss.item()` or `loss.detach()` where a loss is computed" in str(caught.value)


def test_one_of_them_alone_is_not() -> None:
    epoch = Epoch()
    with pytest.raises(safe_numpy.GradError) as caught:
        epoch.losses[0].numpy()
    assert remark(caught) == []


def test_what_is_no_collection_is_not_told_of_item() -> None:
    w = torch.ones(2, requires_grad=True)
    first, second = w.sum(), w.prod()

    def stack() -> Any:
        return np.asarray(torch.stack([first, second]))

    def two_terms() -> Any:
        loss = (w * 2).sum() + (w * 3).sum()
        return loss.numpy()

    def closure() -> Any:
        minimize = compile_library("import numpy as np\ndef minimize(f, x0):\n    return np.asarray(f(x0)).item()\n")

        def fun(values: Any) -> Any:
            p = torch.tensor(values, requires_grad=True)
            return (p**2).sum() + (p - 1).square().sum() + 1

        return minimize["minimize"](fun, np.ones(2))

    for convert in (stack, two_terms, closure):
        with pytest.raises(safe_numpy.GradError) as caught:
            convert()
        assert remark(caught) == [], convert.__name__


def test_the_diagnosis_holds_no_tensor() -> None:
    import gc
    import weakref

    model = Net()
    logits = model(INPUT)
    alive = weakref.ref(logits), weakref.ref(model.head.weight)
    with pytest.raises(safe_numpy.GradError) as caught:
        logits.numpy()
    error = caught.value
    assert error.diagnosis is not None
    error.__traceback__ = None
    del logits, model, caught
    gc.collect()
    assert [r() for r in alive] == [None, None]
    assert error.diagnosis.fix == "logits.detach().numpy()"
