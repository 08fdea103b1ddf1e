# https://github.com/PacktPublishing/Deep-Learning-with-PyTorch-Quick-Start-Guide/issues/4

import math

import numpy as np
import torch
import torch.nn as nn


def sinusoid_table(n_position, d_hid):
    position = np.arange(n_position, dtype=np.float32)[:, None]
    div = np.exp(np.arange(0, d_hid, 2, dtype=np.float32) * -(math.log(10000.0) / d_hid))
    table = np.zeros((1, n_position, d_hid), dtype=np.float32)
    table[0, :, 0::2] = np.sin(position * div)
    table[0, :, 1::2] = np.cos(position * div)
    return table


class TinyEncoder(nn.Module):
    def __init__(self, vocab=11, d_model=8, max_len=20):
        super().__init__()
        self.emb = nn.Embedding(vocab, d_model)
        self.pe = sinusoid_table(max_len, d_model)
        self.block = nn.TransformerEncoderLayer(d_model, 2, 16, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d_model, vocab)

    def forward(self, tokens):
        x = self.emb(tokens) * math.sqrt(self.emb.embedding_dim)
        x = torch.from_numpy(self.pe[:, : x.size(1)]) + x
        return self.out(self.block(x))


torch.manual_seed(0)
net = TinyEncoder()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
src = torch.randint(0, 11, (4, 6))
for _ in range(5):
    logits = net(src)
    loss = nn.functional.cross_entropy(logits.transpose(1, 2), src.flip(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", round(loss.item(), 3))
print("embedding", round(net.emb.weight.abs().sum().item(), 3), round(net.emb.weight.grad.abs().sum().item(), 3))
