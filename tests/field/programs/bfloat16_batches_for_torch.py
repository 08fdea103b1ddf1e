# https://github.com/unifyai/ivy/pull/17445
# causes: why
# tensor: targets
# repair: line

import numpy as np
import tensorflow as tf
import torch
from torch.utils.data import DataLoader

tf.keras.utils.set_random_seed(0)
torch.manual_seed(0)

teacher = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
teacher.compile()


def collate(rows):
    """inputs and what the (TensorFlow) teacher says, in the precision it is served in"""
    batch = np.stack(rows)
    targets = tf.cast(teacher(batch), tf.bfloat16).numpy()
    return torch.from_numpy(batch), torch.from_numpy(targets)


data = np.random.rand(32, 3).astype(np.float32)
student = torch.nn.Linear(3, 2)
sgd = torch.optim.SGD(student.parameters(), lr=0.3)
for epoch in range(3):
    for x, y in DataLoader(data, batch_size=8, collate_fn=collate):
        loss = torch.nn.functional.mse_loss(student(x), y.float())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
print(round(loss.item(), 4), student.bias.detach().numpy().round(4))
