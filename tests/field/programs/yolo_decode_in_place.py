# https://github.com/dsbyprateekg/YOLOv4/issues/5
# causes: why
# tensor: netout
# repair: elsewhere
# advice: .numpy()

import numpy as np
import tensorflow as tf


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def decode_netout(netout, anchors, scale_xy=1.1, thresh=0.5):
    grid = netout.shape[0]
    netout = tf.reshape(netout, (grid, grid, len(anchors), -1))
    netout[..., :2] = _sigmoid(netout[..., :2]) * scale_xy - 0.5 * (scale_xy - 1.0)
    netout[..., 4:] = _sigmoid(netout[..., 4:])
    boxes = []
    for row, col, b in np.argwhere(netout[..., 4] > thresh):
        x, y, w, h = netout[row, col, b, :4]
        boxes.append([(col + x) / grid, (row + y) / grid, anchors[b][0] * np.exp(w), anchors[b][1] * np.exp(h)])
    return boxes


tf.keras.utils.set_random_seed(0)
backbone = tf.keras.Sequential(
    [
        tf.keras.Input((32, 32, 3)),
        tf.keras.layers.Conv2D(12, 8, strides=8),
    ]
)
prediction = backbone(tf.random.stateless_uniform((1, 32, 32, 3), seed=(0, 1)))
anchors = [(0.2, 0.3), (0.5, 0.6)]
boxes = decode_netout(prediction[0], anchors)
print(len(boxes), np.round(np.mean(boxes, axis=0), 3))
