# https://github.com/tensorflow/tfx-addons/issues/221
# causes: composite
# tensor: tensor
# repair: line

import pandas as pd
import tensorflow as tf


def _int64(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def make_example(user, clicks):
    features = tf.train.Features(feature={"user": _int64([user]), "clicks": _int64(clicks)})
    return tf.train.Example(features=features).SerializeToString()


FEATURE_SPEC = {
    "user": tf.io.FixedLenFeature([], tf.int64),
    "clicks": tf.io.VarLenFeature(tf.int64),
}


def _parse_example(serialized):
    parsed = tf.io.parse_single_example(serialized, FEATURE_SPEC)
    row = {}
    for name, tensor in sorted(parsed.items()):
        value_list = tensor.numpy().tolist()
        row[name] = value_list
    return row


records = [make_example(7, [3, 1, 4]), make_example(8, []), make_example(9, [1, 5])]
table = pd.DataFrame([_parse_example(r) for r in records])
print(table.to_dict("list"))
print(table["clicks"].map(len).sum())
