# https://github.com/determined-ai/determined/pull/1610
# causes: why
# tensor: metrics
# repair: line

import json

import tensorflow as tf


class Trial:
    def __init__(self):
        tf.keras.utils.set_random_seed(0)
        self.net = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
        self.loss = tf.keras.metrics.Mean("loss")
        self.mae = tf.keras.metrics.MeanAbsoluteError("mae")
        self.lines = []

    def validate(self, dataset):
        self.loss.reset_state()
        self.mae.reset_state()
        for x, y in dataset:
            out = self.net(x)
            self.loss.update_state(tf.square(out - y))
            self.mae.update_state(y, out)
        return {m.name: m.result() for m in (self.loss, self.mae)}

    def report(self, step, metrics):
        line = json.dumps({"step": step, "metrics": metrics})
        self.lines.append(line)


x = tf.reshape(tf.linspace(-1.0, 1.0, 20), (10, 2))
data = tf.data.Dataset.from_tensor_slices((x, x[:, :1] * 3)).batch(5)
trial = Trial()
trial.report(step=1, metrics=trial.validate(data))
back = json.loads(trial.lines[0])
print(back["step"], {k: round(v, 4) for k, v in back["metrics"].items()})
