# https://github.com/PAIR-code/saliency/issues/88

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(6)
model = tf.keras.Sequential(
    [
        tf.keras.Input((8, 8, 1)),
        tf.keras.layers.Conv2D(3, 3, activation="relu"),
        tf.keras.layers.GlobalAveragePooling2D(),
        tf.keras.layers.Dense(4, activation="softmax"),
    ]
)


def call_model_function(images, call_model_args=None, expected_keys=("INPUT_OUTPUT_GRADIENTS",)):
    """what the saliency methods call, again and again"""
    target_class_idx = call_model_args["class_idx"]
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        output_layer = model(images)
        output_layer = output_layer[:, target_class_idx]
    gradients = np.array(tape.gradient(output_layer, images))
    return {"INPUT_OUTPUT_GRADIENTS": gradients}


def get_smoothed_mask(x_value, call_model_args, stdev=0.1, n_samples=4):
    total = np.zeros_like(x_value)
    for k in range(n_samples):
        noise = np.random.default_rng(k).normal(0, stdev, x_value.shape).astype("float32")
        total += call_model_function((x_value + noise)[None], call_model_args)["INPUT_OUTPUT_GRADIENTS"][0]
    return total / n_samples


im = np.linspace(-1, 1, 64, dtype="float32").reshape(8, 8, 1)
prediction_class = int(np.argmax(model.predict(im[None], verbose=0)))
mask = get_smoothed_mask(im, {"class_idx": prediction_class})
print(
    prediction_class, mask.shape, np.round(np.abs(mask).sum(), 4), np.unravel_index(np.abs(mask).argmax(), mask.shape)
)
