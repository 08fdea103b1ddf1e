# https://github.com/spro/char-rnn.pytorch/issues/2
# causes: why
# tensor: hidden
# repair: line

import torch
import torch.nn as nn

torch.manual_seed(0)
device = torch.device("cpu")  # "cuda" on the lab machine


class CharRNN(nn.Module):
    def __init__(self, vocab, hidden_size, model="gru"):
        super().__init__()
        self.model = model
        self.hidden_size = hidden_size
        self.encoder = nn.Embedding(vocab, hidden_size)
        cell = nn.LSTM if model == "lstm" else nn.GRU
        self.rnn = cell(hidden_size, hidden_size, batch_first=True)
        self.decoder = nn.Linear(hidden_size, vocab)

    def init_hidden(self, batch_size):
        zeros = torch.zeros(1, batch_size, self.hidden_size)
        if self.model == "lstm":
            return zeros, zeros.clone()
        return zeros

    def forward(self, inp, hidden):
        out, hidden = self.rnn(self.encoder(inp), hidden)
        return self.decoder(out), hidden


def train(inp, target):
    hidden = net.init_hidden(inp.size(0))
    hidden = hidden.to(device)
    opt.zero_grad()
    logits, hidden = net(inp.to(device), hidden)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    loss.backward()
    opt.step()
    return loss.item()


net = CharRNN(11, 8, model="lstm").to(device)
opt = torch.optim.Adam(net.parameters(), lr=0.05)
text = torch.randint(0, 11, (4, 17))
history = [train(text[:, :-1], text[:, 1:]) for _ in range(5)]
print([round(v, 4) for v in history])
print(round(net.decoder.weight.detach().abs().sum().item(), 4))
