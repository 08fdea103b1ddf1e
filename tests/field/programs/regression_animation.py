# https://github.com/fastai/course-v3/issues/455
# causes: grad
# tensor: design @ coef | fit_line
# repair: elsewhere

import torch
import torch.nn as nn
import matplotlib.pyplot as plt

torch.manual_seed(0)
n_points = 60
design = torch.ones(n_points, 2)
design[:, 0].uniform_(-1.0, 1.0)
noisy = design @ torch.tensor([3.0, 2.0]) + torch.rand(n_points)

coef = nn.Parameter(torch.tensor([-1.0, 1.0]))
step_size = 1e-1

fig = plt.figure()
plt.scatter(design[:, 0], noisy, c="orange")
(fit_line,) = plt.plot(design[:, 0], torch.zeros(n_points))


def sgd_step():
    loss = ((design @ coef - noisy) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        coef.sub_(step_size * coef.grad)
        coef.grad.zero_()
    return loss.item()


def draw_frame(k):
    loss = sgd_step()
    fit_line.set_ydata(design @ coef)
    return loss


frames = []
for k in range(10):
    frames.append(draw_frame(k))
    fig.canvas.draw()  # what FuncAnimation does per frame

print([round(f, 3) for f in frames])
print("a", [round(v, 3) for v in coef.tolist()])
print("line mean", round(float(fit_line.get_ydata(orig=False).mean()), 4))
