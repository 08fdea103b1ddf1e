"""A torch without NumPy: it is said so, and nothing of ours needs NumPy to say it."""

from __future__ import annotations

from processes import run

BLOCK = "import sys; sys.modules['numpy'] = None\nimport warnings; warnings.simplefilter('ignore')\n"


def test_numpy_missing_is_the_reason() -> None:
    out = run(
        BLOCK
        + """
import safe_numpy, torch
for mode in ("explain", "permissive"):
    with safe_numpy.mode(mode):
        try:
            torch.ones(2).numpy()
        except RuntimeError as error:
            print(type(error).__mro__[1].__name__, isinstance(error, safe_numpy.NumpyError))
            print(error)
d = safe_numpy.diagnose(torch.ones(2, requires_grad=True))
print([str(p.kind) for p in d.problems], d.fix, d.convertible)
try:
    safe_numpy.to_numpy([torch.ones(2)])
except safe_numpy.NumpyError as error:
    print(str(error).splitlines()[0])
"""
    )
    message = """\
Numpy is not available

`torch.ones(2)` cannot become a NumPy array, for 1 reason:
  numpy    NumPy is not installed here

  tensor   Tensor float32[2] on cpu, 8 B
  line     <string>:8  torch.ones(2).numpy()

  instead  install a NumPy that this torch was built for: `pip install numpy`, or `pip install
           'numpy<2'` for torch 2.2 and older
"""
    expected = f"NumpyError True\n{message}" * 2 + "['numpy', 'grad'] None False\nNumpy is not available\n"
    assert out == expected
