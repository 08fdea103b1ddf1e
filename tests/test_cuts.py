"""Gradients that a conversion cuts: exactly the parameters that starve are named, and nobody else."""

from __future__ import annotations

import collections
import gc
import random
import re
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from networks import NETWORKS, train
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks
from versions import newer_torch

import safe_numpy
from safe_numpy import ConversionWarning, SeveredGradientWarning
from safe_numpy.frameworks.torch.optimizers import WATCH


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    torch.manual_seed(0)
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", ConversionWarning)
        yield


def collect(action: Callable[[], Any]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SeveredGradientWarning)
        action()
    return [w for w in caught if w.category is SeveredGradientWarning]


def find_names(message: warnings.WarningMessage) -> list[str]:
    who = str(message.message).partition(" got no gradient; ")[0]
    return [name.removeprefix("network.") for name in re.split(r", (?![^[]*\])| and ", who)]


@pytest.mark.parametrize("way", ["detour", "detour_by_helper"])
@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_detour_in_forward_names_who_starves(architecture: str, way: str) -> None:
    network = NETWORKS[architecture](getattr(networks, way))
    starved = [name for name, p in network.named_parameters() if name.startswith(network.upstream)]
    (warning,) = collect(lambda: train(network))
    assert [p.grad is None for p in network.parameters()] == [n in starved for n, _ in network.named_parameters()]
    assert sorted(find_names(warning)) == sorted(starved)
    line = "np.clip(h.numpy(), -3, 3)" if way == "detour" else "np.sort(h.numpy(), axis=-1)"
    source = Path(networks.__file__).read_text().splitlines()
    lineno = next(i for i, text in enumerate(source, 1) if line in text)
    assert str(warning.message).endswith(f"; their paths were cut at tests/networks.py:{lineno} `h.numpy()`")
    assert (warning.filename, warning.lineno) == (networks.__file__, lineno)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_metrics_and_plots_are_left_in_peace(architecture: str) -> None:
    import matplotlib.pyplot as plt
    from sklearn.metrics import accuracy_score

    network = NETWORKS[architecture](None)
    labels = networks.load()[1]
    history: list[Any] = []

    def watch(logits: torch.Tensor, loss: torch.Tensor) -> None:
        history.append(loss.numpy())
        accuracy_score(labels, logits.numpy().argmax(1))
        for p in network.parameters():
            np.histogram(p.numpy())

    def run() -> None:
        train(network, watch=watch)
        plt.plot(history)
        plt.close()

    assert collect(run) == []
    assert safe_numpy.report().totals["count"] > 6 * 3


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_metric_and_a_detour_side_by_side(architecture: str) -> None:
    network = NETWORKS[architecture](networks.detour)
    (warning,) = collect(lambda: train(network, watch=lambda logits, loss: (logits.numpy().mean(), loss.numpy())))
    assert sorted(find_names(warning)) == sorted(n for n, p in network.named_parameters() if p.grad is None)


class Net(nn.Module):
    def __init__(self, after: Callable[[torch.Tensor], torch.Tensor] = lambda h: h) -> None:
        super().__init__()
        self.body, self.head, self.spare = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)
        self.after = after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.after(torch.relu(self.body(x))))


def fit(
    net: nn.Module, steps: int = 6, optimizer: Any = None, each: Callable[[], Any] = lambda: None, **how: Any
) -> None:
    optimizer = optimizer or torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        loss = net(torch.ones(3, 4)).square().sum()
        optimizer.zero_grad(**how)
        each()
        loss.backward()
        optimizer.step()


def test_the_first_step_tells_where_the_source_is_clear() -> None:
    (warning,) = collect(lambda: fit(Net(networks.detour), steps=1))
    assert find_names(warning) == ["body.weight", "body.bias"]
    assert "their paths were cut at tests/networks.py:" in str(warning.message)


def one_line(h: torch.Tensor, detour: bool = True) -> torch.Tensor:
    if detour: h = torch.from_numpy(h.numpy())  # noqa: E701  # fmt: skip
    return h


