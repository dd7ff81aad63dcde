"""The authors' network once more, plainly: concatenated z, batch norms, a fixed number of neighbours; and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from pymatgen.core import Structure
from torch import nn
from torch.nn import functional as F

PROPERTIES = 92  # of an element in their table


class Convolution(nn.Module):
    def __init__(self, width: int, gaussians: int):
        super().__init__()
        self.fc_full = nn.Linear(2 * width + gaussians, 2 * width)
        self.bn1, self.bn2 = nn.BatchNorm1d(2 * width), nn.BatchNorm1d(width)

    def forward(self, v, u, index):  # (N, F), (N, M, T), (N, M) -> (N, F)
        n, m = index.shape
        z = torch.cat([v[:, None].expand(-1, m, -1), v[index], u], dim=2)
        z = self.bn1(self.fc_full(z).view(n * m, -1)).view(n, m, -1)
        filter_, core = z.chunk(2, dim=2)
        total = (torch.sigmoid(filter_) * F.softplus(core)).sum(1)
        return F.softplus(v + self.bn2(total))


class TheirNetwork(nn.Module):
    """What the paper's supplement and the public description say, for one crystal at a time."""

    def __init__(self, classifier: bool, hidden: int, width=16, convolutions=3, crystal_width=20, gaussians=41):
        super().__init__()
        self.embedding = nn.Linear(PROPERTIES, width)
        self.convs = nn.ModuleList(Convolution(width, gaussians) for _ in range(convolutions))
        self.conv_to_fc = nn.Linear(width, crystal_width)
        if hidden > 1:
            self.fcs = nn.ModuleList(nn.Linear(crystal_width, crystal_width) for _ in range(hidden - 1))
        self.fc_out = nn.Linear(crystal_width, 2 if classifier else 1)
        self.classifier, self.dropout = classifier, nn.Dropout()

    def forward(self, properties, u, index):
        v = self.embedding(properties)
        for convolution in self.convs:
            v = convolution(v, u, index)
        crystal = F.softplus(self.conv_to_fc(F.softplus(v.mean(0, keepdim=True))))
        if self.classifier:
            crystal = self.dropout(crystal)
        for layer in getattr(self, "fcs", []):
            crystal = F.softplus(layer(crystal))
        out = self.fc_out(crystal)
        return F.log_softmax(out, dim=1) if self.classifier else out


def their_input(structure: Structure, table: np.ndarray, radius=8.0, count=12):
    """Properties (N, 92), Gaussians (N, 12, 41) and neighbour index (N, 12) as their loader makes them."""
    index, distance = [], []
    for shell in structure.get_all_neighbors(radius, include_index=True):
        shell = sorted(shell, key=lambda neighbour: neighbour.nn_distance)[:count]
        missing = count - len(shell)
        index.append([neighbour.index for neighbour in shell] + [0] * missing)
        distance.append([neighbour.nn_distance for neighbour in shell] + [radius + 1] * missing)
    u = np.exp(-((np.array(distance)[..., None] - np.arange(0, radius + 0.2, 0.2)) ** 2) / 0.2**2)
    return torch.tensor(table[list(structure.atomic_numbers)]), torch.tensor(u), torch.tensor(index)


def network(classifier: bool, hidden: int, seed: int = 0) -> TheirNetwork:
    """Random weights, and running statistics as if it had been trained."""
    torch.manual_seed(seed)
    made = TheirNetwork(classifier, hidden).double()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.3, 2)
            nn.init.uniform_(module.weight, 0.3, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return made.eval()


def checkpoint(net: TheirNetwork, **changed) -> dict:
    """The content of their file; a classifier's best error is numpy's, its normalizer holds plain numbers."""
    task = "classification" if net.classifier else "regression"
    normalizer = {"mean": torch.tensor(-1.3), "std": torch.tensor(0.8)}
    return {
        "epoch": 30,
        "state_dict": net.float().state_dict(),
        "best_mae_error": np.float64(0.91) if net.classifier else torch.tensor(0.04),
        "optimizer": torch.optim.SGD(net.parameters(), 0.01, momentum=0.9).state_dict(),
        "normalizer": {"mean": 0.0, "std": 1.0} if net.classifier else normalizer,
        "args": {"task": task, "atom_fea_len": 16, "n_conv": 3, "h_fea_len": 20, "n_h": 1, "cuda": False},
    } | changed


def element_table() -> np.ndarray:
    """Rows of zeros and ones for H to Fm, as in their file; (101, 92)."""
    return np.vstack([np.zeros(PROPERTIES), np.random.default_rng(0).integers(0, 2, (100, PROPERTIES))]).astype(float)


def write_files(folder: Path, content: dict, name: str = "net.pth.tar") -> Path:
    """Their checkpoint with atom_init.json beside it."""
    table = element_table().astype(int)
    (folder / "atom_init.json").write_text(json.dumps({str(z): table[z].tolist() for z in range(1, 101)}))
    torch.save(content, folder / name)
    return folder / name
