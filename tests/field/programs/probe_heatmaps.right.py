# https://github.com/john-hewitt/structural-probes/issues/4

import torch
import toy_device
import matplotlib.pyplot as plt
import seaborn as sns

device = "toy"


class DistanceFigures:
    """draws a distance matrix per sentence, predicted and gold"""

    def __init__(self, limit=2):
        self.limit = limit
        self.drawn = {}

    def __call__(self, guesses, loader, split):
        done = 0
        for guess_batch, (gold_batch, sizes, sentences) in zip(guesses, loader):
            for guess, gold_mat, n, tokens in zip(guess_batch, gold_batch, sizes, sentences):
                if done == self.limit:
                    return
                self.drawn[split, done, "pred"] = self.draw(guess[:n, :n], tokens)
                plt.figure()
                ax = sns.heatmap(gold_mat.cpu())
                ax.set_xticklabels(tokens)
                self.drawn[split, done, "gold"] = ax
                done += 1

    def draw(self, mat, tokens):
        plt.figure()
        return sns.heatmap(mat, xticklabels=tokens)


torch.manual_seed(0)
preds = [torch.rand(2, 4, 4).numpy(), torch.rand(1, 4, 4).numpy()]
gold = [
    [torch.randint(0, 5, (4, 4)).float().to(device) for _ in range(2)],
    [torch.randint(0, 5, (4, 4)).float().to(device)],
]
loader = [(gold[0], [4, 4], ["a b c d".split(), "e f g h".split()]), (gold[1], [4], ["i j k l".split()])]
figures = DistanceFigures()
figures(preds, loader, "dev")
for key, ax in sorted(figures.drawn.items()):
    print(key, round(float(ax.collections[0].get_array().sum()), 3))
