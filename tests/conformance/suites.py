"""Other people's test suites: which, from where, and how they are run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suite:
    """A suite in a source distribution, or shipped in the installed package."""

    name: str
    project: str
    """on the package index"""
    archive: str
    """the file's name there; empty: the tests are in the installed package"""
    pin: str
    """the archive's digest (SHA-256), or the version of the installed package"""
    arguments: tuple[str, ...]
    """of pytest, in the unpacked archive or where packages are installed"""
    variables: dict[str, str] = field(default_factory=dict)
    path: str = ""
    """the folder in the archive that holds the package to test; empty: the installed one is tested"""
    conftest: str = ""
    """where a conftest.py that the archive lacks belongs; ours is in `conftests`, under the project's name"""
    by_hand: tuple[tuple[str, str, str], ...] = ()
    """conversions that the package makes by hand, and that are taken out of a copy of it: the file, below the folder in
    `path` or where packages are installed; the text; what is left of it"""


_KERAS = {
    "project": "keras",
    "archive": "keras-3.15.1.tar.gz",
    "pin": "92ae7c1dd7f61041953dc2d42253181ee099086f0b58ae36fcf98147a6f08a29",
}

# what the left out ones import from conftest.py is not in the archive
_KERAS_OPS = (
    "keras/src/ops", "--override-ini=addopts=",
    *(f"--ignore=keras/src/ops/{name}_test.py" for name in ("einops", "operation")),
)  # fmt: skip

