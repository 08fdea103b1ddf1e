# https://github.com/cosanlab/py-feat/issues/203

import numpy as np
import torch
import torch.nn as nn
from joblib import Parallel, delayed


class Detector:
    def __init__(self):
        torch.manual_seed(0)
        self.landmark = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))
        self.pose = nn.Linear(4, 3)

    def detect_image(self, images, batch_size=2):
        out = []
        for start in range(0, len(images), batch_size):
            batch = torch.as_tensor(images[start : start + batch_size], dtype=torch.float32)
            poses = self.pose(self.landmark(batch))
            out.append(np.round(poses.detach().numpy(), 3))
        return np.vstack(out)


detector = Detector()


def my_func(seed):
    images = np.random.default_rng(seed).random((3, 6, 6))
    return detector.detect_image(images)


if __name__ == "__main__":
    results = Parallel(n_jobs=2, backend="multiprocessing")(delayed(my_func)(seed) for seed in range(4))
    print(len(results), results[0].shape)
    for r in results:
        print([f"{v:.2f}" for v in np.asarray(r)[-1].tolist()])
