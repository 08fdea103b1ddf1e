# https://github.com/xuannianz/EfficientDet/issues/139

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(6)

image_input = tf.keras.Input((12, 12, 3))
pooled = tf.keras.layers.GlobalAveragePooling2D()(image_input)
box_head = tf.keras.layers.Reshape((2, 4))(tf.keras.layers.Dense(8, activation="softplus")(pooled))
score_head = tf.keras.layers.Dense(2, activation="sigmoid")(pooled)
prediction_model = tf.keras.Model(image_input, [box_head, score_head])


def get_detections(images, model, scale=0.5, score_threshold=0.1):
    all_detections = []
    for image in images:
        h, w = image.shape[:2]
        # run network
        boxes, scores = model.predict_on_batch(np.expand_dims(image, axis=0))
        boxes = boxes / scale
        boxes[:, :, 0] = np.clip(boxes[:, :, 0], 0, w - 1)
        boxes[:, :, 1] = np.clip(boxes[:, :, 1], 0, h - 1)
        keep = np.where(scores[0] > score_threshold)[0]
        all_detections.append(np.concatenate([boxes[0, keep], scores[0, keep, None]], axis=1))
    return all_detections


images = np.random.default_rng(0).random((3, 12, 12, 3), dtype=np.float32)
for det in get_detections(images, prediction_model):
    print(det.shape, np.round(det.mean(axis=0), 3))
