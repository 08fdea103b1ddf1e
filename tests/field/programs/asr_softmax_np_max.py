# https://github.com/NVIDIA-NeMo/Speech/pull/2914
# causes: why
# tensor: logits
# repair: elsewhere

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

labels = list(" abc'")


def softmax(logits):
    e = np.exp(logits - np.max(logits))
    return e / e.sum(axis=-1).reshape([logits.shape[0], 1])


class Recognizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(4, 8, batch_first=True)
        self.decoder = nn.Linear(8, len(labels) + 1)

    @torch.no_grad()
    def transcribe(self, audios, logprobs=False):
        hypotheses = []
        for audio in audios:
            out = self.decoder(self.encoder(audio[None])[0])[0]
            hypotheses.append(out if logprobs else out.argmax(-1))
        return hypotheses


torch.manual_seed(0)
asr_model = Recognizer().eval()
files = [torch.randn(12, 4)]
logits = asr_model.transcribe(files, logprobs=True)[0]

# letter probabilities over time
probs = softmax(logits)
fig, ax = plt.subplots()
for k, symbol in enumerate(labels + ["blank"]):
    ax.plot(0.02 * np.arange(len(probs)), probs[:, k], label=symbol)
ax.legend()
print(probs.shape, round(float(probs.sum(-1).mean()), 4))
print([round(float(line.get_ydata().mean()), 4) for line in ax.lines])
