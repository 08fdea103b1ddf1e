"""Train a small network on scikit-learn's digits, and make the mistakes that people make on the way to NumPy.

    python examples/digits.py                          every mistake explained; the program goes on without the result
    SAFE_NUMPY=permissive python examples/digits.py    the same program, to the end: accuracy printed, plot saved

Where there is no GPU, a toy device stands in: its tensors live in host memory, its errors are torch's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

import safe_numpy

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, top_k_accuracy_score
from sklearn.model_selection import train_test_split


def find_accelerator() -> str:
    if torch.cuda.is_available():
        return "cuda"
    import toy_device  # noqa: F401 - registers the device

    return "toy"


def attempt(what: str, mistake: Callable[[], Any]) -> Any:
    """Run a mistake; show what a reader would see, and go on."""
    try:
        return mistake()
    except safe_numpy.ConversionError as error:
        print(f"\n{what}\n{'-' * len(what)}\n{type(error).__name__}: {error}\n", flush=True)
        return None


def train(images: torch.Tensor, labels: torch.Tensor, epochs: int) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(epochs):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)  # the first mistake: it keeps the graph, and it requires grad
    return network, losses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="where the plot goes")
    arguments = parser.parse_args()
    device = find_accelerator()

    digits = load_digits()
    split = train_test_split(digits.data / 16, digits.target, test_size=0.3, random_state=0)
    images, test_images = (torch.tensor(x, dtype=torch.float32) for x in split[:2])
    labels, test_labels = (torch.tensor(y) for y in split[2:])
    network, losses = train(images, labels, arguments.epochs)
    logits = network(test_images)

    def plot_losses() -> Path:
        figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
        axes.plot(torch.stack(losses))
        axes.set(title="Digits: training loss", xlabel="epoch", ylabel="cross entropy", yscale="log")
        arguments.output.mkdir(parents=True, exist_ok=True)
        file: Path = arguments.output / "loss.png"
        figure.savefig(file, dpi=120)
        return file

    def measure_top_two() -> float:
        return float(top_k_accuracy_score(test_labels, logits.bfloat16(), k=2))

    def measure_accuracy() -> float:
        predictions = logits.argmax(1).to(device)
        return float(accuracy_score(test_labels, predictions.numpy()))

    plot = attempt("1. matplotlib is given a loss that requires grad", plot_losses)
    top_two = attempt("2. scikit-learn is given bfloat16 logits that require grad", measure_top_two)
    accuracy = attempt(f"3. a metric reads predictions on {device!r}", measure_accuracy)

    if plot is None or top_two is None or accuracy is None:
        print("Nothing could be computed. The same program, converted on the fly:")
        print(f"  SAFE_NUMPY=permissive python {' '.join(sys.argv)}\n")
        return 0 if safe_numpy.get_mode() is not safe_numpy.Mode.PERMISSIVE else 1
    print(f"\naccuracy {accuracy:.3f}   top two {top_two:.3f}   plot {os.path.relpath(plot)}\n")
    print(safe_numpy.report())
    return 0


if __name__ == "__main__":
    sys.exit(main())
