# https://github.com/turboderp-org/exllamav2/issues/281

import json

import torch
import torch.nn as nn


def fake_quant(w, bits):
    scale = w.abs().max() / (2 ** (bits - 1) - 0.5)
    return torch.round(w / scale) * scale


@torch.inference_mode()
def test_error(weight, candidate, hidden_states):
    rfn_sum = torch.tensor(0.0)
    rfn_count = 0
    for x in hidden_states:
        want = x @ weight.T
        got = x @ candidate.T
        rfn_sum += torch.linalg.norm(got - want) / torch.linalg.norm(want)
        rfn_count += 1
    return float(max(1e-6, 1 - (rfn_sum / rfn_count)))


torch.manual_seed(0)
hidden_states = [torch.randn(5, 16) for _ in range(3)]
layers = {"q_proj": nn.Linear(16, 16), "up_proj": nn.Linear(16, 32), "down_proj": nn.Linear(16, 8)}

measurement = {}
for name, layer in layers.items():
    w = layer.weight.data
    options = {f"{bits}b": fake_quant(w, bits) for bits in (8, 4, 3)}
    if name == "down_proj":
        options["1b"] = w.abs().max() * torch.sign(w)  # far too coarse
    measurement[name] = {key: round(test_error(w, candidate, hidden_states), 6) for key, candidate in options.items()}

print(json.dumps(measurement, indent=1))
