# https://github.com/utkuozbulak/pytorch-cnn-visualizations/issues/92
# causes: why
# tensor: self.gradients
# repair: elsewhere

import torch
from torch import nn
from torch.nn import ReLU


class GuidedBackprop:
    """Gradients of one class with respect to the picture, through positive paths only."""

    def __init__(self, model):
        self.model = model
        self.gradients = None
        self.model.eval()
        self.update_relus()
        self.hook_layers()

    def hook_layers(self):
        def hook_function(module, grad_in, grad_out):
            self.gradients = grad_in[0]

        first_layer = list(self.model.features._modules.items())[0][1]
        first_layer.register_full_backward_hook(hook_function)

    def update_relus(self):
        for module in self.model.features:
            if isinstance(module, ReLU):
                module.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))

    def generate_gradients(self, input_image, target_class):
        model_output = self.model(input_image)
        self.model.zero_grad()
        one_hot = torch.zeros_like(model_output)
        one_hot[0][target_class] = 1
        model_output.backward(gradient=one_hot)
        gradients_as_arr = self.gradients.data.cpu().numpy()[0]
        return gradients_as_arr


torch.manual_seed(0)
cnn = nn.Sequential()
cnn.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.ReLU())
cnn.classifier = nn.Sequential(nn.Flatten(), nn.Linear(2 * 16, 5))
prep_img = torch.rand(1, 3, 8, 8)
guided_grads = GuidedBackprop(cnn).generate_gradients(prep_img, target_class=2)
print(guided_grads.shape, round(float(abs(guided_grads).sum()), 5))
print(round(float(cnn.features[0].weight.grad.sum()), 5))
