# https://github.com/guidance-ai/guidance/pull/1086

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn


@dataclass
class CausalLMOutput:
    logits: torch.Tensor
    past: object = None


class TinyLM(nn.Module):
    def __init__(self, vocab=16, dim=8):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def forward(self, input_ids):
        return CausalLMOutput(logits=self.lm_head(self.emb(input_ids).cumsum(dim=1)))


class Engine:
    def __init__(self, model, tokens):
        self.model_obj = model
        self.tokens = tokens

    @torch.inference_mode()
    def get_logits(self, token_ids):
        model_out = self.model_obj(torch.tensor([token_ids]))
        # the embedding matrix is padded, cut it to the real vocabulary
        return model_out.logits[0, -1, : len(self.tokens)].float().cpu().numpy()

    def greedy(self, prompt, n):
        ids = list(prompt)
        for _ in range(n):
            ids.append(int(np.argmax(self.get_logits(ids))))
        return ids


torch.manual_seed(0)
engine = Engine(TinyLM().to(torch.bfloat16), tokens=list("abcdefghijkl"))
print("".join(engine.tokens[i] for i in engine.greedy([1, 2], 5)))
print(f"{float(engine.get_logits([3]).mean()):.4f}")
