"""Programs whose errors have nothing to do with tensors becoming arrays: (url of the test file read, program)."""

PROGRAMS: list[tuple[str, str]] = [
    (
        "https://github.com/pytorch/pytorch/blob/00131b6bd4bedfa71eb27b407292be0ba45e5ee8/test/nn/test_convolution.py",
        """\
import torch
import torch.nn as nn

frames = torch.rand(2, 3, 6)
encoder = nn.Conv1d(3, 8, kernel_size=9)
features = encoder(frames)
print(features.shape)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/00131b6bd4bedfa71eb27b407292be0ba45e5ee8/test/nn/test_convolution.py",
        """\
import torch
from torch import nn

picture = torch.zeros(1, 3, 32, 32)
print(nn.Conv2d(3, 4, 3, padding="same", stride=2)(picture).shape)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/00131b6bd4bedfa71eb27b407292be0ba45e5ee8/test/nn/test_convolution.py",
        """\
import torch
from torch import nn

model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(100, 2))
logits = model(torch.rand(5, 1, 8, 8))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/013a59d6d3b4d2ac367f0ef146c61568ca9f8f2d/test/nn/test_embedding.py",
        """\
import torch

words = torch.nn.Embedding(num_embeddings=10, embedding_dim=4)
sentence = torch.tensor([1, 5, 12])
vectors = words(sentence)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/00b6bcf576b703b3b347b09c330571375069ffdb/test/nn/test_pooling.py",
        """\
import torch
from torch import nn

small, where = nn.MaxPool2d(2, return_indices=True)(torch.rand(1, 1, 6, 6))
restored = nn.MaxUnpool2d(2)(small, where, output_size=(11, 11))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0157c9eea1c01749eb0853d2d4742fff6959607a/test/nn/test_packed_sequence.py",
        """\
import torch
from torch.nn.utils.rnn import pack_sequence

notes = [torch.ones(2), torch.ones(5), torch.ones(3)]
packed = pack_sequence(notes)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0202320fe821c01380b7749199c8024f54081217/test/nn/test_init.py",
        """\
import torch
from torch.nn import init

gate = torch.empty(16)
init.xavier_uniform_(gate)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/test_indexing.py",
        """\
import torch

board = torch.arange(24).view(2, 3, 4)
for column in range(5):
    print(board[0, 2, column])
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/test_indexing.py",
        """\
import torch

losses = torch.rand(8).mean()
first = losses[0]
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/test_indexing.py",
        """\
import torch

ages = torch.tensor([30, 41, 52, 63])
young = ages["0":"2"]
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/test_indexing.py",
        """\
import torch

spot = torch.tensor(2.5)
row, column = torch.unravel_index(spot, (3, 3))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import DataLoader, TensorDataset

pairs = TensorDataset(torch.rand(10, 2), torch.zeros(10))
for x, y in DataLoader(pairs, batch_size=5, num_workers=-2):
    print(x.shape)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import DataLoader, SequentialSampler

points = torch.rand(12, 3)
loader = DataLoader(points, sampler=SequentialSampler(points), shuffle=True)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import StackDataset, TensorDataset

left, right = TensorDataset(torch.rand(6, 2)), TensorDataset(torch.rand(5, 2))
both = StackDataset(image=left, label=right)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import DataLoader

loader = DataLoader([torch.rand(2) for _ in range(6)], batch_size=2)
for batch in loader:
    loader.batch_size = batch.shape[0] * 2
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import random_split

samples = torch.arange(20.0)
train, valid = random_split(samples, [0.8, 0.3])
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import DataLoader

clips = [torch.zeros(length) for length in (4, 4, 7)]
for batch in DataLoader(clips, batch_size=3):
    print(batch.mean())
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74436f9025609987bbc69c617564f98635b67807/test/test_dataloader.py",
        """\
import torch
from torch.utils.data import DataLoader, Dataset

class Pets(Dataset):
    def __init__(self):
        self.pixels = torch.rand(4, 8)
    def __len__(self):
        return len(self.pixels)

print(next(iter(DataLoader(Pets(), batch_size=2))))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/01c12b21da48d378acb804c80e1955c7ac3f55a4/test/test_view_ops.py",
        """\
import torch

table = torch.arange(6).reshape(2, 3)
flat = table.t().view(-1)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/01f9ef32eae5ef513002dd44902c23cbe6be3aae/test/optim/test_lrscheduler.py",
        """\
import torch
from torch.optim.lr_scheduler import StepLR

weight = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
schedule = StepLR(optimizer, step_size=2, last_epoch=4)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/01f9ef32eae5ef513002dd44902c23cbe6be3aae/test/optim/test_lrscheduler.py",
        """\
import torch
from torch.optim.lr_scheduler import LRScheduler

class Halving(LRScheduler):
    def get_lr(self, epoch):
        return [base / 2 ** epoch for base in self.base_lrs]

schedule = Halving(torch.optim.SGD([torch.rand(3)], lr=0.5))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/14bf97ae6322923a44317378bdc4923fbecbd01c/test/nn/test_load_state_dict.py",
        """\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
saved = {"0.weight": torch.eye(2), "0.bias": torch.zeros(2)}
net.load_state_dict(saved)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/14bf97ae6322923a44317378bdc4923fbecbd01c/test/nn/test_load_state_dict.py",
        """\
import torch

model = torch.nn.Linear(2, 1)
before = model(torch.ones(1, 2))
model.load_state_dict("checkpoints/best.pt")
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

class Scaler(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = 0.0
        self.register_buffer("mean", torch.zeros(3))

scaler = Scaler()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

norm = torch.nn.Module()
norm.register_buffer("low", torch.zeros(2))
norm.register_buffer("high", 255)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch import nn

layer = nn.Linear(3, 3)
layer.weight = torch.eye(3) * 0.5
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch import nn

class Head(nn.Module):
    @property
    def width(self):
        return self.fc.out_features

sizes = (torch.rand(2, 2).shape[0], Head().width)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

prob = torch.sigmoid(torch.randn(6, 1))
answer = torch.ones(6)
loss = torch.nn.BCELoss()(prob, answer)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch.nn import functional as F

logits = torch.randn(4, 3, requires_grad=True)
labels = torch.tensor([0.0, 2.0, 1.0, 1.0])
loss = F.cross_entropy(logits, labels)
loss.backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
import torch.nn as nn

criterion = nn.NLLLoss()
guess = torch.log_softmax(torch.rand(10, 4), dim=1)
print(criterion(guess, torch.zeros(7, dtype=torch.long)))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch import nn

class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))
Tower()(torch.rand(2, 4))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        self.proj = nn.Linear(2, 2)
    def forward(self, x):
        return self.proj(x)

y = Block()(torch.rand(1, 2))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/001058266dc1bec37f7f2426ea350246326bcb7c/test/test_nn.py",
        """\
import torch
from torch import nn

bank = nn.ParameterList([nn.Parameter(torch.rand(2))])
bank.extend(nn.Parameter(torch.rand(2)))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/001058266dc1bec37f7f2426ea350246326bcb7c/test/test_nn.py",
        """\
import torch

net = torch.nn.Module()
net.add_module("embedding", torch.rand(10, 4))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/5c322af10e52e4d236104ceefd542f34e6dcf20a/test/test_autograd.py",
        """\
import torch

w = torch.tensor([1.0, 2.0], requires_grad=True)
cost = (w ** 2).sum()
for step in range(2):
    cost.backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/5c322af10e52e4d236104ceefd542f34e6dcf20a/test/test_autograd.py",
        """\
import torch

theta = torch.rand(3, requires_grad=True)
theta += 0.1
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/5c322af10e52e4d236104ceefd542f34e6dcf20a/test/test_autograd.py",
        """\
import torch

inputs, target = torch.rand(4), torch.rand(4)
error = (inputs - target).abs().mean()
error.backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/5c322af10e52e4d236104ceefd542f34e6dcf20a/test/test_autograd.py",
        """\
import torch

counts = torch.tensor([1, 2, 3])
counts.requires_grad_()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/5c322af10e52e4d236104ceefd542f34e6dcf20a/test/test_autograd.py",
        """\
import torch

x = torch.ones(2, 2, requires_grad=True)
y = x.exp()
y.mul_(2)
y.sum().backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0007ed0b37cac94bd8aa9125dc845c415ea427a4/test/test_torch.py",
        """\
import torch

m, v = torch.rand(5, 3), torch.rand(4)
projected = m @ v
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0007ed0b37cac94bd8aa9125dc845c415ea427a4/test/test_torch.py",
        """\
import torch

batch = torch.rand(2, 2)
batch = batch.to("gpu")
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/005941ebcd15da658ae14bf349b5457517ff9318/test/test_optim.py",
        """\
import torch

bias = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.Adam(bias, lr=1e-3)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/005941ebcd15da658ae14bf349b5457517ff9318/test/test_optim.py",
        """\
import torch

net = torch.nn.Linear(2, 1)
optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01, momentum=-0.9)
net(torch.rand(1, 2)).backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/005941ebcd15da658ae14bf349b5457517ff9318/test/test_optim.py",
        """\
import torch

p, q = (torch.rand(2, requires_grad=True) for _ in range(2))
saved = torch.optim.SGD([p, q], lr=0.1).state_dict()
torch.optim.SGD([p], lr=0.1).load_state_dict(saved)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0100345680abd2ab9053cabf39991e329d843035/test/nn/test_module_hooks.py",
        """\
import torch
from torch import nn

act = nn.Tanh()
act.register_full_backward_hook(lambda module, grad_in, grad_out: grad_in + grad_out)
act(torch.rand(3, requires_grad=True)).sum().backward()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/03f76200b7b3eccc1be6d93f2841dcfea04d972e/test/nn/test_multihead_attention.py",
        """\
import torch

attention = torch.nn.MultiheadAttention(embed_dim=8, num_heads=2)
query, memory = torch.rand(5, 1, 8), torch.rand(5, 8)
mixed, weights = attention(query, memory, memory)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0000c2534a6d797409a46c1a5a6db9d739131960/test/test_linalg.py",
        """\
import torch

values, vectors = torch.linalg.eigh(torch.rand(3, 4))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/001d3e8c0b8d859b03f29320ec299dfc6212a885/test/test_tensor_creation_ops.py",
        """\
import torch

chunks = [torch.rand(n) for n in (1, 2, 3)]
long_ones = torch.cat([c for c in chunks if c.numel() > 5])
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/nn/test_parametrization.py",
        """\
import torch
from torch import nn
from torch.nn.utils import parametrize

class Positive(nn.Module):
    def forward(self, raw):
        return torch.exp(raw)

parametrize.register_parametrization(nn.Linear(2, 2), "wieght", Positive())
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/017943b70f6920c395e3b6dac100e2cd7ecfa92a/test/nn/test_parametrization.py",
        """\
import torch

class Mixer(torch.nn.Module):
    def forward(self, left, right, gate):
        return left * gate + right * (1 - gate)

out = Mixer()(torch.rand(3), torch.rand(3))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/058aaae32fc1c5d3524cac5d6c36eeb9b8039292/test/nn/test_pruning.py",
        """\
import torch
from torch.nn.utils import prune

layer = torch.nn.Linear(4, 4)
prune.l1_unstructured(layer, name="weight", amount=25.0)
print((layer.weight == 0).sum(), torch.__version__)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/00fedc169cae9e968f22c7804d74452791a9d70d/test/test_type_promotion.py",
        """\
import torch

hits = torch.zeros(3, dtype=torch.int64)
hits += torch.tensor([0.5, 1.5, 2.5])
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/009e3c697aeccacdbf02de84b1aa0cf535fdf0dd/test/distributions/test_distributions.py",
        """\
import torch
from torch.distributions import Normal

mu, sigma = torch.zeros(2), torch.tensor([1.0, -0.5])
noise = Normal(mu, sigma, validate_args=True).rsample()
""",
    ),
    (
        "https://github.com/huggingface/transformers/blob/15ea02a2add1672acbeee158a9448720d6093de1/tests/utils/test_model_output.py",
        """\
import torch
from dataclasses import dataclass

@dataclass
class Prediction:
    logits: torch.Tensor
    attention: torch.Tensor

result = Prediction(torch.rand(2, 3), torch.rand(2, 2))
labels = result.logit.argmax(dim=-1)
""",
    ),
    (
        "https://github.com/huggingface/transformers/blob/15ea02a2add1672acbeee158a9448720d6093de1/tests/utils/test_model_output.py",
        """\
import torch
from collections import OrderedDict

outputs = OrderedDict(loss=torch.tensor(0.7), logits=torch.rand(2, 2))
hidden = outputs["hidden_states"].mean(dim=1)
""",
    ),
    (
        "https://github.com/huggingface/transformers/blob/0028079200b68f72395a445d2ecb550df919bc12/tests/trainer/test_data_collator.py",
        """\
import torch

features = [{"ids": [4, 8, 15]}, {"ids": [16, 23]}]
mask = torch.ones(2, 3)
ids = torch.tensor([f["ids"] for f in features]) * mask
""",
    ),
    (
        "https://github.com/huggingface/transformers/blob/0028079200b68f72395a445d2ecb550df919bc12/tests/trainer/test_data_collator.py",
        """\
import torch

class Tokenizer:
    pad_token_id = None
    def encode(self, text):
        return [ord(c) % 50 for c in text]

tok = Tokenizer()
mask = torch.zeros(2, 8)
batch = torch.full(mask.shape, tok.pad_token_id)
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_fabric/utilities/test_data.py",
        """\
import torch

class State(dict):
    def __getattr__(self, name):
        if name not in self:
            raise AttributeError(f"State holds no entry named {name!r}")
        return self[name]

state = State(weights=torch.rand(3), epoch=4)
print(state.weights.sum(), state.optimizer)
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_pytorch/loops/test_evaluation_loop.py",
        """\
import torch

class Classifier(torch.nn.Module):
    def forward(self, x):
        return x.softmax(dim=-1)

model = Classifier()
model.fit(torch.rand(8, 3), torch.randint(0, 3, (8,)))
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_pytorch/core/test_lightning_module.py",
        """\
import torch

class Logbook:
    def log(self, name, value):
        if isinstance(value, (list, tuple)):
            raise ValueError(f"cannot log a {type(value).__name__} under {name!r}")
        print(name, value)

Logbook().log("losses", [torch.rand(1), torch.rand(1)])
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
import torch

history = []
image, label = torch.rand(4), torch.tensor(1)
history.append(image, label)
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
import torch

steps = []
for value in torch.linspace(0, 1, 3):
    steps = steps.append(value)
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
import torch

ready = [torch.zeros(2), torch.ones(2)]
merged = ready.pop(2) + ready[0]
""",
    ),
    (
        "https://github.com/python/cpython/blob/01ff4dbb73da5199381f86cff2cb9907c7683b5c/Lib/test/string_tests.py",
        """\
import torch

loss = torch.tensor([1.0, 3.0]).mean()
print("loss so far: " + loss)
""",
    ),
    (
        "https://github.com/python/cpython/blob/01ff4dbb73da5199381f86cff2cb9907c7683b5c/Lib/test/string_tests.py",
        """\
import torch

weights = {"fc1": torch.rand(2), "fc2": torch.rand(3)}
sizes = [w.numel() for w in weights.values()]
print(", ".join(sizes))
""",
    ),
    (
        "https://github.com/python/cpython/blob/00c3a65cc41398f41596dead8a3dad460e22cbf5/Lib/test/test_dict.py",
        """\
import torch

centers = {"cat": torch.rand(2), "dog": torch.rand(2)}
gap = (centers["cat"] - centers["bird"]).norm()
""",
    ),
    (
        "https://github.com/python/cpython/blob/0046d00421f3bf8786ca28dee80e8052c7d59660/Lib/test/test_dataclasses/__init__.py",
        """\
import torch
from dataclasses import dataclass

@dataclass
class Candidate:
    score: torch.Tensor
    name: str

beam = [Candidate(torch.tensor(0.2), "a"), Candidate(torch.tensor(0.9), "b")]
best = sorted(beam)[0]
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

x = torch.rand(2, 6)
x = x.resphape(3, 4)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

hidden = torch.rand(2, 3, requires_grad=True)
hidden.sum().backwards()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
first = torch.rand(1, 2)
both = net(first, torch.rand(1, 2))
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

def pick(batch):
    if batch.dim() == 3:
        return batch[0]

layer = torch.nn.Linear(4, 1)
print(layer(pick(torch.rand(2, 4))))
""",
    ),
    (
        "https://github.com/pandas-dev/pandas/blob/003b99308ac7c042622d467ce33e007933f4e908/pandas/tests/frame/indexing/test_indexing.py",
        """\
import pandas as pd
import torch

frame = pd.DataFrame({"age": [31, 44], "city": ["Oslo", "Lima"]})
report = {"w": torch.rand(2).sum(), "rows": frame["agee"].max()}
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/_core/tests/test_shape_base.py",
        """\
import numpy as np
import torch

kept = [np.arange(3)[:0]]
summary = (torch.rand(3).mean(), np.concatenate(kept[1:]))
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/linalg/tests/test_linalg.py",
        """\
import numpy as np
import torch

scale = torch.ones(2, 2)
pair = scale.det(), np.linalg.solve(np.eye(3), np.ones(4))
""",
    ),
    (
        "https://github.com/matplotlib/matplotlib/blob/00495d9e7ccf4e14b42afbff85899b2d57fb939e/lib/matplotlib/tests/test_lines.py",
        """\
import matplotlib.pyplot as plt
import torch

fig, ax = plt.subplots()
title = f"{torch.rand(3).shape[0]} epochs"
ax.plot([1, 2, 3], [0.9, 0.5, 0.4], label=title, linestyle="wiggly")
""",
    ),
    (
        "https://github.com/scikit-learn/scikit-learn/blob/00338e9003e753fbc81f2677a237c9cb11f1b159/sklearn/tests/test_pipeline.py",
        """\
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

extra = torch.rand(2, 2)
pipe = make_pipeline(StandardScaler())
done = (extra.T, pipe.set_params(scaler__with_mean=False))
""",
    ),
    (
        "https://github.com/python/cpython/blob/000bd4254fa23a9ea3dee356ac747f48c3b0e74f/Lib/test/test_exceptions.py",
        """\
import json
import torch

x = torch.rand(2, 3)
print(x.ndim, json.dumps({"axes": {0, 1}}))
""",
    ),
    (
        "https://github.com/huggingface/transformers/blob/15ea02a2add1672acbeee158a9448720d6093de1/tests/utils/test_model_output.py",
        """\
import torch
from dataclasses import dataclass

@dataclass
class Batch:
    pixels: torch.Tensor
    labels: torch.Tensor

batch = Batch(torch.rand(2, 4), torch.tensor([0, 1]))
batch = batch.to("cpu")
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_fabric/utilities/test_data.py",
        """\
import torch

class Meter:
    def __init__(self):
        self.total = torch.zeros(())
    def update(self, value):
        self.total += value

meter = Meter()
meter.updat(torch.tensor(0.25))
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
import torch

names = None
width = torch.rand(3).sum() * len(names)
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_fabric/utilities/test_data.py",
        """\
import torch

config = {"device": "cpu", "dtype": torch.float32}
x = torch.rand(3).to(config.device)
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
import torch

targets = [0, 2, 1]
pred = torch.rand(3, 3)
match = (pred.argmax(dim=1).float(), targets.float())
""",
    ),
    (
        "https://github.com/python/cpython/blob/01ff4dbb73da5199381f86cff2cb9907c7683b5c/Lib/test/string_tests.py",
        """\
import torch

row, title = torch.rand(1, 3).squeeze(), " epoch 3 ".squeeze()
""",
    ),
    (
        "https://github.com/keras-team/keras/blob/3422977a5e38fb2f7709aaa9a08e47f0c43d0f60/keras/src/activations/activations_test.py",
        """\
import torch
import torch.nn.functional as F

h = torch.randn(2, 4)
h = F.leaky_rellu(h, 0.1)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/0007ed0b37cac94bd8aa9125dc845c415ea427a4/test/test_torch.py",
        """\
import torch

image = torch.zeros(3, 8, 8)
channels, height, width = image.shape()
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/74f2fa66feec00335f72813782f4802e80bff4cb/test/test_nn.py",
        """\
import torch

net = torch.nn.Linear(3, 2)
total = sum(p.numel() for p in net.parameters)
""",
    ),
    (
        "https://github.com/pytorch/pytorch/blob/005941ebcd15da658ae14bf349b5457517ff9318/test/test_optim.py",
        """\
import torch

weight = torch.rand(2, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
weight.sum().backward()
optimizer.zero_grad().step()
""",
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/7f0c3436cd3f6ad3753125672024fc415cbcb414/tests/tests_fabric/utilities/test_data.py",
        """\
class Settings:
    def __init__(self, **options):
        self.options = options

settings = Settings(device="cpu", seed=3)
settings.to("cuda")
""",
    ),
    (
        "https://github.com/python/cpython/blob/01ff4dbb73da5199381f86cff2cb9907c7683b5c/Lib/test/string_tests.py",
        """\
device = "cuda:0"
moved = device.to("cpu")
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
lengths = [3, 5, 8]
print(lengths.shape[0])
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
prices = [[1.5, 2.0], [3.25, 4.0]]
column = prices.squeeze()[0]
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
votes = [1, 0, 1, 1]
share = sum(votes.float()) / len(votes)
""",
    ),
    (
        "https://github.com/python/cpython/blob/014fd8fa52730376d4cc571ad5d1a94e985dae43/Lib/test/list_tests.py",
        """\
raw = ["4", "7", "11"]
print(max(raw.astype(int)))
""",
    ),
    (
        "https://github.com/python/cpython/blob/00c3a65cc41398f41596dead8a3dad460e22cbf5/Lib/test/test_dict.py",
        """\
class Cart:
    def __init__(self):
        self.items = {"apple": 2}

cart = Cart()
cart.item["apple"] += 1
""",
    ),
    (
        "https://github.com/python/cpython/blob/0046d00421f3bf8786ca28dee80e8052c7d59660/Lib/test/test_dataclasses/__init__.py",
        """\
from dataclasses import dataclass

@dataclass
class Reading:
    sensor: str
    value: float

print(Reading("door", 2.5).data)
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/_core/tests/test_indexing.py",
        """\
import numpy as np

samples = np.arange(10)
middle = samples[len(samples) / 2]
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/_core/tests/test_multiarray.py",
        """\
import numpy as np

palette = np.array([10, 20, 30])
palette.flags.writeable = False
palette[1] = 25
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/_core/tests/test_einsum.py",
        """\
import numpy as np

a = np.ones((2, 3))
print(np.einsum("ij,jk->il", a, a.T))
""",
    ),
    (
        "https://github.com/numpy/numpy/blob/1f90bbb55e65e7de68921bc3f1a2d94492fdf689/numpy/random/tests/test_generator_mt19937.py",
        """\
import numpy as np

rng = np.random.default_rng(5)
draws = rng.multinomial(20, [0.9, 0.4, 0.1])
""",
    ),
    (
        "https://github.com/pandas-dev/pandas/blob/003b99308ac7c042622d467ce33e007933f4e908/pandas/tests/frame/indexing/test_indexing.py",
        """\
import pandas as pd

stock = pd.DataFrame({"part": ["bolt", "nut"], "count": [4, 9]})
print(stock.quantity.sum())
""",
    ),
    (
        "https://github.com/pandas-dev/pandas/blob/003b99308ac7c042622d467ce33e007933f4e908/pandas/tests/frame/indexing/test_indexing.py",
        """\
import pandas as pd

log = pd.DataFrame({"t": [0, 1, 2]})
log["temp"] = [21.5, 22.0]
""",
    ),
    (
        "https://github.com/pandas-dev/pandas/blob/00e87ba2f54cdb0eda7d16d3067c0adab9178865/pandas/tests/reshape/merge/test_merge.py",
        """\
import pandas as pd

people = pd.DataFrame({"name": ["Ann"], "team": [1]})
teams = pd.DataFrame({"id": [1], "title": ["red"]})
print(people.merge(teams))
""",
    ),
    (
        "https://github.com/scikit-learn/scikit-learn/blob/002c6fc07943c6af582b2f9a845ca51235d121fc/sklearn/utils/tests/test_validation.py",
        """\
from sklearn.linear_model import LinearRegression

model = LinearRegression()
model.fit([[1.0], [float("nan")], [3.0]], [1.0, 2.0, 3.0])
""",
    ),
    (
        "https://github.com/scikit-learn/scikit-learn/blob/000bdc99e6807847c08a66e0356b778f2a89ec3b/sklearn/linear_model/tests/test_base.py",
        """\
import numpy as np
from scipy import sparse
from sklearn.linear_model import LinearRegression

LinearRegression(positive=True).fit(sparse.eye(4, format="csr"), np.arange(4.0))
""",
    ),
    (
        "https://github.com/matplotlib/matplotlib/blob/009415f3ebe1087f13a0acfda02734874b1e8d39/lib/matplotlib/tests/test_figure.py",
        """\
import matplotlib.pyplot as plt

fig = plt.figure()
corner = fig.add_subplot(2, 2, 5)
corner.set_title("last")
""",
    ),
    (
        "https://github.com/matplotlib/matplotlib/blob/00b5a20c01ae7b00a3feb46cd4007ecfe55c2c16/lib/matplotlib/tests/test_colors.py",
        """\
import matplotlib.colors as mcolors

shades = [mcolors.to_rgba(level) for level in ("0.2", 0.6)]
""",
    ),
    (
        "https://github.com/scipy/scipy/blob/3dbf660a919b1479cdf30d533176053b428d08d3/scipy/stats/tests/test_stats.py",
        """\
from scipy import stats

r = stats.pearsonr([1.0, 2.0, 4.0], [2.0, 3.0])
""",
    ),
    (
        "https://github.com/scipy/scipy/blob/3dbf660a919b1479cdf30d533176053b428d08d3/scipy/optimize/tests/test_minpack.py",
        """\
from scipy.optimize import fsolve

def balance(p):
    return [p[0] - 1.0]

root = fsolve(balance, [0.5, 0.5])
""",
    ),
    (
        "https://github.com/keras-team/keras/blob/3422977a5e38fb2f7709aaa9a08e47f0c43d0f60/keras/src/activations/activations_test.py",
        """\
ACTIVATIONS = {"relu": lambda v: max(v, 0.0), "linear": lambda v: v}

def lookup(name):
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation called {name!r}, choose from {sorted(ACTIVATIONS)}")
    return ACTIVATIONS[name]

print(lookup("rellu")(-1.0))
""",
    ),
    (
        "https://github.com/scikit-learn/scikit-learn/blob/00338e9003e753fbc81f2677a237c9cb11f1b159/sklearn/tests/test_pipeline.py",
        """\
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pipe = make_pipeline(StandardScaler(), PCA(n_components=1))
groups = pipe.fit_predict([[0.0, 1.0], [2.0, 5.0]])
""",
    ),
]
