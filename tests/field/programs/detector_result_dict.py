# https://github.com/tensorflow/hub/issues/436
# causes: symbolic
# tensor: value
# repair: elsewhere

import tensorflow as tf


class Detector(tf.Module):
    def __init__(self, anchors):
        super().__init__()
        self.anchors = tf.Variable(anchors)

    @tf.function
    def __call__(self, image):
        scores = tf.nn.sigmoid(tf.reduce_mean(image) * tf.reduce_sum(self.anchors, axis=1))
        order = tf.argsort(scores, direction="DESCENDING")
        return {
            "detection_boxes": tf.gather(self.anchors, order),
            "detection_scores": tf.gather(scores, order),
            "detection_class_entities": tf.gather(tf.constant(["cat", "dog", "owl"]), order),
        }


@tf.function
def run_detector(detector, img):
    converted = tf.image.convert_image_dtype(img, tf.float32)[tf.newaxis, ...]
    result = detector(converted)
    result = {key: value.numpy() for key, value in result.items()}
    return result


detector = Detector([[0.1, 0.2, 0.3, 0.4], [-0.5, 0.0, 0.2, 0.1], [0.9, 0.9, 0.9, 1.0]])
img = tf.cast(tf.reshape(tf.range(48) * 5, (4, 4, 3)), tf.uint8)
found = run_detector(detector, img)
for box, score, name in zip(found["detection_boxes"], found["detection_scores"], found["detection_class_entities"]):
    print(name.decode("ascii"), round(float(score), 4), box.sum().round(3))
