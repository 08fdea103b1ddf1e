"""``safe-numpy demo``: one failing conversion, explained and then converted, with whatever framework is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

_TORCH = """\
import safe_numpy
import numpy as np
import torch

network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
logits = network(torch.rand(8, 64)).bfloat16()
print(np.argmax(np.asarray(logits), axis=1))
"""
_TENSORFLOW = """\
import safe_numpy
import tensorflow as tf

sparse = tf.sparse.from_dense([[0, 2], [3, 0]])
print(sparse.numpy())
"""


def show() -> int:
    """Run the program in both modes; return the exit status."""
    program = _TORCH if importlib.util.find_spec("torch") else _TENSORFLOW
    if program is _TENSORFLOW and not importlib.util.find_spec("tensorflow"):
        print("the demo needs torch or TensorFlow: pip install 'safe-numpy[torch]'", file=sys.stderr)
        return 1
    print(program)
    for title, mode in (("As it is:", "explain"), ("The same with SAFE_NUMPY=permissive:", "permissive")):
        print(f"{title}\n", flush=True)
        command = [sys.executable, "-m", "safe_numpy", "run", "--mode", mode, "-c", program]
        status = subprocess.run(command, check=False).returncode
        print(flush=True)
    return status
