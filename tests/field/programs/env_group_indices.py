# https://github.com/py-why/dowhy/issues/1306
# causes: device
# tensor: strides[:-1]
# repair: line

import numpy as np
import torch
import toy_device

device = "toy"


class GroupPenalty:
    def __init__(self, weight=0.5):
        self.weight = weight

    def within_groups(self, scores, attributes):
        """average spread of the scores inside every combination of attributes"""
        combos = torch.stack(attributes, dim=1)
        levels = combos.max(dim=0).values + 1
        strides = torch.cumprod(levels, dim=0).to(device)
        n_cells = int(strides.cpu()[-1])
        mult_np = np.concatenate(([1], strides[:-1]))
        mult = torch.from_numpy(mult_np)
        cell_of = combos @ mult
        penalty = 0
        for cell in range(n_cells):
            member = scores[cell_of == cell]
            if len(member) > 1:
                penalty = penalty + member.var()
        return self.weight * penalty / n_cells


torch.manual_seed(0)
w = torch.nn.Linear(4, 1)
opt = torch.optim.SGD(w.parameters(), lr=0.1)
x = torch.randn(60, 4)
attrs = [torch.randint(0, 3, (60,)), torch.randint(0, 2, (60,)), torch.randint(0, 2, (60,))]
reg = GroupPenalty()
for _ in range(4):
    opt.zero_grad()
    loss = (w(x).squeeze() - x[:, 0]).pow(2).mean() + reg.within_groups(w(x).squeeze(), attrs)
    loss.backward()
    opt.step()
print(round(loss.item(), 4), [round(v, 4) for v in w.weight.flatten().tolist()])
