# https://github.com/desy-ml/cheetah/issues/287

import torch
import matplotlib.pyplot as plt


class Tube:
    def __init__(self, length):
        self.length = length

    def track(self, mu, sigma):
        return mu + 0.1 * self.length, sigma + 0.05 * self.length


class Lens(Tube):
    def __init__(self, length, strength):
        super().__init__(length)
        self.strength = strength

    def track(self, mu, sigma):
        return mu * (1 - self.strength * self.length), sigma * torch.exp(-self.strength * self.length)


class Line:
    def __init__(self, elements):
        self.elements = elements

    def plot_envelope(self, ax, mu0=0.3, sigma0=0.2):
        mus, sigs, s = [torch.tensor(mu0)], [torch.tensor(sigma0)], [torch.tensor(0.0)]
        for el in self.elements:
            mu, sigma = el.track(mus[-1], sigs[-1])
            mus.append(mu), sigs.append(sigma), s.append(s[-1] + el.length)
        pos, mu, sig = torch.stack(s), torch.stack(mus), torch.stack(sigs)
        return ax.fill_between(pos, (mu - sig).detach(), (mu + sig).detach(), alpha=0.4)


strength = torch.tensor(0.8, requires_grad=True)  # we want to optimise this one later
lattice = Line(
    [
        Tube(torch.tensor(0.5)),
        Lens(torch.tensor(0.2), strength),
        Tube(torch.tensor(0.7)),
        Lens(torch.tensor(0.2), -strength),
    ]
)
fig, ax = plt.subplots()
shade = lattice.plot_envelope(ax)
verts = shade.get_paths()[0].vertices
print(verts.shape, round(float(verts[:, 1].max()), 4), round(float(verts[:, 1].min()), 4))
print(strength.requires_grad, strength.grad)
