# https://github.com/albumentations-team/albumentations/issues/1313

from functools import reduce

import cv2
import numpy as np
import tensorflow as tf


class Rotate:
    def __init__(self, degrees):
        self.degrees = degrees

    def __call__(self, pair):
        image, mask = pair
        matrix = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), self.degrees, 1.0)
        size = (int(image.shape[1]), int(image.shape[0]))
        image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
        return image, cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST)


class Blur:
    def __call__(self, pair):
        return cv2.GaussianBlur(pair[0], (3, 3), 0), pair[1]


class Compose:
    def __init__(self, *transforms):
        self.transforms = transforms

    def __call__(self, image, mask):
        return reduce(lambda pair, transform: transform(pair), self.transforms, (image, mask))


transform = Compose(Rotate(90), Blur())


def transform_tensors(image, mask):
    results = tf.numpy_function(transform, [image, mask], [tf.float32, tf.uint8])
    for result, source in zip(results, (image, mask)):
        result.set_shape(source.shape)
    return tuple(results)


def prepare(ds):
    ds = ds.map(lambda image, mask: (tf.cast(image, tf.float32) / 255, mask))
    return ds.map(transform_tensors).batch(2)


rng = np.random.default_rng(4)
images = rng.integers(0, 256, (4, 10, 10, 3), dtype=np.uint8)
masks = (images[..., 0] > 127).astype(np.uint8)
for image, mask in prepare(tf.data.Dataset.from_tensor_slices((images, masks))):
    print(image.shape, mask.shape, round(float(tf.reduce_mean(image[:, :4])), 4), mask.numpy()[:, 2].tolist())
