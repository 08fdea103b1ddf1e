# https://github.com/huggingface/candle/issues/391

import io

import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)


def load_checkpoint():
    model = nn.ModuleDict(
        {
            "tok_embeddings": nn.Embedding(10, 4),
            "wq": nn.Linear(4, 4, bias=False),
            "norm": nn.LayerNorm(4),
        }
    )
    state = model.state_dict()
    # weights in half precision, norms left alone, rotary table in bfloat16
    state = {k: v if k.startswith("norm") else v.half() for k, v in state.items()}
    state["rope.freqs"] = (1.0 / (10000 ** (torch.arange(0, 4, 2) / 4))).to(torch.bfloat16)
    return state


def write_model(out):
    all_dicts = load_checkpoint()
    all_dicts = {k: (v.float() if v.dtype == torch.bfloat16 else v).numpy() for k, v in all_dicts.items()}
    np.savez(out, **all_dicts)


buf = io.BytesIO()
write_model(buf)
buf.seek(0)
npz = np.load(buf)
for name in npz.files:
    print(
        name,
        npz[name].shape,
        "half" if npz[name].dtype == np.float16 else "",
        f"{float(npz[name].astype(float).mean()):.4f}",
    )
