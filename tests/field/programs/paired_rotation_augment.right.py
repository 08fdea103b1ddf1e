# https://github.com/tensorflow/tensorflow/issues/44059

import numpy as np
import tensorflow as tf
from scipy import ndimage

np.random.seed(5)
images = np.random.rand(6, 8, 8, 1).astype("float32")
masks = (images > 0.5).astype("float32")


def augmentation(img, msk, degrees=30):
    img = ndimage.rotate(img, degrees, reshape=False, order=1)
    msk = ndimage.rotate(msk, degrees, reshape=False, order=0)
    return img, msk


train = (
    tf.data.Dataset.from_tensor_slices((images, masks))
    .map(
        lambda img, msk: tf.numpy_function(augmentation, [img, msk], [tf.float32, tf.float32]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    .batch(3)
)

for img, msk in train:
    print(img.shape, msk.shape, round(float(tf.reduce_mean(img)), 4), float(tf.reduce_sum(msk)))
