"""What a program, its sources and its surroundings may do to us: the stock error or the right array comes out."""

from __future__ import annotations

import ctypes
import functools
import importlib
import json
import linecache
import operator
import os
import pickle
import signal
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tally
import torch
from processes import launch

import safe_numpy
from safe_numpy.guard import convert, guard
from safe_numpy.ledger.ledger import LEDGER

MODES = ("explain", "permissive", "strict")
VALUES = [1.0, -2.0, 0.5]


def make() -> torch.Tensor:
    return torch.tensor(VALUES, requires_grad=True) * 1


def convert_by(mode: str, ask: Callable[[], Any]) -> Any:
    """Return the array that permissive mode gives, or the error that the others raise; that it is right, is checked."""
    tally.count()
    with safe_numpy.mode(mode), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        if mode == "permissive":
            array = ask()
            np.testing.assert_array_equal(np.ravel(array)[:3], VALUES)
            return array
        with pytest.raises(safe_numpy.GradError) as caught:
            ask()
    text = str(caught.value)
    assert text.startswith("Can't call numpy() on Tensor that requires grad")
    assert "cannot become a NumPy array, for 1 reason" in text
    assert not hasattr(caught.value, "__notes__")
    return caught.value


# classes


class Unhashable(type):
    """A metaclass with an equality of its own, and so without a hash."""

    def __eq__(cls, other: object) -> bool:
        return cls is other


class Endless:
    """Every question leads to the same question."""

    def __getattribute__(self, name: str) -> Any:
        return getattr(self, name)

    def __repr__(self) -> str:
        return repr(self)

    def __len__(self) -> int:
        return len(self)

    def __eq__(self, other: object) -> bool:
        return bool(self == other)

    def __hash__(self) -> int:
        return hash(self)

    def __bool__(self) -> bool:
        return not self


def leave(*given: Any, **named: Any) -> Any:
    os._exit(3)


LETHAL = type(
    "Lethal", (), dict.fromkeys(("__getattr__", "__repr__", "__len__", "__eq__", "__hash__", "__bool__"), leave)
)


