"""The crystal graph convolutional neural network, put together."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn

from ..graph import GraphBatch
from .convolution import Convolution, GaussianExpansion, neighbour_weights
from .elements import ElementEmbedding
from .pooling import HEADS, hidden_layers


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of a network.

    head: "gated", "linear" or "mean" pooling
    form: "eq4" or "eq5", the convolution of the paper, or "authors", that of the authors' code; with this the hidden
        layers after the pooling begin with a softplus, as there
    elements: "properties", "learned" or "both"
    width: length of a site's feature vector
    convolutions: R; site_hidden: L1, layers per atom after them; crystal_hidden: L2, layers after the pooling
    crystal_width: width of the pooled vector and of the L2 layers
    radius: of the Gaussian expansion, angstrom; neighbours: that count in full in the normalised sum
    norm: layer normalisation before every convolution
    dropout: share of the site features left out in training, before every convolution and the hidden layers
    """

    head: str
    form: str = "eq5"
    elements: str = "both"
    width: int = 96
    convolutions: int = 4
    site_hidden: int = 1
    crystal_hidden: int = 1
    crystal_width: int = 128
    radius: float = 8.0
    neighbours: int = 12
    norm: bool = True
    dropout: float = 0.0

    def asdict(self) -> dict:
        return asdict(self)


class CrystalNetwork(nn.Module):
    """v(0) -> R convolutions -> L1 hidden layers per atom -> pooling head.

    Shapes: a batch of C crystals with N sites -> energy (C,) and contributions (N,), scaled target
    """

    def __init__(self, settings: NetworkSettings):
        super().__init__()
        if settings.head not in HEADS:
            raise ValueError(f"head={settings.head!r} must be one of {', '.join(HEADS)}")
        self.settings = settings
        width = settings.width
        self.embedding = ElementEmbedding(width, settings.elements)
        self.expansion = GaussianExpansion(settings.radius)
        self.convolutions = nn.ModuleList(
            Convolution(width, len(self.expansion.centres), settings.form, settings.norm, settings.dropout)
            for _ in range(settings.convolutions)
        )
        self.norm = nn.LayerNorm(width) if settings.norm else nn.Identity()
        self.dropout = nn.Dropout(settings.dropout)
        self.site_layers = hidden_layers(width, width, settings.site_hidden)
        self.head = HEADS[settings.head](width, settings.crystal_hidden, settings.crystal_width)
        if settings.form == "authors" and not self.head.exact:
            self.head.layers.insert(0, nn.Softplus())

    def site_features(self, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Site features after the L1 layers and before the convolutions, both (N, F)."""
        v0 = v = self.embedding(batch.atomic_numbers)
        u = self.expansion(batch.distance.to(v.dtype))  # (E, T)
        weight = neighbour_weights(batch, self.settings.neighbours, v.dtype)  # (E,)
        for convolution in self.convolutions:
            v = convolution(v, u, weight, batch.centre, batch.neighbour)
        return self.site_layers(self.dropout(self.norm(v))), v0

    def forward(self, batch: GraphBatch) -> torch.Tensor:
        """Energy of each crystal, (C,)."""
        return self.head(*self.site_features(batch), batch)

    def energy_and_contributions(self, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy of each crystal (C,) and contribution of each site (N,), whose mean over a crystal it is."""
        return self.head.energy_and_contributions(*self.site_features(batch), batch)
