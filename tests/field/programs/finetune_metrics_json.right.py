# https://github.com/ServiceNow/PipelineRL/issues/94

import io
import json
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn


@dataclass
class TrainingMetrics:
    completed_steps: int = 0
    samples: int = 0
    train_loss: float = 1e9
    grad_norm: float = 0.0
    lr: float = 0.0


def rl_finetuning_worker(model, max_train_steps):
    training_metrics = TrainingMetrics()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    while training_metrics.completed_steps < max_train_steps:
        obs, advantage = torch.randn(8, 4), torch.randn(8)
        loss = -(model(obs).squeeze(-1) * advantage).mean()
        loss.backward()
        training_metrics.grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5).item()
        optimizer.step()
        optimizer.zero_grad()
        training_metrics.completed_steps += 1
        training_metrics.samples += len(obs)
        training_metrics.train_loss = round(loss.item(), 5)
        training_metrics.lr = optimizer.param_groups[0]["lr"]

    wf = io.StringIO()
    json.dump(asdict(training_metrics), wf, indent=4, sort_keys=True)
    return wf.getvalue()


torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
saved = json.loads(rl_finetuning_worker(policy, max_train_steps=3))
print({k: round(v, 4) for k, v in saved.items()})
print(round(policy[0].weight.detach().abs().sum().item(), 4))
