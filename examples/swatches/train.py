"""Trains the swatches: ``python examples/swatches/train.py OUT.safetensors``, about a minute on one core."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.functional import mse_loss

sys.path.insert(0, str(Path(__file__).parents[1]))
from swatches.network import WORDS, Network

COLOURS = torch.tensor(
    [[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1], [-1, 1, 1], [1, -1, 1], [1, 1, 1], [-1, -1, -1]]
)
STEPS, BATCH, SIDE, DROPPED = 6000, 64, 16, 0.1


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (batch, 3, 16, 16): a disc of one colour on grey; and their words, some dropped for guidance."""
    word = torch.randint(len(WORDS), (BATCH,))
    axis = torch.linspace(-1, 1, SIDE)
    disc = (axis[:, None] ** 2 + axis**2 < 0.7).float()
    pictures = disc * COLOURS[word].float()[:, :, None, None]
    return pictures, torch.where(torch.rand(BATCH) < DROPPED, 0, word + 1)


def main() -> None:
    """Flow matching (Lipman et al. 2023, arXiv:2210.02747): the network learns ε − x₀ at x = (1 − t)·x₀ + t·ε."""
    torch.manual_seed(0)
    network = Network()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, STEPS)
    for step in range(STEPS):
        x0, word = batch()
        noise, t = torch.randn_like(x0), torch.rand(BATCH, 1, 1, 1)
        loss = mse_loss(network((1 - t) * x0 + t * noise, 1000 * t.flatten(), word), noise - x0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            print(f"{step}: {loss.item():.4f}")
    save_file(network.state_dict(), sys.argv[1], metadata={"family": "swatches"})


if __name__ == "__main__":
    main()
