# https://github.com/tensorflow/tensorflow/issues/32842

import tensorflow as tf

SIZES = {"maple": 3.0, "fir": 5.5, "oak": 4.25}


def parse_name(name):
    kind, _, number = name.numpy().decode("utf-8").partition("-")
    return SIZES[kind], int(number)


def pre_process(row):
    size, number = tf.py_function(parse_name, [row["name"]], [tf.float32, tf.int32])
    size.set_shape([])
    number.set_shape([])
    return {"size": size, "number": number, "age": row["age"] + 1}


rows = {"name": ["oak-12", "fir-3", "maple-40", "oak-7"], "age": [80, 15, 33, 120]}
dataset = tf.data.Dataset.from_tensor_slices(rows).map(pre_process).batch(2)
for batch in dataset:
    print({key: values.numpy().tolist() for key, values in sorted(batch.items())})
