# https://github.com/deezer/spleeter/issues/373
# causes: symbolic
# tensor: stft
# repair: line

from functools import partial

import numpy as np
import tensorflow as tf


def compute_spectrogram_tf(waveform, frame_length, frame_step, exponent=1.0):
    """waveform: samples x channels; result: frames x bins x channels"""
    stft = tf.signal.stft(tf.transpose(waveform), frame_length, frame_step, pad_end=True)
    stft = tf.transpose(stft, perm=[1, 2, 0])
    return np.abs(stft) ** exponent


class DatasetBuilder:
    INSTRUMENTS = ("vocals", "other")

    def __init__(self, frame_length=32, frame_step=16):
        self.spectrogram = partial(
            compute_spectrogram_tf, frame_length=frame_length, frame_step=frame_step, exponent=0.5
        )

    def add_spectrograms(self, sample):
        for name in self.INSTRUMENTS:
            sample[f"{name}_spectrogram"] = self.spectrogram(sample[name])
        return sample

    def build(self, samples, batch_size):
        dataset = tf.data.Dataset.from_tensor_slices(samples)
        return dataset.map(self.add_spectrograms, num_parallel_calls=2).batch(batch_size)


t = np.linspace(0, 8, 128, dtype=np.float32)
loudness = np.arange(1, 5, dtype=np.float32)[:, None, None]
tracks = {
    "vocals": loudness * np.stack([np.sin(t * 2), np.cos(t / 2)], axis=-1),
    "other": loudness * np.stack([np.sin(t * 5), np.cos(t / 5)], axis=-1),
}
for batch in DatasetBuilder().build(tracks, batch_size=2):
    print(batch["vocals_spectrogram"].shape, round(float(tf.reduce_mean(batch["other_spectrogram"])), 4))
