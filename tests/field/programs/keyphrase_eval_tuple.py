# https://github.com/huggingface/transformers/issues/7760
# causes: why
# tensor: batch_output
# repair: line

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class BertForTagging(nn.Module):
    """Answers like the old library: always a tuple, with the loss in front if there are labels."""

    def __init__(self, vocab=30, num_tags=3):
        super().__init__()
        self.emb = nn.Embedding(vocab, 12)
        self.cls = nn.Linear(12, num_tags)

    def forward(self, ids, attention_mask=None, labels=None):
        logits = self.cls(self.emb(ids) * attention_mask.unsqueeze(-1))
        if labels is None:
            return (logits,)
        return F.cross_entropy(logits.transpose(1, 2), labels), logits


torch.manual_seed(0)
idx2tag = {0: "O", 1: "B", 2: "I"}
model = BertForTagging().eval()
data = torch.randint(0, 30, (3, 2, 7))
tags = torch.randint(0, 3, (3, 2, 7))
data_iterator = iter(zip(data, tags))

true_tags, pred_tags, losses = [], [], []
for _ in range(3):
    batch_data, batch_tags = next(data_iterator)
    batch_masks = batch_data.gt(0)
    loss, _ = model(batch_data, attention_mask=batch_masks, labels=batch_tags)
    losses.append(loss.item())
    batch_output = model(batch_data, attention_mask=batch_masks)

    batch_output = batch_output.detach().cpu().numpy()
    batch_tags = batch_tags.to("cpu").numpy()
    pred_tags.extend([idx2tag.get(i) for row in np.argmax(batch_output, axis=2) for i in row])
    true_tags.extend([idx2tag.get(i) for row in batch_tags for i in row])

print("".join(pred_tags))
print("accuracy", sum(p == t for p, t in zip(pred_tags, true_tags)), "/", len(true_tags))
print("loss", round(float(np.mean(losses)), 4))
