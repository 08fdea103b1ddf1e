"""What else makes an array of a tensor: plain torch, and the helpers of libraries that many people have installed."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import einops
import keras
import numpy as np
import torch
from monai.utils import convert_to_numpy as monai_to_numpy
from onnx_ir.tensor_adapters import TorchTensor
from skorch.utils import to_numpy as skorch_to_numpy

Convert = Callable[[torch.Tensor], Any]

STOCK: dict[str, Convert] = {
    "x.numpy()": lambda x: x.numpy(),
    "x.detach().cpu().numpy()": lambda x: x.detach().cpu().numpy(),
    "x.numpy(force=True)": lambda x: x.numpy(force=True),
    "np.asarray(x)": lambda x: np.asarray(x),
    "np.array(x.tolist())": lambda x: np.array(x.tolist()),
}
HELPERS: dict[str, Convert] = {
    "einops asnumpy": einops.asnumpy,
    "keras convert_to_numpy": keras.ops.convert_to_numpy,
    "skorch to_numpy": skorch_to_numpy,
    "monai convert_to_numpy": monai_to_numpy,
    "onnx_ir TorchTensor.numpy": lambda x: TorchTensor(x).numpy(),
}


def list_versions() -> dict[str, str]:
    """Return the versions that are compared."""
    names = ("torch", "numpy", "tensorflow-cpu", "wrapt", "einops", "keras", "skorch", "monai", "onnx_ir",
             "lovely-tensors", "treescope", "tensor-sensor", "rich")  # fmt: skip
    return dict(_find_versions(names))


def _find_versions(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
