# https://github.com/tensorflow/tensorflow/issues/38672

import numpy as np
import tensorflow as tf


class WordTokenizer:
    """takes lists of str, knows nothing of tensors"""

    def __init__(self, words):
        self.ids = {word: i + 1 for i, word in enumerate(words)}

    def batch_encode(self, texts, max_length):
        rows = [[self.ids.get(word, 0) for word in text.lower().split()] for text in texts]
        return np.array([(row + [0] * max_length)[:max_length] for row in rows], dtype=np.int32)


tokenizer = WordTokenizer(["this", "is", "a", "one", "relevant", "query", "document", "regarding", "1", "2", "3", "4"])
samples = [
    {"query": f"This is a query {i}", "doc": f"this is one relevant document regarding Query {i}"} for i in range(1, 5)
]
dataset = tf.data.Dataset.from_generator(
    lambda: samples, output_signature={key: tf.TensorSpec([], tf.string) for key in ("query", "doc")}
)


def encode(texts, max_length):
    return tokenizer.batch_encode(texts.numpy().astype("str"), int(max_length))


def tokenize(sample):
    query = tf.py_function(encode, [sample["query"], 6], tf.int32)
    doc = tf.py_function(encode, [sample["doc"], 8], tf.int32)
    query.set_shape([None, 6])
    doc.set_shape([None, 8])
    return {"query": query, "doc": doc}


for batch in dataset.batch(2).map(tokenize):
    print(batch["query"].shape, batch["query"].numpy().tolist(), int(tf.reduce_sum(batch["doc"])))