def test_of_several_statements_on_one_line_the_right_one_is_followed() -> None:
    (warning,) = collect(lambda: fit(Net(one_line), steps=1))
    assert find_names(warning) == ["body.weight", "body.bias"]
    assert collect(lambda: fit(Net(lambda h: one_line(h, detour=False)))) == []


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
@pytest.mark.parametrize("case", ["a ufunc", "a function", "an operator"])
def test_numpy_makes_a_tensor_of_the_array_at_once(case: str) -> None:
    """By ``Tensor.__array_wrap__``: no function that makes tensors stands in the source."""

    class Wrapping(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.body(x)
            if case == "a ufunc":
                return self.head(np.tanh(h))
            if case == "a function":
                h = np.clip(h, -1, 1)
                return self.head(h)
            return self.head(h * np.ones((3, 4), np.float32))

    def run(train: Any) -> None:
        train(Wrapping(), steps=1)

    (warning,) = collect(lambda: run(fit))
    assert find_names(warning) == ["body.weight", "body.bias"]
    hidden: dict[str, Any] = {}
    exec(compile(FIT, "<trainer>", "exec"), hidden)  # a loop without source, as a library's
    (warning,) = collect(lambda: run(hidden["fit"]))
    assert find_names(warning) == ["body.weight", "body.bias"]


FIT = """
import torch
def fit(net, steps):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        net(torch.ones(3, 4)).sum().backward()
        optimizer.step()
"""


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
def test_what_numpy_makes_a_tensor_of_and_is_only_looked_at() -> None:
    net, seen = Net(), []

    def look() -> None:
        h = net.spare(torch.ones(1, 4))
        seen.append(np.abs(h).mean())
        assert np.isfinite(h).all()
        shown = f"{np.exp(h)}"
        assert shown

    assert collect(lambda: fit(net, steps=30, each=look)) == []


def measure(net: Net) -> torch.Tensor:
    values = [net.spare(torch.ones(1, 4)).numpy() for _ in range(2)]
    return torch.tensor(np.array(values)).mean()


def test_a_metric_that_is_made_a_tensor_again() -> None:
    net = Net()

    def look() -> None:
        best = torch.tensor(9.0)
        found = measure(net)
        if found < best:
            best = found
        assert best < 9

    assert collect(lambda: fit(net, each=look)) == []


def test_a_replay_buffer() -> None:
    net, buffer = Net(), collections.deque[Any](maxlen=9)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def run() -> None:
        for _ in range(6):
            state = net.spare(torch.ones(1, 4))
            buffer.append(state.numpy())
            batch = torch.tensor(np.array(random.sample(buffer, 1)))
            optimizer.zero_grad()
            (net(torch.ones(3, 4)).sum() + batch.sum()).backward()
            optimizer.step()

    assert collect(run) == []


def test_a_penalty_that_is_a_number() -> None:
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def run() -> None:
        penalty = float(np.abs(net.spare(torch.ones(1, 4)).numpy()).sum())
        loss = net(torch.ones(3, 4)).sum() + 0.1 * penalty
        loss.backward()
        optimizer.step()

    (warning,) = collect(run)
    assert find_names(warning) == ["spare.weight", "spare.bias"]


def make_tensor(array: Any) -> torch.Tensor:
    doubled = array * 2
    return torch.from_numpy(doubled)


def test_a_helper_of_ones_own() -> None:
    (warning,) = collect(lambda: fit(Net(lambda h: make_tensor(h.numpy())), steps=1))
    assert find_names(warning) == ["body.weight", "body.bias"]


def test_one_parameter() -> None:
    net = Net(networks.detour)
    net.body.bias.requires_grad_(False)
    (warning,) = collect(lambda: fit(net))
    assert str(warning.message).startswith("body.weight got no gradient; its path was cut at tests/networks.py:")


def test_once_however_many_steps() -> None:
    assert len(collect(lambda: fit(Net(networks.detour), steps=50))) == 1


def test_where_the_source_is_not_clear_it_takes_three_steps() -> None:
    class Keeper:
        pass

    keeper = Keeper()

    def after(h: torch.Tensor) -> torch.Tensor:
        keeper.kept = h.numpy()  # type: ignore[attr-defined]
        return restore()

    def restore() -> torch.Tensor:
        return torch.from_numpy(keeper.kept)  # type: ignore[attr-defined]

    assert collect(lambda: fit(Net(after), steps=2)) == []
    (warning,) = collect(lambda: fit(Net(after), steps=3))
    assert find_names(warning) == ["body.weight", "body.bias"]


def test_a_head_that_is_only_plotted() -> None:
    net = Net()
    shown = []

    def look() -> None:
        shown.append(net.spare(torch.ones(1, 4)).numpy())

    assert collect(lambda: fit(net, steps=30, each=look)) == []
    assert net.spare.weight.grad is None
    assert len(shown) == 30


def test_frozen_and_unused_parameters() -> None:
    net = Net(networks.detour)
    net.body.requires_grad_(False)
    assert collect(lambda: fit(net)) == []
    assert net.spare.weight.grad is None


def test_tasks_that_take_turns() -> None:
    """The head of the other task has no gradient at this step, and has one at the next: each is left in peace then."""

    def run(show: Callable[[torch.Tensor], Any]) -> None:
        body, first, second = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)
        heads = [first, second]
        optimizer = torch.optim.SGD([*body.parameters(), *first.parameters(), *second.parameters()], lr=0.1)
        for i in range(12):
            outputs = [head(body(torch.ones(3, 4))) for head in heads]
            for output in outputs:
                show(output)
            optimizer.zero_grad()
            outputs[i % 2].sum().backward()
            optimizer.step()

    kept = nn.Module()
    assert collect(lambda: run(lambda output: setattr(kept, "shown", output.numpy()))) == [], "its way is not known"
    # where the source says that the array is a tensor again, the first step cannot know better; the others do
    (warning,) = collect(lambda: run(lambda output: torch.as_tensor(output.numpy()).mean()))
    assert find_names(warning) == ["second.weight", "second.bias"]