SUITES = (
    Suite(
        "einops 0.8.2",
        "einops",
        "einops-0.8.2.tar.gz",
        "609da665570e5e265e27283aab09e7f279ade90c4f01bcfca111f3d3e13f2827",
        ("einops/tests", "--ignore=einops/tests/test_notebooks.py"),
        {"EINOPS_TEST_BACKENDS": "numpy,torch,tensorflow"},
        ".",
    ),
    Suite(
        "array-api-compat 1.16.0",
        "array-api-compat",
        "array_api_compat-1.16.0.tar.gz",
        "c8117cb4d6c7aacaec38c2705f72509e342c20b1a716a04cb5397a611f122d51",
        ("tests",),
        {},
        "src",
    ),
    Suite(
        "skorch 1.4.0",
        "skorch",
        "skorch-1.4.0.tar.gz",
        "f7a5d3c13a3aecf0a0fe689ff25188be1145a95268f8fe81f01aaa9fbd7cead1",
        ("skorch/tests", "--ignore=skorch/tests/test_hf.py", "--ignore=skorch/tests/llm", "--override-ini=addopts="),
        {},
        ".",
    ),
    Suite(
        "torchmetrics 1.9.0, functional (doctests)",
        "torchmetrics",
        "torchmetrics-1.9.0.tar.gz",
        "a488609948600df52d3db4fcdab02e62aab2a85ef34da67037dc3e65b8512faa",
        (
            "--doctest-modules", "--override-ini=addopts=", *(f"src/torchmetrics/functional/{part}" for part in (
                "classification", "regression", "image", "pairwise", "clustering", "nominal", "retrieval", "shape",
            )),
        ),
        {"SEED": "42"},
        "src",
    ),
    Suite(
        "POT 0.9.7.post1, torch and tf",
        "pot",
        "pot-0.9.7.post1.tar.gz",
        "2edd70845047ac2d378487b980a2bffb5ff58e9b92b7133896ff5753f6300cec",
        ("test/test_backend.py", "test/test_utils.py", "test/test_ot.py", "test/test_1d_solver.py",
         "test/test_gaussian.py", "test/test_weak.py", "test/test_optim.py", "test/test_circle_solver.py",
         "test/test_smooth.py", "test/test_stochastic.py", "--override-ini=addopts="),
        conftest="test/conftest.py",
    ),
    Suite("Keras 3.15.1 ops, torch backend", **_KERAS, arguments=_KERAS_OPS,
          variables={"KERAS_BACKEND": "torch"}),
    Suite("Keras 3.15.1 ops, TensorFlow backend", **_KERAS, arguments=_KERAS_OPS,
          variables={"KERAS_BACKEND": "tensorflow"}),
    Suite(
        "gpytorch 1.15.2",
        "gpytorch",
        "gpytorch-1.15.2.tar.gz",
        "380625e93f851b85f772b25c5fb0a6c6d2e3eb2ef667f1e566ab4f95b8775361",
        ("test/kernels", "test/likelihoods", "test/distributions", "test/functions", "test/means", "test/priors",
         "test/constraints", "test/utils", "--ignore=test/kernels/keops"),
        {},
        ".",
    ),
    Suite(
        "linear_operator 0.6.1",
        "linear-operator",
        "linear_operator-0.6.1.tar.gz",
        "3fba49a8080d16f822a5d870f462279cd6afbcf4ed670f4511b38fad96f61831",
        ("test",),
        {},
        ".",
    ),
    Suite(
        "array-api-extra 0.11.5, torch",
        "array-api-extra",
        "array_api_extra-0.11.5.tar.gz",
        "1f0de7dde3326a7157a63ddbcfab7409b38248f0685e5a0670bd9044a54fcac0",
        ("tests/main", "-ktorch"),
        {},
        "src",
    ),
    Suite(
        "tensorly 0.9.0, torch backend",
        "tensorly",
        "tensorly-0.9.0.tar.gz",
        "9b970dde47e2267a17b66a1444113e879c0bb77fb22f497a4207eb2b548ff792",
        # the left out ones take four fifths of the time
        ("tensorly", "-knot non_negative and not ring_als"),
        {"TENSORLY_BACKEND": "pytorch"},
        ".",
    ),
    Suite(
        "SciPy 1.17.1, array API, torch",
        "scipy",
        "",
        "1.17.1",
        # parts that take a quarter of a minute together
        ("-marray_api_backends", "scipy/fft", "scipy/cluster", "scipy/constants",
         "scipy/ndimage/tests/test_fourier.py", "scipy/signal/tests/test_windows.py",
         "scipy/special/tests/test_logsumexp.py"),
        {"SCIPY_ARRAY_API": '["torch"]'},
    ),
    Suite(
        "scikit-learn 1.9.1, array API, torch",
        "scikit-learn",
        "",
        "1.9.1",
        # where most of them are; collecting the others takes longer than they do
        ("-karray_api and torch", "sklearn/metrics/tests/test_common.py", "sklearn/utils/tests/test_array_api.py",
         "sklearn/preprocessing/tests/test_data.py", "sklearn/decomposition/tests/test_pca.py",
         "sklearn/linear_model/tests/test_ridge.py", "sklearn/mixture/tests/test_gaussian_mixture.py"),
        {"SCIPY_ARRAY_API": "1"},
    ),
    Suite(
        "einops 0.8.2, converting by the guard",
        "einops",
        "einops-0.8.2.tar.gz",
        "609da665570e5e265e27283aab09e7f279ade90c4f01bcfca111f3d3e13f2827",
        ("einops/tests", "--ignore=einops/tests/test_notebooks.py"),
        {"EINOPS_TEST_BACKENDS": "numpy,torch"},
        ".",
        by_hand=(("einops/_backends.py", "x.detach().cpu().numpy()", "x.numpy()"),),
    ),
    Suite(
        "Keras 3.15.1 layers and optimizers, torch backend, converting by the guard",
        **_KERAS,
        arguments=("keras/src/layers/core/dense_test.py", "keras/src/layers/core/embedding_test.py",
                   "keras/src/optimizers", "--override-ini=addopts="),
        variables={"KERAS_BACKEND": "torch"},
        by_hand=(("keras/src/backend/torch/core.py", "if x.requires_grad:\n                x = x.detach()", "pass"),),
    ),
)  # fmt: skip
