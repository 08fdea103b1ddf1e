"""Objects whose every method is a trap stand beside the tensor: it is found without touching one of them."""

from __future__ import annotations

import json
import linecache
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safe_numpy
from safe_numpy.callsite import frames
from safe_numpy.frameworks.torch.optimizers import OptimizerWatch
from safe_numpy.interfaces import cli
from safe_numpy.messages import units
from safe_numpy.messages.units import name_place, show_controls

TRAPS = [
    "__getattr__", "__getattribute__", "__eq__", "__ne__", "__hash__", "__repr__", "__str__", "__bool__", "__len__",
    "__iter__", "__getitem__", "__contains__", "__index__", "__int__", "__float__", "__call__", "__array__",
    "__dir__", "__format__", "__instancecheck__", "__subclasscheck__", "__missing__", "__reversed__", "__next__",
    "keys", "items", "values",
]  # fmt: skip

META_TRAPS = [
    "__getattr__", "__getattribute__", "__instancecheck__", "__subclasscheck__", "__eq__", "__ne__", "__hash__",
    "__repr__", "__str__", "__bool__", "__len__", "__iter__", "__call__", "__contains__", "__dir__",
]  # fmt: skip

sprung: list[str] = []


def set_trap(name: str) -> Any:
    def spring(*args: Any, **kwargs: Any) -> Any:
        sprung.append(name)
        raise RuntimeError(f"{name} was called")

    return spring


def make_hostile(*bases: type, **namespace: Any) -> Any:
    """Return an instance of a class that records every call of a method, and of a metaclass that does too."""
    meta_traps = {name: set_trap(f"meta {name}") for name in META_TRAPS}
    meta_traps |= {
        name: property(set_trap(f"meta {name}")) for name in ("__name__", "__module__", "__mro__", "__bases__")
    }
    meta = type("Meta", (type,), meta_traps)
    traps = {name: set_trap(name) for name in TRAPS}
    traps |= {name: property(set_trap(name)) for name in ("__class__", "loss", "training", "_modules", "_parameters")}
    cls = meta("Hostile", bases, {**traps, **namespace})
    return bases[0].__new__(cls) if bases else object.__new__(cls)


HOSTILE: dict[str, Any] = {
    "plain": lambda: make_hostile(),
    "str": lambda: make_hostile(str),
    "int": lambda: make_hostile(int),
    "error": lambda: make_hostile(ValueError),
    "slots": lambda: make_hostile(__slots__=("a",)),
    "own __dict__": lambda: make_hostile(__dict__=property(set_trap("__dict__"))),
    "dict": lambda: make_hostile(dict),
    "list": lambda: make_hostile(list),
    "tuple": lambda: make_hostile(tuple, _fields=("loss",)),
    "module": lambda: make_hostile(torch.nn.Module),
    "class": lambda: type(make_hostile()),
}


@pytest.fixture(autouse=True)
def nothing_sprung() -> Iterator[None]:
    sprung.clear()
    yield
    assert sprung == []


LIBRARY = "import numpy as np\ndef draw(*values, **more):\n    return np.asarray(find(values, more))\n"


def load_library(x: Any) -> Any:
    """A library that takes anything, and converts the tensor that is somewhere in it."""
    scope: dict[str, Any] = {"__name__": "library", "find": lambda values, more: x}
    exec(compile(LIBRARY, "/usr/lib/python3/site-packages/library.py", "exec"), scope)
    return scope["draw"]


class Holder:
    def __init__(self, **members: Any) -> None:
        vars(self).update(members)


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_it_is_called(kind: str) -> None:
    hostile = HOSTILE[kind]()
    x = torch.ones(2, requires_grad=True) * 2
    draw = load_library(x)
    nested = [hostile, {"a": hostile, "b": (hostile, Holder(h=hostile, x=x))}]
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(hostile, x, y=hostile)
    assert "`x` cannot become" in str(caught.value)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.shown == "draw(hostile, x.detach().numpy(), y=hostile)"
    x = torch.ones(2, requires_grad=True) * 3
    draw = load_library(x)
    nested[1]["b"][1].x = x  # type: ignore[index]
    holder = [hostile, x]
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(hostile, nested)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.name == "nested[1]['b'][1].x"
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(hostile, holder)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.shown == "draw(hostile, safe_numpy.to_numpy(holder))"
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(hostile, hostile.loss if hostile is None else [])
    assert caught.value.diagnosis is not None
    assert not caught.value.diagnosis.named


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_it_is_called_otherwise(kind: str) -> None:
    """By warnings, reports, strict mode, `why`, and what a notebook shows."""
    hostile = HOSTILE[kind]()
    x, flat = torch.ones(2, requires_grad=True) * 2, torch.zeros(1).expand(2)
    draw, both = load_library(x), [hostile, {"h": hostile, "x": x}]
    safe_numpy.report(reset=True)
    with warnings.catch_warnings(record=True) as caught, safe_numpy.mode("permissive"):
        warnings.simplefilter("always")
        draw(hostile, x, y=hostile)
        draw(both, holder=Holder(h=hostile, x=x))
    assert len(caught) == 2
    assert all(str(warning.message) for warning in caught)
    report = safe_numpy.report(reset=True)
    assert str(report)
    assert report._repr_html_()
    with safe_numpy.mode("strict"), pytest.raises(safe_numpy.SilentError) as silent:
        [hostile, flat][1].numpy()
    assert silent.value.diagnosis is not None
    assert silent.value.diagnosis.compose().to_html()
    for ask in (
        lambda: x.astype(hostile),
        lambda: torch.ones(2)["a", hostile],
        lambda: both.numpy(hostile),
        lambda: len(x, hostile),
    ):
        with pytest.raises((AttributeError, TypeError, IndexError, RuntimeError)) as failed:
            ask()
        sprung.clear()  # what the framework itself has asked
        explanation = safe_numpy.why(failed.value)
        assert explanation.compose().to_html()
        assert str(explanation)
        assert sprung == []