def test_adversaries_with_an_optimizer_each() -> None:
    generator, judge = nn.Linear(2, 4), nn.Linear(4, 1)
    own = [torch.optim.Adam(module.parameters()) for module in (generator, judge)]

    def run() -> None:
        for _ in range(5):
            fake = generator(torch.ones(3, 2))
            assert np.isfinite(fake.numpy()).all(), judge(fake).numpy()
            judge(fake).numpy().mean()
            own[1].zero_grad()
            judge(fake.detach()).sum().backward()
            own[1].step()
            own[0].zero_grad()
            judge(fake).sum().backward()
            own[0].step()

    assert collect(run) == []


def test_a_part_with_an_optimizer_of_its_own() -> None:
    """All that it updates starves."""
    body, head = nn.Linear(4, 4), nn.Linear(4, 2)
    own = [torch.optim.SGD(module.parameters(), lr=0.1) for module in (body, head)]

    def run() -> None:
        for _ in range(3):
            loss = head(networks.detour(body(torch.ones(3, 4)))).sum()
            for optimizer in own:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in own:
                optimizer.step()

    (warning,) = collect(run)
    assert find_names(warning) == ["body.weight", "body.bias"]


@newer_torch
def test_a_closure_computes_its_gradients_later() -> None:
    net = Net()
    optimizer = torch.optim.LBFGS(net.body.parameters(), max_iter=2)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(torch.ones(3, 4)).square().sum()
        loss.backward()
        return loss

    def run() -> None:
        for _ in range(4):
            kept = torch.from_numpy(net(torch.ones(3, 4)).numpy())
            assert kept.shape == (3, 2)
            optimizer.step(closure)

    assert collect(run) == []


