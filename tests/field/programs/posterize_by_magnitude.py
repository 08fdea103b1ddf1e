# https://github.com/google-research/crest/issues/3
# causes: why
# tensor: level / MAX_LEVEL * 4 | level
# repair: line
# advice: tf.cast

import tensorflow as tf

MAX_LEVEL = 10.0


def posterize(image, bits):
    shift = tf.cast(8 - bits, image.dtype)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(image, shift), shift)


def brightness(image, factor):
    return tf.saturate_cast(tf.cast(image, tf.float32) * factor, tf.uint8)


def posterize_level_to_arg(level):
    return (int((level / MAX_LEVEL) * 4),)


def enhance_level_to_arg(level):
    return ((level / MAX_LEVEL) * 1.8 + 0.1,)


class RandAugment(tf.keras.layers.Layer):
    """every image with a magnitude of its own"""

    policy = (("Brightness", brightness, enhance_level_to_arg), ("Posterize", posterize, posterize_level_to_arg))

    def call(self, image, level):
        for name, func, level_to_arg in self.policy:
            with tf.name_scope(name):
                image = func(image, *level_to_arg(level))
        return image


augment = RandAugment(dtype="uint8", autocast=False)
images = tf.cast(tf.reshape(tf.range(4 * 9) * 7, (4, 3, 3)), tf.uint8)
levels = tf.constant([2.6, 5.0, 8.0, 10.0])
dataset = tf.data.Dataset.from_tensor_slices((images, levels)).map(lambda i, m: augment(i, level=m)).batch(4)
for batch in dataset:
    print(batch.shape, tf.reduce_sum(tf.cast(batch, tf.int32), axis=(1, 2)).numpy(), batch[1].numpy().max())
