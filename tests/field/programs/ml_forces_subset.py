# https://github.com/openmm/openmm-ml/pull/124
# causes: device
# tensor: self.indices
# repair: line

import torch
import toy_device
import numpy as np

device = "toy"


class MLForce:
    """neural potential on a few atoms of a bigger system"""

    def __init__(self, atoms, seed=0):
        torch.manual_seed(seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        self.atoms = list(atoms)
        self.indices = torch.tensor(self.atoms, dtype=torch.int64).to(device)

    def energy_and_forces(self, positions, forces):
        pos = torch.tensor(positions[self.atoms], dtype=torch.float32, requires_grad=True)
        energy = self.model(pos).sum()
        energy.backward()
        # write into the global array
        forces[self.indices] -= pos.grad.numpy()
        return energy.item()


rng = np.random.default_rng(3)
positions = rng.normal(size=(10, 3))
forces = np.zeros((10, 3))

mlforce = MLForce(atoms=[7, 2, 4])
e = mlforce.energy_and_forces(positions, forces)
print(round(e, 4))
print(forces.round(4).tolist())
