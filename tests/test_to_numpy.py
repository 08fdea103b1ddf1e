"""`to_numpy` over nestings, and `diagnose`."""

from __future__ import annotations

import dataclasses
import io
from collections import ChainMap, OrderedDict, UserDict, defaultdict, deque, namedtuple
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from processes import run
from zoo import F32, assert_same, floats, grads

import safe_numpy
from safe_numpy import ConversionError, diagnose, to_numpy


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Plain:
    x: Any
    y: int = 0
    built: int = dataclasses.field(default=0, init=False)

    def __post_init__(self) -> None:
        self.built += 1


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: Any


@dataclasses.dataclass
class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """As Hugging Face's: an ordered dict of its own fields that also is a dataclass, and guards its items."""

    logits: Any = None
    hidden: Any = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if (value := getattr(self, field.name)) is not None:
                super().__setitem__(field.name, value)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.keys() and value is not None:
            super().__setitem__(name, value)
        super().__setattr__(name, value)

    def __delitem__(self, *args: Any) -> None:
        raise TypeError("cannot delete")

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("cannot update")

    def __reduce__(self) -> Any:
        return type(self), tuple(getattr(self, f.name) for f in dataclasses.fields(self))


def is_array(x: Any) -> bool:
    return type(x) is np.ndarray and x.dtype == np.float32 and np.array_equal(x, F32)


def test_a_tensor_alone() -> None:
    assert is_array(to_numpy(grads()))


def test_builtin_containers() -> None:
    source = {"a": [grads(), 1, "two", None, (floats(), b"3")], 5: {}, "e": []}
    result = to_numpy(source)
    assert list(result) == ["a", 5, "e"]
    array, one, two, none, (inner, three) = result["a"]
    assert is_array(array)
    assert is_array(inner)
    assert (one, two, none, three, result[5], result["e"]) == (1, "two", None, b"3", {}, [])
    assert isinstance(source["a"][0], torch.Tensor), "the input is untouched"  # type: ignore[index]
    assert result["a"] is not source["a"]


