"""PReNet and its training step as in the paper's code: what this project's way is timed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.metrics import psnr
from derain_edu.models.blocks import ResidualBlock, conv3x3
from derain_edu.training.losses import neg_ssim


class PlainPReNet(nn.Module):
    """PReNet (T stages) with a separate convolution for each gate of its LSTM."""

    def __init__(self, stages: int = 6) -> None:
        super().__init__()
        self.stages = stages
        self.head = conv3x3(6, 32)
        self.gate_i, self.gate_f, self.gate_g, self.gate_o = (conv3x3(64, 32) for _ in range(4))
        self.blocks = nn.ModuleList(ResidualBlock(32) for _ in range(5))
        self.tail = conv3x3(32, 3)

    def forward(self, rainy: Tensor) -> Tensor:
        batch, _, height, width = rainy.shape
        x, h = rainy, rainy.new_zeros(batch, 32, height, width)
        c = torch.zeros_like(h)
        for _ in range(self.stages):
            z = F.relu(self.head(torch.cat((rainy, x), dim=1)))
            both = torch.cat((z, h), dim=1)
            i, f = torch.sigmoid(self.gate_i(both)), torch.sigmoid(self.gate_f(both))
            g, o = torch.tanh(self.gate_g(both)), torch.sigmoid(self.gate_o(both))
            c = f * c + i * g
            h = z = o * torch.tanh(c)
            for block in self.blocks:
                z = block(z)
            x = self.tail(z) + rainy
        return x


def as_plain_prenet(model: nn.Module) -> PlainPReNet:
    """Return the plain network with the weights of a PReNet of this project."""
    plain = PlainPReNet(model.config.stages)
    state = model.state_dict()
    for kind in ("weight", "bias"):
        gates = state.pop(f"memory.gate_conv.{kind}").chunk(4)
        state.update({f"gate_{g}.{kind}": part for g, part in zip("ifgo", gates, strict=True)})
    plain.load_state_dict(state)
    return plain


def plain_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, rainy: Tensor, clean: Tensor
) -> tuple[float, float]:
    """Make one training step as the paper's code does; return the loss and the PSNR."""
    optimizer.zero_grad()
    loss = neg_ssim(model(rainy), clean)
    loss.backward()
    optimizer.step()
    model.eval()
    derained = model(rainy).clamp(0, 1)  # the second forward: it records a graph, for nothing
    score = psnr(derained, clean, protocol="rgb")
    model.train()
    return loss.item(), score
