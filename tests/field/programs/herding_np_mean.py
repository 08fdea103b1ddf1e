# https://github.com/Continvvm/continuum/issues/278
# causes: why
# tensor: D
# repair: elsewhere

import numpy as np
import torch
from torch import nn


def herd_closest_to_barycenter(x, y, z, nb_per_class):
    """Keep the samples whose features go along best with the mean of their class."""
    indexes = []
    for class_id in np.unique(y):
        class_indexes = np.where(y == class_id)[0]
        D = z[class_indexes].T
        mu = np.mean(D, axis=1)
        herding = np.zeros(D.shape[1])

        w_t, iter_herding = mu, 0
        while not (herding > 0).sum() == min(nb_per_class, D.shape[1]) and iter_herding < 200:
            ind_max = np.argmax(np.dot(w_t, D))
            iter_herding += 1
            if herding[ind_max] == 0:
                herding[ind_max] = iter_herding
            w_t = w_t + mu - D[:, ind_max]
        indexes.append(class_indexes[herding > 0])
    return np.concatenate(indexes)


torch.manual_seed(0)
rng = np.random.default_rng(0)
x, y = rng.random((20, 6), dtype=np.float32), np.repeat([0, 1], 10)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))

model.eval()
z = model(torch.from_numpy(x))
kept = herd_closest_to_barycenter(x, y, z, nb_per_class=3)
print(kept.tolist())
print(y[kept].tolist(), round(float(x[kept].sum()), 4))