class Liar:
    """It says that it is a tensor."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return torch.Tensor

    requires_grad, dtype, shape, device, layout = True, torch.float32, (3,), torch.device("cuda"), torch.strided


OBJECTS: dict[str, Callable[[], Any]] = {
    "endless": Endless,
    "lethal": LETHAL,
    "liar": Liar,
    "unhashable": lambda: Unhashable("Plain", (), {})(),
    "an unhashable class": lambda: Unhashable("Plain", (), {}),
    "a long name": lambda: type("A" * 1_000_000, (), {})(),
    "controls in its name": lambda: type("\x1b[2J\u202e\r", (), {})(),
    "an unhashable module": lambda: Unhashable("Net", (torch.nn.Linear,), {})(2, 2),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_beside_the_tensor(kind: str, mode: str) -> None:
    thing, x = OBJECTS[kind](), make()
    holder, both = [thing, x], {"thing": thing, "x": x}

    def pick(*given: Any, **named: Any) -> Any:
        return x.numpy()

    convert_by(mode, lambda: pick(thing, x, thing=thing))
    convert_by(mode, lambda: pick(holder, both))
    convert_by(mode, lambda: np.asarray(both["x"]))
    convert_by(mode, lambda: next(np.asarray(v) for v in (thing, x) if v is x))


@pytest.mark.parametrize("kind", ["liar", "unhashable", "an unhashable class", "a long name", "an unhashable module"])
def test_nestings_with_objects(kind: str) -> None:
    thing, x = OBJECTS[kind](), make()
    tally.count()
    converted = safe_numpy.to_numpy({"thing": [thing], "x": x})
    assert converted["thing"][0] is thing
    assert converted["x"].tolist() == VALUES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["A" * 1_000_000, "\x1b]0;owned\x07\u202e", "a\nb", "{x}", "%s", "é漢"])
def test_names_of_tensor_classes(name: str, mode: str) -> None:
    cls: Any = type(name, (torch.Tensor,), {})
    x = make().as_subclass(cls)
    found = convert_by(mode, lambda: x.numpy())
    if mode != "permissive":
        assert len(str(found)) < 5000
        assert str(found).encode()


@pytest.mark.parametrize("mode", MODES)
def test_a_tensor_class_without_a_hash(mode: str) -> None:
    class Meta(type(torch.Tensor)):  # type: ignore[misc]
        def __eq__(cls, other: object) -> bool:
            return cls is other

    class Mine(torch.Tensor, metaclass=Meta):
        pass

    convert_by(mode, lambda: make().as_subclass(Mine).numpy())
    with safe_numpy.mode(mode):
        assert torch.tensor(VALUES).as_subclass(Mine).numpy().tolist() == VALUES


# sources


def run_source(source: str | bytes, file: Path, change: Callable[[Path], object] = lambda file: None) -> Any:
    """Compile a file as Python does, change it, and return its function `work`."""
    content = source.encode() if isinstance(source, str) else source
    file.write_bytes(content)
    scope: dict[str, Any] = {"__name__": "attacked", "np": np}
    exec(compile(content, str(file), "exec"), scope)
    linecache.checkcache(str(file))
    change(file)
    return scope["work"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda file: None,
    "gone": Path.unlink,
    "empty": lambda file: file.write_text(""),
    "other code": lambda file: file.write_text("import os\n\ndef work(x):\n    return os.system(x)\n"),
    "shifted": lambda file: file.write_text("\n\n\n" + file.read_text()),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-9]),
    "binary": lambda file: file.write_bytes(bytes(range(256)) * 40),
    "no Python": lambda file: file.write_text("def work(x:\n" * 100),
    "zeros": lambda file: file.write_bytes(b"\0" * 1000),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a loop": lambda file: (file.unlink(), file.symlink_to(file)),
    "deep": lambda file: file.write_text("x = " + "(" * 3000 + ")" * 3000 + "\n" + "-" * 50_000 + "1\n"),
    "another coding": lambda file: file.write_bytes(b"# coding: utf-7\n" + file.read_bytes()),
    "no coding": lambda file: file.write_bytes(b"# coding: \xff\xfe\n" + file.read_bytes()),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", CHANGES)
def test_sources_that_change(change: str, mode: str, tmp_path: Path) -> None:
    work = run_source("\n\ndef work(x):\n    return np.asarray(x)\n", tmp_path / "program.py", CHANGES[change])
    convert_by(mode, lambda: work(make()))


ENCODED = {
    "latin-1": "# coding: latin-1\ndef work(x, ü='ä'):\n    return np.asarray(x), 'ö'\n".encode("latin-1"),
    "cp1252": "# -*- coding: cp1252 -*-\ndef work(x):\n    '€'; return np.asarray(x), '–'\n".encode("cp1252"),
    "utf-8 with a mark": b"\xef\xbb\xbfdef work(x):\n    return np.asarray(x), 0\n",
    "shift_jis": "# coding: shift_jis\ndef work(x):\n    return np.asarray(x), '表'\n".encode("shift_jis"),
    "carriage returns": b"def work(x):\r    return np.asarray(x), 0\r",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("encoding", ENCODED)
def test_sources_in_other_encodings(encoding: str, mode: str, tmp_path: Path) -> None:
    work = run_source(ENCODED[encoding], tmp_path / "program.py")
    found = convert_by(mode, lambda: work(make())[0])
    if mode != "permissive":
        assert "return np.asarray(x.detach().numpy()), " in found.diagnosis.shown


@pytest.mark.parametrize("mode", MODES)
def test_a_source_in_two_bytes_a_character(mode: str, tmp_path: Path) -> None:
    """Python itself takes none such: it can only be what stands there by the time that it is read."""
    text = "def work(x):\n    return np.asarray(x)\n"
    work = run_source(text, tmp_path / "program.py", lambda file: file.write_bytes(text.encode("utf-16")))
    convert_by(mode, lambda: work(make()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [10_000, 1_000_000])
def test_long_lines(length: int, mode: str, tmp_path: Path) -> None:
    begun = time.process_time()
    work = run_source(f"def work(x):\n    a = '{'a' * length}'; return np.asarray(x)\n", tmp_path / "program.py")
    found = convert_by(mode, lambda: work(make()))
    assert time.process_time() - begun < 5
    if mode != "permissive":
        assert len(str(found)) < 5000, "nobody reads a megabyte"


@pytest.mark.parametrize("mode", MODES)
def test_sources_in_a_zip_file(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, name = tmp_path / "code.zip", f"zipped_for_{mode}"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(f"{name}.py", "import numpy as np\ndef work(x):\n    return np.asarray(x)\n")
    monkeypatch.syspath_prepend(str(archive))
    work = importlib.import_module(name).work
    found = convert_by(mode, lambda: work(make()))
    assert mode == "permissive" or found.diagnosis.shown == "return np.asarray(x.detach().numpy())"
    archive.unlink()
    linecache.cache.pop(work.__code__.co_filename, None)
    convert_by(mode, lambda: work(make()))


WARNING = "import numpy as np\ndef work(x):\n    s = '\\d'; return np.asarray(x), 1if x is 1 else 2\n"
READING = """
import sys, warnings
import torch, safe_numpy
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import warns
warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
before = list(warnings.filters)
x = torch.ones(2, requires_grad=True)
try:
    warns.work(x)
