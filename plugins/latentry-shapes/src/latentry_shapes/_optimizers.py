"""What moves the weights: AdamW, and in the denoisers that ask for it Muon for the matrices inside their blocks."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

DECAY = 0.01
"""Weight decay."""


def optimizers(network: nn.Module, peak: float, *, muon: bool) -> list[Optimizer]:
    """The optimisers of a network, which share its parameters out among them.

    Muon (Jordan et al. 2024; its steps scaled to the size of AdamW's as in Liu et al. 2025, arXiv:2502.16982) makes
    every direction of a matrix's step equally long.

    Args:
        network: to be trained.
        peak: learning rate of both.
        muon: whether it takes the matrices of the blocks, biases and embeddings being left to AdamW.
    """
    matrices = {n: p for n, p in network.named_parameters() if muon and p.ndim == 2 and "blocks" in n}
    others = [p for n, p in network.named_parameters() if n not in matrices]
    found: list[Optimizer] = [AdamW(others, lr=peak, betas=(0.9, 0.99), weight_decay=DECAY)]
    if matrices:
        found.append(Muon(matrices.values(), lr=peak, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"))
    return found
