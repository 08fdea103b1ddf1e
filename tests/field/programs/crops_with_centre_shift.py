# https://github.com/tensorflow/tensorflow/issues/40620
# causes: symbolic
# tensor: height - dy + 1 | width - dx + 1
# repair: line
# advice: tf.random.uniform

from functools import partial

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(7)


def photos():
    """of different sizes; a pixel tells its row and its column"""
    for height, width in ((12, 9), (10, 16), (14, 14), (9, 11)):
        rows, columns = np.mgrid[:height, :width]
        yield np.stack([rows, columns, rows + columns], axis=-1).astype("float32")


def random_crop_single(img, random_crop_size, is_valid=False):
    height, width = tf.shape(img)[0], tf.shape(img)[1]
    dy, dx = random_crop_size
    if is_valid:
        y, x = (height - dy) // 2, (width - dx) // 2
    else:
        y = np.random.randint(0, height - dy + 1)
        x = np.random.randint(0, width - dx + 1)
    crop = img[y : y + dy, x : x + dx, :]
    shift = tf.stack([y + dy // 2 - height // 2, x + dx // 2 - width // 2])
    return crop, shift, tf.stack([height, width])


def make_dataset(size):
    ds = tf.data.Dataset.from_generator(photos, output_signature=tf.TensorSpec((None, None, 3), tf.float32))
    return ds.map(partial(random_crop_single, random_crop_size=size))


for crop, shift, size in make_dataset((8, 6)):
    centre = crop.numpy()[4, 3, :2]
    print(crop.shape, centre - shift.numpy() == size.numpy() // 2)
