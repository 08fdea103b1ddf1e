# https://github.com/ameraner/dsen2-cr/issues/7
# causes: why
# tensor: shape_n[1] | shape_n[2] | shape_n
# repair: line
# advice: tf.zeros

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(0)
BATCH = 2


def res_block(input_l, feature_size, scale=0.1):
    tmp = layers.Conv2D(feature_size, 3, padding="same", activation="relu")(input_l)
    tmp = layers.Conv2D(feature_size, 3, padding="same")(tmp)
    tmp = layers.Lambda(lambda x: x * scale)(tmp)
    return layers.Add()([input_l, tmp])


def build_model(use_cloud_mask=True):
    input_opt, input_sar = layers.Input((None, None, 3)), layers.Input((None, None, 2))
    x = layers.Concatenate()([input_opt, input_sar])
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = res_block(x, 4)
    x = layers.Add()([layers.Conv2D(3, 3, padding="same")(x), input_opt])
    if use_cloud_mask:

        def concatenate_array(x):
            """room for the mask, which the loss looks for in the last channel"""
            shape_n = tf.shape(x)
            mask = np.zeros((BATCH, shape_n[1], shape_n[2], 1), dtype="float32")
            return tf.concat([x, mask], axis=-1)

        x = layers.Lambda(concatenate_array, name="room_for_mask")(layers.Concatenate()([x, input_opt]))
    return tf.keras.Model([input_opt, input_sar], x)


model = build_model()
optical = np.linspace(0, 1, BATCH * 5 * 4 * 3, dtype="float32").reshape(BATCH, 5, 4, 3)
output = model.predict([optical, optical[..., :2] * 0.5], batch_size=BATCH, verbose=0)
print(output.shape, np.round(output.mean(axis=(0, 1, 2)), 4))