except RuntimeError as error:
    print(error.diagnosis.shown)
with safe_numpy.mode("permissive"):
    warns.work(x)
print(safe_numpy.report().rows[0]["fix"], warnings.filters == before)
"""


@pytest.mark.parametrize("filters", ["always", "error", "default"])
def test_sources_that_warn(filters: str, tmp_path: Path) -> None:
    """Whoever compiled a program has shown its warnings: to read it shows none, and none stops us."""
    (tmp_path / "warns.py").write_text(WARNING)
    done = launch(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{READING}", "-W", f"{filters}::SyntaxWarning",
                  "-W", f"{filters}::DeprecationWarning:__main__")  # fmt: skip
    shown = "return np.asarray(x.detach().numpy()), 1if x is 1 else 2"
    assert (done.stdout, done.stderr) == (f"{shown}\n{shown} True\n", "")
    tally.count(2)


FILENAMES = [
    "<string>",
    "",
    "<>",
    "\ud800.py",
    "a\0b.py",
    "x" * 5000,
    "/dev/null",
    "/proc/self/mem",
    "\x1b[2J",
    "<frozen x>",
    ".",
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("filename", FILENAMES)
def test_code_without_a_file(filename: str, mode: str) -> None:
    for scope in (
        {},
        {"__name__": None},
        {"__loader__": Endless(), "__name__": "x"},
        {"__file__": 3, "__spec__": Liar()},
    ):
        try:
            code = compile("found = np.asarray(x)", filename, "exec")
        except (ValueError, UnicodeEncodeError):  # Python takes no such name
            code = compile("found = np.asarray(x)", "<string>", "exec").replace(co_filename=filename)

        def work(code: Any = code, scope: Any = scope) -> Any:
            scope |= {"np": np, "x": make()}
            exec(code, scope)
            return scope["found"]

        convert_by(mode, work)


# callers


def call_by_ctypes(x: torch.Tensor) -> Any:
    found: list[Any] = []

    @ctypes.CFUNCTYPE(None)
    def call() -> None:
        try:
            found.append(x.numpy())
        except RuntimeError as error:  # ctypes would print it
            found.append(error)

    call()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def call_by_sort(x: torch.Tensor) -> Any:
    found: list[Any] = []
    sorted([1, 2], key=lambda n: found.append(x.numpy()) or n)  # type: ignore[func-returns-value]
    return found[0]


def call_by_generator(x: torch.Tensor) -> Any:
    def give() -> Iterator[Any]:
        yield np.asarray(x)

    return next(give())


CALLERS: dict[str, Callable[[torch.Tensor], Any]] = {
    "map": lambda x: next(map(np.asarray, [x])),
    "map of a method": lambda x: next(map(torch.Tensor.numpy, [x])),
    "partial": lambda x: functools.partial(np.asarray, x)(),
    "methodcaller": lambda x: operator.methodcaller("numpy")(x),
    "attrgetter": lambda x: operator.attrgetter("numpy")(x)(),
    "reduce": lambda x: functools.reduce(lambda a, f: f(a), [np.asarray], x),
    "vectorize": lambda x: np.vectorize(lambda i: x.numpy()[i])(np.arange(3)),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: x.numpy(), 0, np.ones(3)),
    "fromiter": lambda x: np.fromiter((v for v in (x.numpy() for _ in [0]).__next__()), float),
    "ctypes": call_by_ctypes,
    "sort": call_by_sort,
    "generator": call_by_generator,
    "exec": lambda x: eval("np.asarray(x)", {"np": np, "x": x}),
    "getattr": lambda x: getattr(x, "".join(["num", "py"]))(),
    "__array__": lambda x: x.__array__(),
    "unbound": lambda x: torch.Tensor.numpy(x),
    "loop": lambda x: next(f(x) for f in [np.asarray]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("caller", CALLERS)
def test_callers_in_c(caller: str, mode: str) -> None:
    x = make()
    convert_by(mode, lambda: CALLERS[caller](x))


@pytest.mark.parametrize("mode", MODES)
def test_generators_resumed_in_other_threads(mode: str) -> None:
    def give(x: torch.Tensor) -> Iterator[Any]:
        for _ in range(20):
            yield functools.partial(convert_by, mode, x.numpy)

    steps, failed = give(make()), []

    def step() -> None:
        try:
            next(steps)()
        except BaseException as error:
            failed.append(error)

    for _ in range(20):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert not failed


# when it is read


def fail() -> safe_numpy.GradError:
    try:
        make().numpy()
    except safe_numpy.GradError as error:
        return error
    raise AssertionError("no error")


def assert_told(error: BaseException) -> None:
    tally.count()
    assert "cannot become a NumPy array, for 1 reason" in str(error)
    assert safe_numpy.why(error)


def test_errors_read_elsewhere() -> None:
    """In a finalizer, a signal handler, another thread, and after a journey through pickle."""
    read: list[BaseException] = []

    class Reader:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __del__(self) -> None:
            assert_told(self.error)
            read.append(self.error)

    Reader(fail())
    error = fail()
    previous = signal.signal(signal.SIGUSR1, lambda *_: (assert_told(error), read.append(error)))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    thread = threading.Thread(target=lambda: (assert_told(error), read.append(error)))
    thread.start()
    thread.join()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copied = pickle.loads(pickle.dumps(fail(), protocol))
        assert_told(copied)
        assert copied.diagnosis.problems[0].cause == "grad"
    assert len(read) == 3


END = """
import atexit, sys
import torch, safe_numpy
try:
    torch.ones(2, requires_grad=True).numpy()
