# https://github.com/desy-ml/cheetah/issues/287
# causes: grad
# tensor: y | movie.line.get_ydata()
# repair: elsewhere

import matplotlib.pyplot as plt
import torch
from matplotlib.animation import FuncAnimation


class Segment:
    """drift - quadrupole - drift"""

    def __init__(self, k1):
        self.k1 = torch.nn.Parameter(torch.tensor(k1))

    def track(self, x0, n=12):
        x, xp = x0, torch.tensor(0.1)
        path = [x]
        for i in range(n - 1):
            if i == 5:
                xp = xp - self.k1 * x
            x = x + 0.5 * xp
            path.append(x)
        return torch.stack(path)


class BeamMovie:
    def __init__(self, segment, lr=0.05):
        self.segment = segment
        self.opt = torch.optim.SGD([segment.k1], lr=lr)
        self.fig, self.ax = plt.subplots(figsize=(2, 2))
        (self.line,) = self.ax.plot(range(12), [0.0] * 12)

    def update(self, frame):
        y = self.segment.track(torch.tensor(0.2))
        self.opt.zero_grad()
        (y[-1] ** 2).backward()
        self.opt.step()
        self.line.set_ydata(y)
        return (self.line,)


movie = BeamMovie(Segment(0.3))
anim = FuncAnimation(movie.fig, movie.update, frames=4, init_func=lambda: (), repeat=False)
html = anim.to_jshtml(fps=5)
print(html.count("data:image/png;base64"))
print([f"{float(v):.4f}" for v in movie.line.get_ydata()[-4:]])
print(f"{movie.segment.k1.item():.4f}")
