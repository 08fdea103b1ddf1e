# https://github.com/tensorflow/tensorflow/issues/42485
# causes: why
# tensor: object_for_each_prior | overlap_for_each_prior
# repair: line
# advice: tf.tensor_scatter_nd_update

import tensorflow as tf


def find_jaccard_overlap(boxes, priors):
    low = tf.maximum(boxes[:, None, :2], priors[None, :, :2])
    high = tf.minimum(boxes[:, None, 2:], priors[None, :, 2:])
    intersection = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=2)
    areas = [tf.reduce_prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, priors)]
    return intersection / (areas[0][:, None] + areas[1][None, :] - intersection)


def match(boxes, labels, priors_xy, threshold=0.5):
    """a class for each prior, 0 for the background; each object has at least one prior"""
    n_objects = boxes.shape[0]
    overlap = find_jaccard_overlap(boxes, priors_xy)  # (n_objects, n_priors)
    overlap_for_each_prior = tf.reduce_max(overlap, axis=0)
    object_for_each_prior = tf.argmax(overlap, axis=0, output_type=tf.int32)
    prior_for_each_object = tf.argmax(overlap, axis=1, output_type=tf.int32)
    object_for_each_prior[prior_for_each_object] = tf.range(n_objects)
    overlap_for_each_prior[prior_for_each_object] = tf.ones(n_objects)
    label_for_each_prior = tf.gather(labels, object_for_each_prior)
    return tf.where(overlap_for_each_prior < threshold, 0, label_for_each_prior)


centers = tf.stack(tf.meshgrid(tf.linspace(0.125, 0.875, 4), tf.linspace(0.125, 0.875, 4)), axis=-1)
centers = tf.reshape(centers, (-1, 2))
priors_xy = tf.concat([centers - 0.2, centers + 0.2], axis=1)
boxes = tf.constant([[0.0, 0.0, 0.35, 0.4], [0.3, 0.05, 0.6, 0.3], [0.5, 0.45, 0.95, 0.95]])
classes = match(boxes, tf.constant([7, 3, 5]), priors_xy)
print(classes.numpy(), int(tf.math.count_nonzero(classes)))