@pytest.mark.parametrize(
    ("source", "get"),
    [
        (OrderedDict(b=grads(), a=1), lambda r: r["b"]),
        (defaultdict(list, a=grads()), lambda r: r["a"]),
        (deque([grads()], maxlen=3), lambda r: r[0]),
        (Point(1, grads()), lambda r: r.y),
        (Plain(grads()), lambda r: r.x),
        (Frozen(grads()), lambda r: r.x),
        (ModelOutput(logits=grads()), lambda r: r["logits"]),
        (ModelOutput(logits=grads()), lambda r: r.logits),
        (UserDict(a=grads()), lambda r: r["a"]),
        (MappingProxyType({"a": grads()}), lambda r: r["a"]),
        (ChainMap({"a": grads()}), lambda r: r["a"]),
        (torch.max(grads(), 0), lambda r: np.stack([r.values, r.values * [[0], [1]][1][0]])),
        (torch.nn.utils.rnn.pack_sequence([grads()[0]]), lambda r: r.data),
        (torch.nn.ParameterDict({"a": grads()}).state_dict(), lambda r: r["a"]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_other_containers_keep_their_type(source: Any, get: Any) -> None:
    result = to_numpy(source)
    assert type(result) is type(source)
    found = get(result)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    if found.shape == F32.shape and not isinstance(source, torch.return_types.max):
        assert_same(found, F32)
    if isinstance(source, (deque, defaultdict)):
        assert getattr(result, "maxlen", None) == getattr(source, "maxlen", None)
        assert getattr(result, "default_factory", None) == getattr(source, "default_factory", None)
    if isinstance(source, ModelOutput):
        assert isinstance(source.logits, torch.Tensor)
        assert result.logits is result["logits"]
        assert result.hidden is None
    if isinstance(source, Plain):
        assert result.built == 1, "__post_init__ does not run again"


@pytest.mark.parametrize(
    "leaf",
    [3, 2.5, "text", b"bytes", None, True, np.ones(2), {1, 2}, range(3), object(), torch.Size([2]), torch.float32,
     torch.nn.Linear(1, 1), io.StringIO("x"), Plain, UserDict(a=1), Frozen(3)],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_other_leaves_are_untouched(leaf: Any) -> None:
    assert to_numpy(leaf) is leaf
    assert to_numpy([leaf])[0] is leaf


def test_an_error_names_the_path_of_its_leaf() -> None:
    bad = torch.ones(2, device="meta")
    tree = {"x": [1, 2, 3, Point(0, Plain(UserDict(k=bad)))]}
    with pytest.raises(ConversionError) as caught:
        to_numpy(tree)
    assert isinstance(caught.value, safe_numpy.NoDataError)
    assert isinstance(caught.value, TypeError), "as x.numpy() raises"
    assert "`tree['x'][3].y.x['k']` cannot become a NumPy array" in str(caught.value)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.name == "tree['x'][3].y.x['k']"
    batch = Plain([{"bad": bad}])
    with pytest.raises(ConversionError) as caught:
        to_numpy(batch.x)
    assert "`batch.x[0]['bad']` cannot become a NumPy array" in str(caught.value)
    with pytest.raises(ConversionError) as caught:
        to_numpy([1, bad])
    assert "`tree[1]` cannot become a NumPy array" in str(caught.value), "no name for it"


def test_a_generator_is_a_clear_error_and_is_not_exhausted() -> None:
    source = (grads() for _ in range(2))
    with pytest.raises(TypeError, match=r"tree\[0\]\['g'\] is a generator, .*pass `list\(tree\[0\]\['g'\]\)`"):
        to_numpy([{"g": source}])
    assert len(list(source)) == 2
    for lazy in (map(abs, [1]), filter(None, [1]), zip([1], [2], strict=True), enumerate([1]), reversed([1])):
        with pytest.raises(TypeError, match="would exhaust"):
            to_numpy({"a": lazy})


def test_cycles() -> None:
    loop: list[Any] = [1]
    loop.append({"again": loop})
    with pytest.raises(ValueError, match=r"tree\[1\]\['again'\] is one of the containers it stands in"):
        to_numpy(loop)
    shared = [grads()]
    first, second = to_numpy([shared, shared])
    assert is_array(first[0])
    assert is_array(second[0]), "the same twice is no cycle"


def test_too_deep() -> None:
    deep: Any = grads()
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="tree is nested too deeply"):
        to_numpy(deep)


def test_ten_thousand_leaves() -> None:
    tree = {f"k{i}": [torch.tensor([float(i)], requires_grad=True) for i in range(100)] for i in range(100)}
    result = to_numpy(tree)
    assert len(result) == 100
    assert all(a.tolist() == [float(i)] for a in (v for v in result.values()) for i, a in enumerate(a))


def test_it_asks_no_mode_and_warns_of_nothing() -> None:
    for word in ("off", "explain", "permissive", "strict"):
        with safe_numpy.mode(word):
            assert is_array(to_numpy([grads()])[0])
    safe_numpy.uninstall()
    assert is_array(to_numpy([grads()])[0])
    assert safe_numpy.report().rows == []


def test_a_namedtuple_made_the_old_way() -> None:
    pair = namedtuple("pair", "a b")(grads(), 2)
    assert is_array(to_numpy(pair).a)


@pytest.mark.parametrize("thing", [np.ones(2), [1], None, "x", torch.float32, torch.nn.Linear(1, 1)])
def test_diagnose_takes_tensors_only(thing: Any) -> None:
    with pytest.raises(TypeError, match="expected a tensor of torch, TensorFlow or Keras, once that is imported; got "):
        diagnose(thing)


def test_diagnosis_of_a_tensor_that_converts() -> None:
    d = diagnose(floats())
    assert (d.problems, d.fix, d.convertible, d.shares_memory, d.nbytes) == ((), "x.numpy()", True, True, 16)


def test_diagnosis_holds_no_tensor_and_copies_nothing() -> None:
    import pickle
    import weakref

    x = grads().bfloat16()
    alive = weakref.ref(x)
    d = diagnose(x)
    del x
    assert alive() is None
    assert pickle.loads(pickle.dumps(d)) == d
    assert hash(d) == hash(pickle.loads(pickle.dumps(d)))
    assert (d.subject.dtype, d.subject.shape, d.subject.device) == ("bfloat16", "[2, 2]", "cpu")
    assert [str(p.kind) for p in d.problems] == ["grad", "dtype"]
    assert d.problems[0].kind == "grad", "a str enum"


def test_a_name_that_is_an_expression() -> None:
    x = grads()
    fix = diagnose(x, "a + b").fix
    assert fix == "(a + b).detach().numpy()"
    assert np.array_equal(eval(fix, {"a": x, "b": 1}), F32 + 1)
    assert diagnose(x, "model(x)[0].y").fix == "model(x)[0].y.detach().numpy()"
    assert diagnose(x, "-a").fix == "(-a).detach().numpy()"
    assert diagnose(x, "lambda: 0").fix == "(lambda: 0).detach().numpy()"
    assert diagnose(x, "not python").fix == "(not python).detach().numpy()"


@pytest.mark.parametrize(
    "policy",
    [{}, {"dispatch_sizes_strides_policy": "sizes"}, {"dispatch_device": True}, {"dispatch_layout": True}],
    ids=str,
)
def test_a_tensor_that_answers_nothing_is_diagnosed_all_the_same(policy: Any) -> None:
    class Hostile(torch.Tensor):
        @staticmethod
        def __new__(cls) -> Any:
            return torch.Tensor._make_wrapper_subclass(cls, (2, 3), dtype=torch.float32, device="cpu", **policy)

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            raise LookupError(f"no {func}")

        def __repr__(self) -> str:
            raise LookupError("no repr")

    x = Hostile()
    d = diagnose(x)
    assert [p.kind for p in d.problems] == ["subclass"]
    assert (d.fix, d.convertible, d.subject.type_name) == (None, False, "Hostile")
    assert "Hostile is a tensor subclass" in str(d)
    with pytest.raises(safe_numpy.SubclassError, match=r"^\.numpy\(\) is not supported") as caught:
        x.numpy()
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(safe_numpy.SubclassError) as caught:
        to_numpy(x)
    assert caught.value.site is not None
    assert caught.value.site.filename == __file__


@pytest.mark.parametrize("name", ["requires_grad", "dtype", "is_cpu", "layout", "device"])
def test_a_class_whose_attributes_raise(name: str) -> None:
    """Its own ``numpy()``, which asks for none of them, works."""

    def fail(self: Any) -> Any:
        raise RuntimeError(f"no {name} here")

    cls: Any = type("Odd", (torch.Tensor,), {name: property(fail)})
    assert_same(to_numpy([torch.ones(2).as_subclass(cls)])[0], np.ones(2, np.float32))


def test_a_stand_in_for_a_framework() -> None:
    out = run("""
        import sys, types
        import safe_numpy, warnings
        warnings.simplefilter("ignore")
        for stand_in in (types.ModuleType("torch"), object()):
            sys.modules["torch"] = stand_in
            print(safe_numpy.to_numpy({"a": 1, "b": [range(2)]}))
        del sys.modules["torch"]
        import torch
        print(safe_numpy.to_numpy([torch.ones(2, requires_grad=True)]))
    """)
    assert out.splitlines() == ["{'a': 1, 'b': [range(0, 2)]}"] * 2 + ["[array([1., 1.], dtype=float32)]"]
