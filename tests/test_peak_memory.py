"""What a permissive conversion holds at its worst moment: the result, and one temporary of the source's size."""

from __future__ import annotations

import pytest
from processes import run
from versions import newer_torch

MIB = 64
CASES = {
    # how the source is made, bytes of the result as a multiple of the source's
    "bfloat16, grad": ("torch.ones(n // 2, dtype=torch.bfloat16, requires_grad=True)", 2),
    "float8": ("torch.ones(n, dtype=torch.uint8).view(torch.float8_e5m2)", 4),
    "conj": ("torch.ones(n // 8, dtype=torch.complex64).conj()", 1),
    "conj and neg": ("torch._neg_view(torch.ones(n // 8, dtype=torch.complex64).conj())", 1),
    "complex32, conj": ("torch.ones(n // 4, dtype=torch.complex32).conj()", 2),
    "quantized": ("torch.quantize_per_tensor(torch.ones(n), 1.0, 0, torch.qint8)", 4),
    "grad": ("torch.ones(n // 4, requires_grad=True)", 0),
    "toy device, grad, bfloat16": ("torch.ones(n // 2, dtype=torch.bfloat16, requires_grad=True).to('toy')", 2),
    "mkldnn": ("torch.ones(n // 4).to_mkldnn()", 1),
}


@newer_torch
@pytest.mark.parametrize("case", CASES)
def test_peak(case: str) -> None:
    make, factor = CASES[case]
    out = run(f"""
        import gc, resource, warnings
        warnings.simplefilter("ignore")
        import safe_numpy, torch, toy_device, numpy as np
        safe_numpy.set_mode("permissive")
        make = lambda n: {make}
        make(4096).numpy()  # what is loaded once is loaded now
        x = make({MIB} << 20)
        gc.collect()

        def read(field):
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))

        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # the peak starts anew
        before = read("VmRSS:")
        array = x.numpy()
        print(read("VmHWM:") - before, array.nbytes)
    """)
    peak, result = map(int, out.split())
    source, slack = MIB << 20, 12 << 20
    expected = source * factor
    assert result == (expected or source)
    assert peak <= expected + (source if factor else 0) + slack
