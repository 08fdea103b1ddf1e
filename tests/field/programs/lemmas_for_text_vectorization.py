# https://github.com/keras-team/keras/issues/14618
# causes: why
# tensor: words
# repair: elsewhere
# advice: tf.numpy_function | set_shape

import re
import string

import numpy as np
import tensorflow as tf

STOPWORDS = ("a", "for", "on", "the", "to")
LEMMAS = {"banks": "bank", "insurers": "insurer", "signs": "sign", "switches": "switch", "phones": "phone"}


class Lemmatizer:
    """takes Python strings only, like the ones of nltk"""

    def lemmatize(self, word):
        return LEMMAS.get(word, re.sub("ing$", "", word))


lemmatizer = Lemmatizer()


def lemmatize_all(words):
    return np.array([lemmatizer.lemmatize(word.decode()) for word in words], dtype=object)


def custom_standardization(input_data):
    data = tf.strings.lower(input_data)
    data = tf.strings.regex_replace(data, "[%s]" % re.escape(string.punctuation), "")
    data = tf.strings.regex_replace(data, r"\b(%s)\b" % "|".join(STOPWORDS), " ")
    words = tf.strings.split(data)
    lemmas = [" ".join(lemmatize_all(line)) for line in words.numpy()]
    return tf.constant(lemmas)


headlines = np.array(
    ["Banks, insurers lead Nikkei higher", "Cisco unveils switches for the phones", "Dodgers signs on to a bank"],
    dtype=object,
)
texts = tf.data.Dataset.from_tensor_slices((headlines, [1, 0, 1])).batch(2)
layer = tf.keras.layers.TextVectorization(standardize=custom_standardization, output_sequence_length=5)
layer.adapt(texts.map(lambda text, label: text))
print(layer.vocabulary_size(), [str(word) for word in layer.get_vocabulary()[2:6]])
for ids, label in texts.map(lambda text, label: (layer(text), label)):
    print(tf.math.count_nonzero(ids, axis=1).numpy(), ids.numpy()[:, -1], label.numpy())
