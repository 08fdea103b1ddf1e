"""The versions that are supported: `nox` runs what this machine can install, `nox -s SESSION` one of them.

    .venv-bench/bin/nox -s numpy1_wrapt1

Run on 2026-11-21: the sessions of RUN_HERE; by hand `torches` with 2.4.0 and 2.8.0, and the tests of TensorFlow with
2.16.2. On 2026-11-26, by hand: what `pythons` and `xla` run; see the table of versions in docs/evidence.md.
torch's wheel brings some 3 GB of CUDA libraries, which it does not load without.
"""

from __future__ import annotations

import nox

RUN_HERE = ("newest", "numpy1_wrapt1", "torch_only", "tensorflow_only", "neither")
nox.options.sessions = RUN_HERE
nox.options.default_venv_backend = "venv"

TORCH, TENSORFLOW = "torch==2.13.0", "tensorflow-cpu==2.21.0"
TORCH_NEEDS = ("filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec")
TORCH_LOADS = (
    *("cuda-toolkit==13.0.3", "nvidia-cudnn-cu13==9.20.0.48", "nvidia-cusparselt-cu13==0.8.1"),
    *("nvidia-nccl-cu13==2.29.7", "nvidia-nvshmem-cu13==3.4.5", "nvidia-cublas", "nvidia-cuda-runtime"),
    *("nvidia-cufft", "nvidia-cufile", "nvidia-cuda-cupti", "nvidia-curand", "nvidia-cusolver", "nvidia-cusparse"),
    *("nvidia-nvjitlink", "nvidia-cuda-nvrtc", "nvidia-nvtx"),
)
"""the libraries that its extension is linked to, a GPU or not"""
NEITHER = "import safe_numpy as s; print(s.to_numpy([1, 'a']), s.get_mode().value, len(s.report().rows)); import numpy"
TENSORFLOW_ALONE = """
import safe_numpy, tensorflow as tf

@tf.function
def step(x):
    return x.numpy()

try:
    step(tf.constant([1.0]))
except safe_numpy.ConversionError as error:
    assert "`x` cannot become a NumPy array" in str(error), error
    print(error)
x = tf.sparse.from_dense([[0, 2], [3, 0]])
with safe_numpy.mode("permissive"):
    assert x.numpy().tolist() == [[0, 2], [3, 0]]
assert safe_numpy.to_numpy({"x": [x]})["x"][0].tolist() == [[0, 2], [3, 0]]
"""


def run_tests(session: nox.Session, *packages: str, frameworks: str = "torch,tensorflow") -> None:
    session.install("--constraint", "constraints.txt", *[p for p in packages if p.startswith(("torch", "tensorflow"))])
    session.install("--constraint", "constraints.txt", "--editable", ".[test]", *packages)
    session.run(
        *("python", "-m", "pytest", "-q", "--numprocesses", "2", *session.posargs),
        env={"SAFE_NUMPY_TEST_FRAMEWORKS": frameworks},
    )


@nox.session
def newest(session: nox.Session) -> None:
    """What `make test` installs."""
    run_tests(session, TORCH, TENSORFLOW, "numpy>=2", "wrapt>=2")


@nox.session
def numpy1_wrapt1(session: nox.Session) -> None:
    """The oldest NumPy and a wrapt of before 2."""
    run_tests(session, TORCH, TENSORFLOW, "numpy==1.26.4", "wrapt<2")


@nox.session
def torch_only(session: nox.Session) -> None:
    """No TensorFlow: its tests must not be needed."""
    run_tests(session, TORCH, frameworks="torch")


@nox.session(python=["3.11", "3.12", "3.13"])
def tensorflow_only(session: nox.Session) -> None:
    """No torch, which the tests need: a program that has an error explained, and converts, on every Python."""
    session.install("--constraint", "constraints.txt", "--editable", ".", TENSORFLOW)
    session.run("python", "-c", TENSORFLOW_ALONE)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def neither(session: nox.Session) -> None:
    """No framework at all: the package imports, and has nothing to do."""
    session.install("--editable", ".", "numpy")
    session.run("python", "-W", "error", "-c", NEITHER)


@nox.session(python=["3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """Newer Pythons, with torch as PyPI has it: of what it depends on, only what is needed to load it."""
    session.install("--no-deps", TORCH, *TORCH_LOADS)
    session.install(*TORCH_NEEDS)
    frameworks = ["torch"] if session.python == "3.14" else ["torch", "tensorflow"]  # which has no wheel for it
    session.install("--editable", ".[test]", *([TENSORFLOW] if "tensorflow" in frameworks else []))
    session.run("python", "-m", "pytest", "-q", "--numprocesses", "2", *session.posargs,
                env={"SAFE_NUMPY_TEST_FRAMEWORKS": ",".join(frameworks)})  # fmt: skip


@nox.session
@nox.parametrize("torch", ["2.4.0", "2.8.0"])
def torches(session: nox.Session, torch: str) -> None:
    """Older torch. Tests of what only newer torch says or can do are skipped: `newer_torch` in tests/versions.py."""
    session.install("--no-cache-dir", f"torch=={torch}", "--editable", ".[test]", "numpy<2.3")
    session.run("python", "-m", "pytest", "-q", *session.posargs, env={"SAFE_NUMPY_TEST_FRAMEWORKS": "torch"})


@nox.session
def xla(session: nox.Session) -> None:
    """A device that nobody wrote for the tests: the newest torch_xla, with the one torch that it is built for."""
    session.install("--no-cache-dir", "torch==2.9.1", "torch_xla==2.9.0", "--editable", ".[test]")
    session.run("python", "-m", "pytest", "-q", "tests/test_xla.py", *session.posargs,
                env={"SAFE_NUMPY_TEST_FRAMEWORKS": "torch,torch_xla", "PJRT_DEVICE": "CPU"})  # fmt: skip


@nox.session
@nox.parametrize("tensorflow", ["2.16.2", "2.18.1"])
def tensorflows(session: nox.Session, tensorflow: str) -> None:
    """Older TensorFlow, beside the newest torch."""
    run_tests(session, TORCH, f"tensorflow-cpu=={tensorflow}")
