# https://github.com/GFNOrg/torchgfn/issues/45
# causes: nested
# tensor: self.log_probs
# repair: line

import numpy as np
import torch


class Trajectories:
    """sampled paths of different lengths"""

    def __init__(self, states, log_probs):
        self.states = torch.nested.nested_tensor(states)
        self.log_probs = torch.nested.nested_tensor(log_probs)

    def __len__(self):
        return self.states.size(0)

    def summary(self):
        totals = [float(p.sum()) for p in np.asarray(self.log_probs)]
        return {"n": len(self), "logprob": totals}


class Sampler:
    def __init__(self, seed=0):
        self.gen = torch.Generator().manual_seed(seed)

    def sample(self, n):
        states, log_probs = [], []
        for _ in range(n):
            length = int(torch.randint(2, 6, (1,), generator=self.gen))
            steps = torch.rand(length, generator=self.gen)
            states.append(torch.cumsum(steps, dim=0))
            log_probs.append(torch.log(steps))
        return Trajectories(states, log_probs)


out = Sampler().sample(4).summary()
print(out["n"], [f"{t:.4f}" for t in out["logprob"]])
