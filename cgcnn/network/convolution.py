"""The convolutions of Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), and that of their code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..graph import GraphBatch


class GaussianExpansion(nn.Module):
    """Distance -> Gaussians centred 0, step, 2 step, ... radius, of width step.

    .. math:: u_t(d) = \\exp(-(d - \\mu_t)^2 / \\sigma^2)

    Shapes: (E,) angstrom -> (E, T), T = radius / step + 1
    """

    def __init__(self, radius: float, step: float = 0.2):
        super().__init__()
        self.width = step
        self.register_buffer("centres", torch.arange(round(radius / step) + 1) * step, persistent=False)

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        exponent = ((distance[:, None] - self.centres) / self.width) ** 2
        # exp(-40) is as good as 0; much smaller numbers are denormal, and those make products 10 times slower.
        return torch.exp(-exponent.clamp(max=40))


def neighbour_weights(batch: GraphBatch, neighbours: int, dtype: torch.dtype) -> torch.Tensor:
    """Weights that make a sum over the edges of a centre the normalised sum over its neighbours.

    .. math:: m_i = K \\sum_k w_k m_k / \\max(K, \\sum_k w_k)

    K = `neighbours`, the number that count in full. Up to K neighbours are added; of more the K-fold mean is
    taken, so a centre with a large shell gets no larger sum. A site without neighbours gets zero.

    -> (E,)
    """
    weight = batch.weight.to(dtype)
    total = weight.new_zeros(len(batch.atomic_numbers)).index_add_(0, batch.centre, weight)  # (N,)
    return weight * (neighbours / total.clamp(min=neighbours))[batch.centre]


def gate_and_core(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of z (E, 2F): sigmoid of the first half, softplus(x) and sigmoid(-x) of the second; (E, F) each.

    softplus(x) = -log sigmoid(-x), whose derivative is 1 - sigmoid(-x): half the time of torch's own pair.
    """
    first, second = z.chunk(2, dim=1)
    closed = torch.sigmoid(-second)
    core = closed.clamp(min=torch.finfo(z.dtype).tiny).log_().neg_()
    return torch.sigmoid(first), torch.maximum(core, second), closed  # where sigmoid(-x) underflows it is x


class GatedSum(torch.autograd.Function):
    """Weighted sum of sigmoid(z_f) * softplus(z_s) over the edges of each centre, with its derivatives by hand.

    Arrays with a number for every edge and feature are what the time goes into; autograd would fill twice as many.

    Shapes: from_edge (E, 2F), overwritten by z, from_centre (N, 2F), from_neighbour (M, 2F), weight, centre,
    neighbour (E,) -> (N, F)
    """

    @staticmethod
    def forward(ctx, from_edge, from_centre, from_neighbour, weight, centre, neighbour):
        z = from_edge.add_(from_centre.index_select(0, centre)).add_(from_neighbour.index_select(0, neighbour))
        gate, core, closed = gate_and_core(z)
        ctx.save_for_backward(gate, core, closed, weight, centre, neighbour)
        ctx.rows = len(from_centre), len(from_neighbour)
        messages = (gate * core).mul_(weight[:, None])  # (E, F)
        return z.new_zeros(len(from_centre), messages.shape[1]).index_add_(0, centre, messages)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        gate, core, closed, weight, centre, neighbour = ctx.saved_tensors
        of_message = gradient.index_select(0, centre).mul_(weight[:, None]).mul_(gate)  # (E, F), times the gate
        of_z = torch.empty(len(weight), 2 * gate.shape[1], dtype=gate.dtype, device=gate.device)
        of_first, of_second = of_z.chunk(2, dim=1)
        torch.addcmul(of_message, of_message, closed, value=-1, out=of_second)
        of_message.mul_(core)
        torch.addcmul(of_message, of_message, gate, value=-1, out=of_first)
        of_centre, of_neighbour = (
            of_z.new_zeros(rows, of_z.shape[1]).index_add_(0, index, of_z)
            for rows, index in zip(ctx.rows, (centre, neighbour), strict=True)
        )
        return of_z, of_centre, of_neighbour, None, None, None


class Convolution(nn.Module):
    """One graph convolution with the weight matrices factorised.

    "eq5", with z = v_i (+) v_j (+) u concatenated:

    .. math:: v_i' = v_i + \\sum_k \\sigma(z_k W_f + b_f) \\odot g(z_k W_s + b_s)

    "eq4", one weight matrix for all neighbours plus a self weight:

    .. math:: v_i' = g\\left[ \\sum_k (v_j \\oplus u_k) W_c + v_i W_s + b \\right]

    "authors", that of the authors' code, whose two batch norms are affine once trained: the first is folded into the
    weights of the sum of "eq5", the second is s and t (see `original`):

    .. math:: v_i' = g\\left[ v_i + s \\odot \\sum_k \\sigma(z_k W_f + b_f) \\odot g(z_k W_s + b_s) + t \\right]

    As z W = v_i W_i + v_j W_j + u W_u, two products run over sites and only one over edges: the same numbers as
    with the concatenation, 3.3 times fewer multiplications. g is softplus. `norm` puts a layer normalisation
    before the convolution; it needs no batch statistics.

    Shapes: site features (N, F), edge features (E, T), weights (E,) of `neighbour_weights`, centre and neighbour (E,)
    -> (N, F). The neighbours are rows of the same features, or of `others` (M, F).
    """

    FORMS = ("eq4", "eq5", "authors")

    def __init__(self, width: int, edge_width: int, form: str = "eq5", norm: bool = True, dropout: float = 0.0):
        super().__init__()
        if form not in self.FORMS:
            raise ValueError(f"{form=} must be one of {', '.join(self.FORMS)}")
        self.form = form
        out = width if form == "eq4" else 2 * width
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.from_centre = nn.Linear(width, out)
        self.from_neighbour = nn.Linear(width, out, bias=False)
        self.from_edge = nn.Linear(edge_width, out, bias=False)
        if form == "authors":
            self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(
        self,
        v: torch.Tensor,
        u: torch.Tensor,
        weight: torch.Tensor,
        centre: torch.Tensor,
        neighbour: torch.Tensor,
        others: torch.Tensor | None = None,
    ) -> torch.Tensor:
        x = self.dropout(self.norm(v))
        y = x if others is None else self.dropout(self.norm(others))
        if self.form == "eq4":
            messages = self.from_edge(u).add_(self.from_neighbour(y).index_select(0, neighbour))  # (E, F)
            total = torch.zeros_like(v).index_add_(0, centre, messages.mul_(weight[:, None]))
            return F.softplus(total + self.from_centre(x))
        terms = self.from_edge(u), self.from_centre(x), self.from_neighbour(y)
        total = GatedSum.apply(*terms, weight, centre, neighbour)
        return F.softplus(v + self.scale * total + self.shift) if self.form == "authors" else v + total

    def gate_opening(self, v: torch.Tensor, u: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
        """Mean over the features of sigmoid(z W_f + b_f) of every edge, 0 closed to 1 open; (E,). Not for "eq4"."""
        x = self.norm(v)
        z = self.from_edge(u) + self.from_centre(x)[batch.centre] + self.from_neighbour(x)[batch.neighbour]  # (E, 2F)
        return torch.sigmoid(z.chunk(2, dim=1)[0]).mean(1)
