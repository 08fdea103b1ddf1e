"""When and where the guard is put in place, and taken off again: in every order, in processes of their own."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
import torch
from processes import launch, run
from versions import newer_torch

import safe_numpy
from safe_numpy.patching import PatchStack, Target

EXPLAINED = """
def explained():
    import torch
    try:
        torch.ones(2, requires_grad=True).numpy()
    except RuntimeError as error:
        return type(error).__name__ == "GradError"
"""


def test_importing_it_imports_no_framework() -> None:
    heavy = ("torch", "tensorflow", "keras", "numpy", "IPython", "optree", "asttokens", "executing", "pure_eval")
    out = run(f"import sys, safe_numpy; print([m for m in {heavy!r} if m in sys.modules], safe_numpy.is_installed())")
    assert out == "[] True\n"


@pytest.mark.parametrize("order", ["safe_numpy, torch", "torch, safe_numpy", "torch.nn, safe_numpy"])
def test_import_order_does_not_matter(order: str) -> None:
    assert run(f"import {order}\n{EXPLAINED}\nprint(explained())") == "True\n"


def test_a_torch_that_fails_to_import_says_so_itself(tmp_path: Any) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libtorch is broken')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import safe_numpy; import torch"
    done = launch(program)
    assert done.stderr.endswith("OSError: libtorch is broken\n")
    assert "safe_numpy" not in done.stderr.splitlines()[-1]


def test_a_torch_that_is_no_torch_is_imported_with_a_warning(tmp_path: Any) -> None:
    (tmp_path / "torch.py").write_text("answer = 42")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import safe_numpy; import torch; print(torch.answer)"
    done = launch(program)
    assert done.stdout == "42\n"
    assert "safe_numpy does not guard torch" in done.stderr


def test_off_at_import_leaves_the_framework_untouched_until_somebody_asks() -> None:
    out = run(
        EXPLAINED
        + """
import safe_numpy, torch
print("numpy" in vars(torch.Tensor), safe_numpy.is_installed(), explained())
safe_numpy.set_mode("off")
print("numpy" in vars(torch.Tensor))
with safe_numpy.mode("explain"):
    print("numpy" in vars(torch.Tensor), explained())
print(explained())
""",
        SAFE_NUMPY="off",
    )
    assert out == "False False False\nFalse\nTrue True\nFalse\n"


def test_off_at_import_and_then_uninstalled_stays_so() -> None:
    out = run(
        """
        import safe_numpy, torch
        safe_numpy.uninstall()
        safe_numpy.set_mode("explain")
        print("numpy" in vars(torch.Tensor), safe_numpy.is_installed())
        """,
        SAFE_NUMPY="off",
    )
    assert out == "False False\n"


def test_uninstall_restores_the_class_dictionary_exactly() -> None:
    out = run("""
        import torch
        before = dict(vars(torch.Tensor))
        import safe_numpy
        assert dict(vars(torch.Tensor)) != before
        for _ in range(3):
            safe_numpy.install(); safe_numpy.install()
            safe_numpy.uninstall(); safe_numpy.uninstall()
            after = dict(vars(torch.Tensor))
            assert list(after) == list(before) and all(after[k] is before[k] for k in before)
            assert not safe_numpy.is_installed()
        print("exact")
    """)
    assert out == "exact\n"


def test_uninstall_before_the_framework_comes() -> None:
    out = run(f"""
import safe_numpy
safe_numpy.uninstall()
import torch
print("numpy" in vars(torch.Tensor))
safe_numpy.install()
{EXPLAINED}
print(explained())
""")
    assert out == "False\nTrue\n"


@pytest.mark.parametrize(
    "again",
    [
        "import importlib; importlib.reload(safe_numpy)",
        "import importlib; [importlib.reload(m) for n, m in sorted(sys.modules.items()) if n.startswith('safe_numpy')]",
        "for n in [n for n in sys.modules if n.startswith('safe_numpy')]: del sys.modules[n]\nimport safe_numpy",
    ],
    ids=["reload", "reload of every module", "second copy"],
)
def test_undo_is_exact_after_a_second_import(again: str) -> None:
    out = run(f"""
import sys, torch
before = dict(vars(torch.Tensor))
import safe_numpy
first = safe_numpy
{again}
{EXPLAINED}
assert explained()
import safe_numpy
safe_numpy.uninstall()
first.uninstall()
after = dict(vars(torch.Tensor))
assert list(after) == list(before) and all(after[k] is before[k] for k in before), set(after) ^ set(before)
torch.ones(2).numpy()
print("exact")
""")
    assert out == "exact\n"


def test_a_copy_under_another_name_takes_over(tmp_path: Any) -> None:
    import shutil
    from pathlib import Path

    source = Path(safe_numpy.__file__).parent
    target = tmp_path / "vendored_numpy"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    for file in target.rglob("*.py"):
        file.write_text(file.read_text().replace("safe_numpy", "vendored_numpy"))
        file.write_text(file.read_text().replace("__vendored_numpy_patch__", "__safe_numpy_patch__"))
    out = run(f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import torch
        before = dict(vars(torch.Tensor))
        import safe_numpy, vendored_numpy
        try:
            torch.ones(2, requires_grad=True).numpy()
        except RuntimeError as error:
            print(type(error).__module__, str(error).count("cannot become"))
        vendored_numpy.uninstall()
        safe_numpy.uninstall()
        after = dict(vars(torch.Tensor))
        assert list(after) == list(before) and all(after[k] is before[k] for k in before)
        print("exact")
    """)
    assert out == "vendored_numpy 1\nexact\n"


