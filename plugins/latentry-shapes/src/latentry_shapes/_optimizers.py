"""The optimisers: AdamW, and Muon for the matrices in the blocks of denoisers that ask for it."""

from __future__ import annotations

import re

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

BLOCKS = re.compile(r"blocks|^layers|_refiner")
"""What the names of parameters in a denoiser's blocks have."""
DECAY = 0.01
"""Weight decay."""


def optimizers(network: nn.Module, peak: float, *, muon: bool) -> list[Optimizer]:
    """The optimisers of a network. Each parameter belongs to exactly one of them.

    Muon (Jordan et al. 2024) makes all singular values of a matrix's step equal. Its steps are scaled to the size of
    AdamW's as in Liu et al. 2025, arXiv:2502.16982.

    Args:
        network: the network to train.
        peak: the learning rate of both.
        muon: whether Muon trains the matrices of the blocks. Biases and embeddings always have AdamW.
    """
    matrices = {n: p for n, p in network.named_parameters() if muon and p.ndim == 2 and BLOCKS.search(n)}
    others = [p for n, p in network.named_parameters() if n not in matrices]
    found: list[Optimizer] = [AdamW(others, lr=peak, betas=(0.9, 0.99), weight_decay=DECAY)]
    if matrices:
        found.append(Muon(matrices.values(), lr=peak, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"))
    return found
