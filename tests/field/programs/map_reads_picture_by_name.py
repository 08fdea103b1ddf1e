# https://github.com/tensorflow/tensorflow/issues/39977
# causes: symbolic
# tensor: name
# repair: elsewhere
# advice: tf.numpy_function

import cv2
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
# stands for the folder JPEGImages/
FOLDER = {f"2008_{i:06d}.jpg": rng.integers(0, 255, (30 + 5 * i, 40, 3), dtype=np.uint8) for i in range(4)}
SIZE = (20, 10)


def load(name, box):
    key = np.array(name).item()
    picture = FOLDER[key.decode("utf-8")]
    scale_y = SIZE[1] / picture.shape[0]
    picture = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
    return picture, (box * scale_y).astype(np.float32)


names = sorted(FOLDER)
boxes = np.array([[1, 2, 8, 9]] * 4, dtype=np.float32)
dataset = tf.data.Dataset.from_tensor_slices((names, boxes))
dataset = dataset.map(load).batch(2)
for pictures, b in dataset:
    print(pictures.shape, round(float(np.mean(pictures)), 3), np.round(b.numpy()[:, 3], 3))
