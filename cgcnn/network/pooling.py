"""Pooling heads: site features -> energy of the crystal, and what every site contributes to it.

Every head returns the energy (`forward`) and the contributions whose mean it is (`contributions`) from the same
weights, so that the two cannot drift apart. Numbers are in units of the scaled target.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..graph import GraphBatch


def crystal_mean(x: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
    """Mean over the sites of each crystal; (N, F) -> (C, F)."""
    if batch.multiplicity is not None:
        x = x * batch.multiplicity[:, None].to(x.dtype)
    total = x.new_zeros(len(batch.sites), x.shape[1]).index_add_(0, batch.crystal, x)
    return total / batch.sites[:, None].to(x.dtype)


def hidden_layers(width_in: int, width: int, depth: int) -> nn.Sequential:
    """`depth` fully connected layers, each followed by softplus."""
    layers = []
    for i in range(depth):
        layers += [nn.Linear(width_in if i == 0 else width, width), nn.Softplus()]
    return nn.Sequential(*layers)


class LinearPooling(nn.Module):
    """Energy per atom as the mean of one scalar per site.

    .. math:: E = \\frac{1}{N} \\sum_i (w \\cdot v_i + b)

    The only head whose site contributions are exact: nothing non-linear follows the sum.
    Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), "interpretability".

    Shapes: v (N, F) site features after the hidden layers, v0 (N, F) before the convolutions (not used)
    -> energy (C,); contributions (N,)
    """

    exact = True

    def __init__(self, width: int, hidden: int = 0, hidden_width: int = 0):
        super().__init__()
        self.out = nn.Linear(width, 1)

    def forward(self, v: torch.Tensor, v0: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
        return self.energy_and_contributions(v, v0, batch)[0]

    def energy_and_contributions(self, v, v0, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        site = self.out(v)  # (N, 1)
        return crystal_mean(site, batch)[:, 0], site[:, 0]


class _NonlinearPooling(nn.Module):
    """E = f(v_c), v_c the mean over sites of `site_vector`, f hidden layers and an output.

    Contributions are Aumann-Shapley values along the straight line from `reference`, the mean v_c of the training
    crystals, to v_c:

    .. math:: e_i = f(\\bar v) + (p_i - \\bar v) \\cdot \\int_0^1 \\nabla f(\\bar v + t (v_c - \\bar v)) dt

    Aumann and Shapley, Values of Non-Atomic Games (1974). Their mean is E: the integral is known for one hidden layer,
    and taken by quadrature for more.

    Shapes: v (N, F), v0 (N, F) -> energy (C,); contributions (N,)
    """

    exact = False
    tolerance = 1e-7  # of the quadrature, in units of the scaled target; rounding may ask for more

    def __init__(self, pooled_width: int, hidden: int, hidden_width: int):
        super().__init__()
        self.layers = hidden_layers(pooled_width, hidden_width, hidden)
        self.out = nn.Linear(hidden_width if hidden else pooled_width, 1)
        self.register_buffer("reference", torch.zeros(pooled_width))

    def site_vector(self, v: torch.Tensor, v0: torch.Tensor) -> torch.Tensor:
        """p_i, what is averaged over the sites; (N, F)."""
        raise NotImplementedError

    def readout(self, pooled: torch.Tensor) -> torch.Tensor:
        """f; (C, F) -> (C,)"""
        return self.out(self.layers(pooled))[:, 0]

    def pooled(self, v, v0, batch: GraphBatch) -> torch.Tensor:
        """v_c, (C, F)."""
        return crystal_mean(self.site_vector(v, v0), batch)

    def forward(self, v: torch.Tensor, v0: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
        return self.readout(self.pooled(v, v0, batch))

    def energy_and_contributions(self, v, v0, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        p = self.site_vector(v, v0)
        v_c = crystal_mean(p, batch)  # (C, F)
        energy = self.readout(v_c)
        start = self.readout(self.reference[None])  # (1,)
        step = v_c - self.reference
        if len(self.layers) == 2:  # one hidden layer and its softplus
            gradient = self._mean_gradient_of_one_layer(step)  # (C, F)
        else:
            gradient = self._mean_gradient_to_tolerance(step, energy - start)
        return energy, start + ((p - self.reference) * gradient[batch.crystal]).sum(1)

    def _mean_gradient_of_one_layer(self, step: torch.Tensor) -> torch.Tensor:
        """Gradient of f averaged along the line reference + t step, for one hidden layer; (C, F).

        Its input is linear in t, a + t s, and the mean of softplus' is (softplus(a + s) - softplus(a)) / s.
        """
        layer = self.layers[0]
        # In double precision, for the differences of nearly equal numbers.
        a, s = layer(self.reference).double(), (step @ layer.weight.T).double()  # (F'), (C, F')
        small = s.abs() < 1e-3
        slope = torch.where(
            small, torch.sigmoid(a + s / 2), (F.softplus(a + s) - F.softplus(a)) / torch.where(small, 1.0, s)
        )
        return (slope.to(step.dtype) * self.out.weight[0]) @ layer.weight

    def _mean_gradient_to_tolerance(self, step: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
        """Gradient of f averaged along the line reference + t step, on which f rises by `rise`; (C, F)."""
        tolerance = max(self.tolerance, 32 * torch.finfo(step.dtype).eps)
        nodes = 8
        while True:
            gradient = self._mean_gradient(step, nodes)
            if ((step * gradient).sum(1) - rise).abs().max() < tolerance or nodes >= 128:
                return gradient
            nodes *= 2

    def _mean_gradient(self, step: torch.Tensor, nodes: int) -> torch.Tensor:
        """The same by Gauss-Legendre with so many nodes."""
        t, weight = np.polynomial.legendre.leggauss(nodes)
        total = torch.zeros_like(step)
        for x, w in zip((t + 1) / 2, weight / 2, strict=True):
            with torch.enable_grad():
                point = (self.reference + float(x) * step).detach().requires_grad_()
                (gradient,) = torch.autograd.grad(self.readout(point).sum(), point)
            total += float(w) * gradient
        return total


class MeanPooling(_NonlinearPooling):
    """Plain mean of the site features, then hidden layers: the readout of the authors' code, p_i = v_i."""

    def __init__(self, width: int, hidden: int = 1, hidden_width: int = 128):
        super().__init__(width, hidden, hidden_width)

    def site_vector(self, v, v0):
        return v


class GatedPooling(_NonlinearPooling):
    """Mean of gated site features: the gate lets each atom in or keeps it out.

    .. math:: p_i = \\sigma(W_g h_i + b_g) \\odot g(W_s h_i + b_s), \\quad h_i = v_i^{(0)} \\oplus v_i

    g is softplus. The sum is divided by the number of sites, not by the gates.
    """

    def __init__(self, width: int, hidden: int = 1, hidden_width: int = 128):
        super().__init__(hidden_width, hidden, hidden_width)
        self.gate = nn.Linear(2 * width, hidden_width)
        self.core = nn.Linear(2 * width, hidden_width)

    def site_vector(self, v, v0):
        h = torch.cat([v0, v], dim=1)  # (N, 2F)
        return torch.sigmoid(self.gate(h)) * F.softplus(self.core(h))

    def gate_opening(self, v: torch.Tensor, v0: torch.Tensor) -> torch.Tensor:
        """Mean gate opening of each site, 0 closed to 1 open; (N,)."""
        return torch.sigmoid(self.gate(torch.cat([v0, v], dim=1))).mean(1)


HEADS = {"gated": GatedPooling, "linear": LinearPooling, "mean": MeanPooling}