def test_somebody_elses_later_patch_stays() -> None:
    stock = torch._C.TensorBase.numpy
    ours = torch.Tensor.numpy
    calls = []

    def theirs(self: torch.Tensor, **kwargs: Any) -> Any:
        calls.append(1)
        return ours(self, **kwargs)

    torch.Tensor.numpy = theirs  # type: ignore[method-assign]
    try:
        with pytest.warns(RuntimeWarning, match=r"another library has patched torch.Tensor.numpy on top"):
            safe_numpy.uninstall()
        assert vars(torch.Tensor)["numpy"] is theirs
        with pytest.raises(RuntimeError) as caught:
            torch.ones(2, requires_grad=True).numpy()
        assert type(caught.value) is RuntimeError, "what is left of the guard lets everything through"
        assert calls
    finally:
        del torch.Tensor.numpy
    assert torch.Tensor.numpy is stock
    safe_numpy.install()


def test_somebody_elses_earlier_patch_comes_back() -> None:
    class Base:
        def numpy(self) -> str:
            return "stock"

    class Owner(Base):
        pass

    stack = PatchStack()

    def wrap(stock: Any) -> Any:
        return lambda self: f"guarded {stock(self)}"

    stack.apply([Target(Owner, "numpy", wrap)])
    assert Owner().numpy() == "guarded stock"
    assert stack.undo() == []
    assert "numpy" not in vars(Owner)

    def theirs(self: Owner) -> str:
        return "theirs"

    Owner.numpy = theirs  # type: ignore[method-assign]
    stack.apply([Target(Owner, "numpy", wrap)])
    assert Owner().numpy() == "guarded theirs"
    assert stack.undo() == []
    assert vars(Owner)["numpy"] is theirs


def test_all_patches_or_none() -> None:
    class Owner:
        def numpy(self) -> str:
            return "stock"

    before = dict(vars(Owner))

    def fail(stock: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        PatchStack().apply([Target(Owner, "numpy", lambda s: lambda self: "guarded"), Target(Owner, "numpy", fail)])
    assert dict(vars(Owner)) == before


@newer_torch
def test_the_method_stays_a_method() -> None:
    assert torch.Tensor.numpy is torch.Tensor.numpy
    assert pickle.loads(pickle.dumps(torch.Tensor.numpy)) is torch.Tensor.numpy
    assert torch.Tensor.numpy.__doc__ == torch._C.TensorBase.numpy.__doc__
    assert torch.Tensor.numpy.__name__ == "numpy"
    assert str(inspect.signature(torch.Tensor.numpy)) == "(self, *, force=False)"
    assert str(inspect.signature(torch.Tensor.__dlpack__)).startswith("(self, *, stream")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((), {"force": False}),
        ((), {"force": True}),
        ((), {"force": 1}),
        ((), {"force": None}),
        ((), {"force": "yes"}),
        ((True,), {}),
        ((False,), {}),
        ((None,), {}),
        ((True,), {"force": False}),
        ((), {"forse": True}),
        ((), {"_positional": 1}),
    ],
)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_arguments_are_those_of_stock(args: Any, kwargs: Any, requires_grad: bool) -> None:
    x = torch.ones(2, requires_grad=requires_grad)

    def outcome(function: Any) -> Any:
        try:
            return function(x, *args, **kwargs).tolist()
        except Exception as error:
            return isinstance(error, TypeError), isinstance(error, RuntimeError)

    assert outcome(torch.Tensor.numpy) == outcome(torch._C.TensorBase.numpy)


def test_bad_arguments_are_not_explained_away() -> None:
    with safe_numpy.mode("permissive"), pytest.raises(TypeError, match="must be bool"):
        torch.ones(2, requires_grad=True).numpy(force=1)  # type: ignore[arg-type]


def test_only_their_own_files_import_a_framework() -> None:
    out = run("""
        import sys, pkgutil, importlib, safe_numpy
        for m in pkgutil.walk_packages(safe_numpy.__path__, "safe_numpy."):
            # those are loaded once their framework, IPython or pytest is there
            if ".frameworks." not in m.name and not m.name.endswith((".ipython", "_plugin", "__main__")):
                importlib.import_module(m.name)
        print([m for m in ("torch", "numpy", "tensorflow", "IPython") if m in sys.modules])
    """)
    assert out == "[]\n"
