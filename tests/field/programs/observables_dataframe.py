# https://github.com/ciemss/pyciemss/issues/350
# causes: grad
# tensor: data["infected_frac_obs"] | torch.squeeze(formula(**traj)) | data
# repair: elsewhere

import torch
import pandas as pd

derived = {"infected_frac": lambda S, I, R: I / (S + I + R), "susceptible": lambda S, I, R: S}


def simulate(beta, gamma, steps=5):
    S, I, R = torch.tensor(0.99), torch.tensor(0.01), torch.tensor(0.0)
    out = {"S": [], "I": [], "R": []}
    for _ in range(steps):
        new, rec = beta * S * I, gamma * I
        S, I, R = S - new, I + new - rec, R + rec
        for k, v in zip("SIR", (S, I, R)):
            out[k].append(v)
    return {k: torch.stack(v)[None] for k, v in out.items()}


def as_table(traj, n_rows):
    data = {"timepoint_id": list(range(n_rows))}
    data = {**data, **{f"{name}_sol": traj[name].detach().squeeze().numpy() for name in traj}}
    data = {
        **data,
        **{f"{key}_obs": torch.squeeze(formula(**traj)) for key, formula in derived.items()},
    }
    return pd.DataFrame(data)


beta = torch.nn.Parameter(torch.tensor(0.9))
gamma = torch.nn.Parameter(torch.tensor(0.2))
traj = simulate(beta, gamma)
result = as_table(traj, 5)
print(result.round(4).to_string())

traj["I"].max().backward()  # calibration still needs the graph
print(round(beta.grad.item(), 5), round(gamma.grad.item(), 5))
