# https://github.com/udacity/deep-learning-v2-pytorch/issues/121

import torch
import toy_device
import matplotlib.pyplot as plt
import numpy as np

train_on_gpu = True
classes = ["airplane", "automobile", "bird"]


# helper function to display an image
def imshow(img):
    img = img * 0.5
    plt.imshow(np.transpose(img.cpu(), (1, 2, 0)))  # convert from Tensor image


torch.manual_seed(42)
images = torch.rand(4, 3, 6, 6)
labels = [0, 2, 1, 1]
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 6 * 6, 3))
output = model(images)
_, preds_tensor = torch.max(output, 1)
preds = preds_tensor.numpy()

if train_on_gpu:
    images = images.to("toy")

# plot the images in the batch, along with predicted and true labels
fig = plt.figure(figsize=(8, 2))
for idx in np.arange(4):
    ax = fig.add_subplot(1, 4, idx + 1, xticks=[], yticks=[])
    imshow(images[idx])
    ax.set_title(
        "{} ({})".format(classes[preds[idx]], classes[labels[idx]]),
        color=("green" if preds[idx] == labels[idx] else "red"),
    )

for ax in fig.axes:
    print(ax.get_title(), ax.images[0].get_array().shape, round(float(ax.images[0].get_array().mean()), 4))