except RuntimeError as caught:
    error = caught

class Last:
    def __del__(self, error=error, print=print, str=str, len=len):
        print("del", len(str(error)) > 80)

atexit.register(lambda: print("atexit", "for 1 reason" in str(error), bool(safe_numpy.why(error))))
kept = Last()
"""


def test_errors_read_at_the_end() -> None:
    done = launch(END)
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (["atexit True True", "del True"], "", 0)
    tally.count(2)


# surroundings

SPOILT = """
import warnings, sys
warnings.simplefilter("ignore", UserWarning)
import torch, safe_numpy
print(torch.ones(2, requires_grad=True).numpy().tolist())
sys.exit(5)
"""


@pytest.mark.parametrize(
    "where", ["/dev/full", "a folder", "no folder", "a file below a file", "a surrogate", "long", "a loop"]
)
def test_ledgers_that_cannot_be_written(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    paths = {
        "/dev/full": "/dev/full",
        "a folder": str(tmp_path),
        "no folder": "/proc/none/ledger.json",
        "a file below a file": str(tmp_path / "file" / "ledger.json"),
        "a surrogate": str(tmp_path / "a\udcff.json"),
        "long": str(tmp_path / ("x" * 250)),
        "a loop": str(tmp_path / "loop"),
    }
    tally.count()
    done = launch(SPOILT, SAFE_NUMPY="permissive", SAFE_NUMPY_REPORT=paths[where])
    assert (done.stdout, done.returncode) == ("[1.0, 1.0]\n", 5), done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept"
    written = {"a folder": 1, "a surrogate": 1, "long": 1}.get(where, 0)
    assert len([f for f in tmp_path.iterdir() if f.name not in ("file", "loop")]) == written
    assert bool(written) or "the report could not be written" in done.stderr


def test_threads_that_write_one_ledger(tmp_path: Path) -> None:
    failed: list[BaseException] = []
    report, file = safe_numpy.report(), tmp_path / "ledger.json"

    def write() -> None:
        try:
            for _ in range(20):
                report.to_json(file)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.count(200)
    assert failed == []
    assert [f.name for f in tmp_path.iterdir()] == ["ledger.json"]
    assert json.loads(file.read_text())["rows"] == []


def test_threads_that_convert_at_once() -> None:
    """A hundred of them: every conversion is counted, and every value is right."""
    LEDGER.clear()
    wrong: list[Any] = []
    gate = threading.Barrier(100)
    tensors = [torch.full((3,), float(i), requires_grad=True) for i in range(100)]

    def work(i: int) -> None:
        gate.wait()
        for _ in range(50):
            if tensors[i].numpy().tolist() != [float(i)] * 3:
                wrong.append(i)
            if np.asarray(tensors[i]).tolist() != [float(i)] * 3:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(100)]
    safe_numpy.set_mode("permissive")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    tally.count(10_000)
    totals = safe_numpy.report(reset=True).totals
    assert (wrong, totals["count"], totals["count_explicit"]) == ([], 10_000, 5_000)
    assert totals["bytes"] == 10_000 * 12


@pytest.mark.parametrize("mode", MODES)
def test_no_room_on_the_stack(mode: str) -> None:
    x = make()

    def descend(depth: int) -> Any:
        return descend(depth - 1) if depth else x.numpy()

    limit, answers = sys.getrecursionlimit(), set()
    with safe_numpy.mode(mode), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        for depth in range(limit - 90, limit - 10):
            tally.count()
            try:
                answers.add(tuple(descend(depth).tolist()))
            except RuntimeError as error:  # RecursionError is one
                answers.add(type(error).__name__)
                str(error)
    assert answers <= {"RecursionError", "GradError", "RuntimeError"} | (
        {tuple(VALUES)} if mode == "permissive" else set()
    )
    convert_by(mode, lambda: x.numpy())


INSIDES = [
    (guard, "examine"), (guard, "find_direct_caller"), (guard, "find_caller"), (guard, "make_error"),
    (guard, "convert"), (convert, "find_caller"), (convert, "make_diagnosis"), (convert, "warn_at"),
    (convert, "read_source"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [MemoryError, KeyboardInterrupt, SystemExit, RecursionError, GeneratorExit, OSError])
@pytest.mark.parametrize(("module", "name"), INSIDES, ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.parametrize("mode", MODES)
def test_errors_inside_our_own_code(mode: str, module: Any, name: str, kind: type[BaseException]) -> None:
    x = make().bfloat16() if mode == "permissive" else make()
    LEDGER.clear()
    broken = mock.Mock(side_effect=kind("inside"))
    with mock.patch.object(module, name, broken), safe_numpy.mode(mode), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        try:
            x.numpy()
        except BaseException as error:
            came_out: Any = error
        else:
            came_out = None
    tally.count()
    if broken.called and not issubclass(kind, Exception):
        assert isinstance(came_out, kind), "an interrupt is the user's"
    elif came_out is not None:
        assert type(came_out).__name__ in ("RuntimeError", "GradError")
    assert not convert.INSIDE.busy
    assert not convert.CLAIMS._held
    convert_by(mode, lambda: make().numpy())


def test_forks_in_the_middle() -> None:
    """A child is forked while we look at a tensor, with every lock of the moment: it converts, and ends."""
    x, pids = make(), []

    class Forking(torch.Tensor):
        @property
        def requires_grad(self) -> bool:  # type: ignore[override]
            if not pids:
                pids.append(os.fork())
            return True

    def work(mode: str) -> None:
        pids.clear()
        with LEDGER._lock:
            try:
                convert_by(mode, lambda: make().as_subclass(Forking).requires_grad and x.numpy())
                convert_by(mode, lambda: x.numpy())
            finally:
                if pids == [0]:
                    os._exit(0 if sys.exc_info()[0] is None else 1)

    for mode in MODES:
        work(mode)
        assert os.waitpid(pids[0], 0)[1] == 0


# TensorFlow


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_beside_a_symbolic_tensor(kind: str) -> None:
    tf = pytest.importorskip("tensorflow", reason="SAFE_NUMPY_TEST_FRAMEWORKS leaves it out")
    thing = OBJECTS[kind]()

    @tf.function(autograph=False)
    def step(x: Any) -> Any:
        holder = [thing, x]
        return np.asarray(holder[1])

    tally.count()
    with pytest.raises(NotImplementedError) as caught:
        step(tf.constant(VALUES))
    assert "cannot become a NumPy array" in str(caught.value)
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    assert safe_numpy.to_numpy([thing, ragged])[0] is thing if kind not in ("endless", "lethal") else True


@pytest.mark.parametrize("change", CHANGES)
def test_sources_of_traced_functions_that_change(change: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="SAFE_NUMPY_TEST_FRAMEWORKS leaves it out")
    work = run_source("\n\ndef work(x):\n    return np.asarray(x)\n", tmp_path / "program.py", CHANGES[change])
    tally.count()
    with pytest.raises(NotImplementedError) as caught:
        tf.function(work, autograph=False)(tf.constant(VALUES))
    assert "cannot become a NumPy array" in str(caught.value)