@pytest.mark.parametrize("kind", ["plain", "module"])
@pytest.mark.parametrize(
    "text", ["expected np.ndarray (got Tensor)", "can't convert", "only integer tensors", "must be Tensor"]
)
def test_a_hostile_function_that_fails(text: str, kind: str) -> None:
    def fail(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise {"can't convert": ValueError, "only integer tensors": RuntimeError}.get(text, TypeError)(text)

    hostile = make_hostile(*[torch.nn.Module] if kind == "module" else [], __call__=fail)
    x, array = torch.ones(2, requires_grad=True) * 2, np.ones(2)
    for ask in (
        lambda: hostile(x),
        lambda: hostile([x, x]),
        lambda: hostile(array),
        lambda: hostile(x, array, out=hostile),
        lambda: hostile(hostile, [1.5, hostile]),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as failed:
            ask()
        assert safe_numpy.why(failed.value).compose().to_html()


def test_a_tensor_under_a_hostile_key() -> None:
    class Key:
        def __hash__(self) -> int:
            return 1

        def __repr__(self) -> str:
            sprung.append("__repr__")
            return "k"

    x = torch.ones(2, requires_grad=True) * 2
    draw, batch = load_library(x), {Key(): x}
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(batch)
    assert caught.value.diagnosis is not None
    assert not caught.value.diagnosis.named


def test_a_property_that_hides_a_member() -> None:
    class Masked(Holder):
        @property
        def x(self) -> Any:
            sprung.append("x")

    x = torch.ones(2, requires_grad=True) * 2
    masked = Masked()
    vars(masked)["x"] = x
    draw = load_library(x)
    with pytest.raises(safe_numpy.GradError) as caught:
        draw(masked)
    assert caught.value.diagnosis is not None
    assert not caught.value.diagnosis.named, "masked.x gives something else"


def test_hostile_variables_of_a_class_body() -> None:
    class Namespace(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: str) -> Any:
            if name in ("x", "np", "__name__"):
                return {"x": x, "np": np, "__name__": __name__}[name]
            raise KeyError(name)

        def keys(self) -> Any:
            sprung.append("keys")
            return super().keys()

        def items(self) -> Any:
            sprung.append("items")
            return super().items()

    class Meta(type):
        @classmethod
        def __prepare__(cls, name: str, bases: Any, **_: Any) -> Any:  # type: ignore[override]
            return Namespace()

    x = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(safe_numpy.GradError) as caught:

        class C(metaclass=Meta):
            y = np.asarray(x)

    assert "cannot become a NumPy array, for 1 reason" in str(caught.value)


@pytest.mark.parametrize("mode", ["explain", "permissive", "strict"])
def test_hostile_variables_of_a_module(mode: str) -> None:
    names = ("get", "setdefault", "__contains__", "keys", "items", "values", "__iter__", "copy", "pop", "__len__")
    scope: Any = type("Scope", (dict,), {name: set_trap(name) for name in names})()
    x = torch.ones(2, requires_grad=True) * 2
    for name, value in {"np": np, "x": x, "__name__": "told", "__builtins__": __builtins__}.items():
        dict.__setitem__(scope, name, value)
    code = compile("def work(v):\n    return np.asarray(v)\nfound = work(x)", "/tmp/none.py", "exec")
    with safe_numpy.mode(mode), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        try:
            exec(code, scope)
        except safe_numpy.GradError as error:
            text, is_known = str(error), bool(safe_numpy.why(error))
            assert ("cannot become a NumPy array, for 1 reason" in text, is_known) == (True, True)
        else:
            assert mode == "permissive"


def test_a_nesting_that_is_too_large_is_left_alone() -> None:
    x = torch.ones(2, requires_grad=True) * 2
    draw = load_library(x)
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = x
    for _ in range(10):
        deep = [deep]
    wide = [[i] for i in range(20_000)]
    for values in (endless, deep, [*wide, [x]]):
        with pytest.raises(safe_numpy.GradError) as caught:
            draw(values)
        assert caught.value.diagnosis is not None
        assert (caught.value.diagnosis.named, caught.value.diagnosis.inside) == (False, "draw(values)")


def test_a_local_dict_that_somebody_holds_is_left_as_it_is() -> None:
    x = torch.ones(2, requires_grad=True) * 2
    mine = locals()
    with pytest.raises(safe_numpy.GradError) as caught:
        x.numpy()
    assert "`x` cannot become" in str(caught.value)
    assert mine["x"] is x
    assert "`x`" in str(caught.value)


def test_reading_leaves_no_copy_of_the_variables() -> None:
    import gc
    import weakref

    def work() -> None:
        x = torch.ones(2, requires_grad=True) * 2
        alive = weakref.ref(x)
        try:
            x.numpy()
        except safe_numpy.GradError as error:
            text = str(error)
        del x
        assert "`x` cannot become" in text
        gc.disable()
        try:
            assert alive() is None, "f_locals of a running function keeps what was deleted"
        finally:
            gc.enable()

    work()


def test_reading_keeps_the_last_thousand_lines_at_most() -> None:
    """A session in a notebook runs ever new code: what was read of it must not pile up."""
    import gc
    import linecache

    import executing

    def count() -> int:
        gc.collect()
        return sum(type(o) is executing.Source for o in gc.get_objects())

    def run_cell(number: int) -> None:
        filename, source = f"<cell {number}>", "import numpy as np\nnp.asarray(x)\n"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        with pytest.raises(safe_numpy.GradError) as caught:
            exec(compile(source, filename, "exec"), {"x": torch.ones(1, requires_grad=True)})
        assert "`x` cannot become" in str(caught.value)
        del linecache.cache[filename]

    before = count()
    for number in range(1500):
        run_cell(number)
    assert count() - before <= 1000


def test_tables_may_grow_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may import a framework, or convert, in the midst of it, and no lock of the interpreter's helps."""
    translators: dict[str, Any] = {}
    ranks: dict[str, Any] = {"one": lambda: ranks.setdefault("another", lambda: None)()}
    watch = OptimizerWatch()
    looked = []

    class Growing:
        @property
        def package(self) -> str:
            translators[f"<{len(translators)}>"] = self
            return "another"

        @property
        def number(self) -> int:
            looked.append(self)
            watch._cuts[len(watch._cuts)] = cut
            return 0

        def find_leaf(self) -> None:
            cut.leaves[len(cut.leaves)] = self.find_leaf

    cut: Any = Growing()
    cut.leaves = {0: cut.find_leaf}
    watch._cuts, watch._number, translators["<one>"] = {0: cut, 1: cut}, 1, cut
    monkeypatch.setattr(frames, "_translators", translators)
    monkeypatch.setattr(units, "RANK_SOURCES", ranks)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    assert not frames.is_between(sys._getframe())
    assert units.get_rank() is None
    assert watch._examine(optimizer, [cut], False) == []
    assert [len(table) for table in (translators, ranks, cut.leaves)] == [2, 2, 2]
    watch._before_step(optimizer, (), {})
    assert looked == [cut, cut], "an error would be silent"


def test_our_own_failure_costs_the_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from safe_numpy.callsite import lookup as _lookup

    monkeypatch.setattr(_lookup, "read_site", set_trap("read_site"))
    x = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(safe_numpy.GradError) as caught:
        x.numpy()
    assert "This tensor cannot become a NumPy array, for 1 reason:\n  grad" in str(caught.value)
    assert sprung == ["read_site"]
    sprung.clear()


def test_tracing_debuggers_see_what_they_saw() -> None:
    x = torch.ones(2, requires_grad=True) * 2
    seen = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_name == "work":
            seen.append(dict(frame.f_locals).get("kept"))
        return trace

    def work() -> Any:
        kept = 1
        try:
            x.numpy()
        except safe_numpy.GradError as error:
            assert str(error)  # noqa: PT017
        kept += 1
        return kept

    sys.settrace(trace)
    try:
        assert work() == 2
    finally:
        sys.settrace(None)
    assert seen[-1] == 2


ESC = "\x1b]0;owned\x07\x1b[2J\u202e\x9b"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\u202e\x9b"
"""what a terminal would obey, and how it is shown"""


def assert_tame(text: str) -> None:
    """Nothing in a text is obeyed by a terminal; our own colours aside."""
    for colour in ("0", "1", "32"):
        text = text.replace(f"\x1b[{colour}m", "")
    assert [c for c in text if not (c.isprintable() or c in "\n\t")] == []


def make_named(name: str) -> Any:
    """Return a tensor of a class with a name."""
    cls: Any = type(name, (torch.Tensor,), {})
    return torch.ones(2, requires_grad=True).as_subclass(cls)


def run_in_file(filename: str, source: str, **variables: Any) -> None:
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        exec(compile(source, filename, "exec"), {"__name__": "told", **variables})
    finally:
        linecache.cache.pop(filename)


def test_terminals_are_told_nothing_by_an_explanation() -> None:
    for filename in (f"/tmp/{ESC}\n.py", "/tmp/plain.py"):
        with pytest.raises(safe_numpy.ConversionError) as caught:
            run_in_file(filename, "d['k'].numpy()", d={"k": make_named(f"Class{ESC}")})
        diagnosis = caught.value.diagnosis
        assert diagnosis is not None
        message = diagnosis.compose()
        for text in (message.to_text(), message.to_ansi(), message.to_html()):
            assert_tame(text)
            assert SHOWN in text
    assert_tame(str(safe_numpy.diagnose(make_named("a\x1b[31m"), "x\x1b[31m")))


def test_terminals_are_told_nothing_by_a_warning_or_a_report(tmp_path: Path) -> None:
    safe_numpy.report(reset=True)
    with warnings.catch_warnings(record=True) as caught, safe_numpy.mode("permissive"):
        warnings.simplefilter("always")
        run_in_file(f"/tmp/{ESC}.py", "x.numpy()", x=make_named(f"Class{ESC}"))
    assert [SHOWN in str(w.message) for w in caught] == [True]
    assert_tame(str(caught[0].message))
    report = safe_numpy.report(reset=True)
    for text in (str(report), report._repr_html_()):
        assert_tame(text)
        assert SHOWN in text


def test_terminals_are_told_nothing_by_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "file": f"{ESC}.py", "line": 3, "function": ESC, "causes": [ESC], "names": [f"x{ESC}"], "libraries": [ESC],
        "count": 1, "count_explicit": 1, "bytes": 0, "bytes_allocated": 0, "moved_from": {ESC: 3}, "seconds": 0.5,
        "first": 1.0, "last": 2.0, "fix": f"x{ESC}\nprint(1)", "edits": [], "obstacle": "", "file_digest": "",
    }  # fmt: skip
    plain = {"format": "safe_numpy ledger", "version": 1, "processes": [], "rows": [row]}
    ledger = tmp_path / "ledger\x1b[2J.json"
    ledger.write_text(json.dumps(plain))
    assert cli.main(["report", str(ledger)]) == 0
    assert cli.main(["fix", str(ledger)]) == 1
    ledger.write_text("{")
    assert cli.main(["report", str(ledger)]) == 2
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert_tame(text)
        assert r"\x1b" in text


def test_controls_are_shown() -> None:
    assert show_controls("a\tb\nc é 漢") == "a\tb\nc é 漢"
    assert show_controls("\x00\x7f\x85\u2028\udc80") == r"\x00\x7f\x85\u2028\udc80"
    assert name_place("/tmp/a\nb", 3) == r"/tmp/a\nb:3".replace(r"\n", r"\x0a")


@pytest.mark.parametrize("scope", [{}, {"__name__": None}, {"__name__": 3}])
def test_code_without_a_name_is_warned_of(scope: dict[str, Any]) -> None:
    code, x = compile("x.numpy()", "<made>", "exec"), torch.ones(2, requires_grad=True)
    with safe_numpy.mode("permissive"), pytest.warns(safe_numpy.ConversionWarning, match="became a NumPy array"):
        exec(code, {**scope, "x": x})


@pytest.mark.parametrize("before", ["'a\fb'", "'a\x1cb\x85c\u2028d'", "1\n\f"])
def test_a_form_feed_ends_no_line(tmp_path: Path, before: str) -> None:
    file = tmp_path / "old.py"
    file.write_text(f"a = {before}\n\fdef convert(w):\n    b = 0\n    return w.numpy()\n", encoding="utf-8")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), scope)
    with pytest.raises(safe_numpy.GradError) as caught:
        scope["convert"](torch.ones(2, requires_grad=True))
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.site is not None
    assert caught.value.diagnosis.site.source == "return w.numpy()"


def test_a_subclass_is_not_explained_twice() -> None:
    class Shy(torch.Tensor):
        @property
        def requires_grad(self) -> bool:  # type: ignore[override]
            raise KeyError("no")

    x = torch.ones(2, requires_grad=True).as_subclass(Shy)
    with pytest.raises(RuntimeError) as caught:
        x.numpy()
    assert caught.value.__notes__ == ["safe_numpy could not explain this (KeyError: 'no')"]