def test_validation_in_between_and_layers_left_out() -> None:
    """Stochastic depth: a layer has no gradient at the very step after a validation that used it."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def run() -> None:
        for i in range(9):
            if i % 3 == 0:
                scores = net.spare(torch.ones(1, 4)).numpy()
                assert scores.size == 2
            loss = net(torch.ones(3, 4)).sum() + (net.spare(torch.ones(1, 4)).sum() if i % 3 == 1 else 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert collect(run) == []


def test_every_conversion_of_a_line_between_two_steps_counts() -> None:
    layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = layers, nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = networks.detour(layer(x))
            return self.head(x)

    net = Stack()
    (warning,) = collect(lambda: fit(net, steps=1))
    assert find_names(warning) == [n for n, _ in net.named_parameters() if n.startswith("layers")]


def test_the_warning_may_be_an_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeveredGradientWarning)
        with pytest.raises(SeveredGradientWarning, match=r"body\.weight and body\.bias got no gradient"):
            fit(Net(networks.detour))


def test_only_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert collect(lambda: fit(Net(networks.detour))) == []
    monkeypatch.setenv("RANK", "0")
    assert len(collect(lambda: fit(Net(networks.detour)))) == 1


def test_parameters_without_a_name_in_sight() -> None:
    weights = [torch.ones(4, 4, requires_grad=True), torch.ones(4, 2, requires_grad=True)]
    (warning,) = collect(lambda: step_elsewhere(weights))
    assert find_names(warning) == ["a parameter float32[4, 4]"]


def step_elsewhere(pair: list[torch.Tensor]) -> None:
    optimizer = torch.optim.SGD(pair, lr=0.1)
    (networks.detour(torch.ones(3, 4) @ pair[0]) @ pair[1]).sum().backward()
    optimizer.step()


def test_it_costs_nothing_without_a_cut_and_is_undone() -> None:
    safe_numpy.uninstall()
    safe_numpy.install()
    before = dict(_global_optimizer_pre_hooks)
    torch.ones(2, dtype=torch.bfloat16).numpy()
    fit(Net(), steps=1)
    assert dict(_global_optimizer_pre_hooks) == before
    torch.ones(2, requires_grad=True).numpy()
    assert len(_global_optimizer_pre_hooks) == len(before) + 1
    safe_numpy.uninstall()
    assert dict(_global_optimizer_pre_hooks) == before


def test_it_keeps_nothing_alive() -> None:
    def run() -> list[weakref.ref[Any]]:
        net = Net(networks.detour)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        collect(lambda: fit(net, optimizer=optimizer))
        return [weakref.ref(each) for each in (net, optimizer, *net.parameters())]

    references = run()
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_the_cuts_are_known_where_backward_fails() -> None:
    safe_numpy.uninstall()
    safe_numpy.install()
    net = Net()

    def run(net: nn.Module) -> None:
        out = net(torch.ones(3, 4))
        print(np.mean(out.numpy()))  # noqa: T201
        hidden = out.numpy()
        loss = torch.tensor(hidden.mean())
        loss.backward()

    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad") as caught:
        run(net)
    (cut,) = WATCH.find_cuts()
    said = " ".join(str(safe_numpy.why(caught.value)).split())
    assert "`loss` does not require grad: where permissive mode converted `out.numpy()`, tests/test_cuts.py" in said
    del caught
    assert (cut.site.filename, cut.site.function, cut.expression) == (__file__, "run", "out.numpy()")
    assert Path(__file__).read_text().splitlines()[cut.site.lineno - 1].strip() == "hidden = out.numpy()"
    alive = [weakref.ref(p) for p in net.parameters()]
    del net
    gc.collect()
    assert [reference() for reference in alive] == [None] * len(alive)
    assert len(WATCH.find_cuts()) == 1


def test_the_newest_cut_is_the_last_and_they_are_few() -> None:
    safe_numpy.uninstall()
    safe_numpy.install()
    x = torch.ones(2, requires_grad=True)
    lines = [f"torch.tensor(x{' ' * i}.numpy()).sum()" for i in range(30)]
    exec(compile("\n".join(lines), "<cuts>", "exec"), {"x": x, "torch": torch})
    numbers = [cut.site.lineno for cut in WATCH.find_cuts()]
    assert numbers == list(range(11, 31))


def test_it_never_breaks_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise KeyError("ours")

    monkeypatch.setattr(WATCH, "_examine", fail)
    net = Net(networks.detour)
    assert collect(lambda: fit(net)) == []
    assert net.head.weight.grad is not None


def test_long_runs_are_looked_at_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    from safe_numpy.frameworks.torch import optimizers as _torch_cuts

    walks = []

    def find_leaves(node: Any, *args: Any) -> Any:
        walks.append(node)
        return real(node, *args)

    real = _torch_cuts.find_leaves
    monkeypatch.setattr(_torch_cuts, "find_leaves", find_leaves)
    net = Net()
    fit(net, steps=300, each=lambda: net(torch.ones(1, 4)).numpy().mean())
    assert 8 <= len(walks) <= 16
