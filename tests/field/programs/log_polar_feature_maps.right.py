# https://github.com/opencv/opencv/issues/22574

import cv2
import numpy as np
import tensorflow as tf


def log_polar_sampling(feature_maps):
    """feature_maps: (1, height, width, channels)"""
    channels = []
    for i in range(feature_maps.shape[-1]):
        image = feature_maps[0, :, :, i]
        fh, fw = image.shape
        center, radius = (fw / 2, fh / 2), fw * 0.45
        flags = cv2.INTER_LINEAR + cv2.WARP_FILL_OUTLIERS + cv2.WARP_POLAR_LOG
        channels.append(cv2.warpPolar(image.numpy(), (fw, fh), center, radius, flags))
    return tf.stack(channels, axis=-1)[tf.newaxis]


yy, xx = tf.meshgrid(tf.range(16.0), tf.range(16.0), indexing="ij")
maps = tf.stack([yy, xx, tf.abs(yy - xx)], axis=-1)[tf.newaxis]
maps = tf.nn.avg_pool2d(maps, 2, 1, "SAME")
polar = log_polar_sampling(maps)
print(polar.shape, np.round(tf.reduce_mean(polar, axis=(0, 1, 2)).numpy(), 2))
