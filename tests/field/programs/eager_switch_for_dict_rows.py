# https://github.com/tensorflow/tensorflow/issues/32842
# causes: symbolic
# tensor: row["name"] | row
# repair: elsewhere
# advice: tf.py_function | set_shape

import tensorflow as tf

# everything is to run with values, so that the rows can be handled in Python
tf.config.run_functions_eagerly(True)

SIZES = {"maple": 3.0, "fir": 5.5, "oak": 4.25}


def parse_name(raw_string):
    kind, _, number = raw_string.partition("-")
    return SIZES[kind], int(number)


def pre_process(row):
    size, number = parse_name(row["name"].numpy().decode("utf-8"))
    return {"size": tf.constant(size), "number": tf.constant(number), "age": row["age"] + 1}


rows = {"name": ["oak-12", "fir-3", "maple-40", "oak-7"], "age": [80, 15, 33, 120]}
dataset = tf.data.Dataset.from_tensor_slices(rows).map(pre_process).batch(2)
for batch in dataset:
    print({key: values.numpy().tolist() for key, values in sorted(batch.items())})
