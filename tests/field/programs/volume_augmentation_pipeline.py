# https://github.com/ZFTurbo/volumentations/issues/3
# causes: why
# tensor: img
# repair: elsewhere

import numpy as np
import tensorflow as tf


class Normalize:
    def apply(self, img):
        img = img.astype(np.float32)
        return (img - img.mean()) / img.std()


class Flip:
    def __init__(self, axis):
        self.axis = axis

    def apply(self, img):
        return np.ascontiguousarray(np.flip(img, self.axis))


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for tr in self.transforms:
            image = tr.apply(image)
        return image


aug = Compose([Normalize(), Flip(axis=0)])


def get_augmentation(volume, label):
    return aug(volume), label


volumes = np.random.default_rng(1).integers(0, 256, (4, 5, 4, 3), dtype=np.uint8)
ds = tf.data.Dataset.from_tensor_slices((volumes, [0, 1, 1, 0])).map(get_augmentation)
for volume, label in ds.batch(2):
    print(volume.shape, label.numpy(), np.round(volume.numpy()[:, 0].mean(axis=(1, 2)), 4))
