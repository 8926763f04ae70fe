"""Which weights of a network are kept in fewer bits than they are computed with, and how they are rounded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentry.models import layers_in_blocks
from latentry_diffusers.bundle.sources import Part, Source
from latentry_diffusers.files.float8 import float8_rows, rounded_to_float8

GGUF = {"int8": "Q8_0", "int4": "Q4_0"}
"""GGUF's types: integers with a scale in float16 for each block."""
BLOCK = 32


def kept_smaller(network: nn.Module, part: Part, weights: str) -> frozenset[str]:
    """The names of a network's weights that are rounded; none of the autoencoder's, which is small and exact.

    Args:
        network: as built.
        part: where its weights lie.
        weights: as in ``latentry.models.StoresWeights``, or ``plain``.
    """
    if weights == "plain" or part.spec.role == "vae":
        return frozenset()
    names = (f"{layer}.weight" for layer in layers_in_blocks(network, part.spec.whole))
    return frozenset(name for name in names if weights == "float8" or network.get_parameter(name).numel() % BLOCK == 0)


def packed(source: Source, name: str, weights: str) -> Tensor:
    """Reads a weight and rounds it, on the CPU. Values of float8 files are kept as float8 to the bit.

    Args:
        source: where it lies.
        name: its ``common_name``.
        weights: ``float8``, ``int8`` or ``int4``.
    """
    if weights == "float8" and (stored := source.read_float8(name)) is not None:
        return float8_rows(*stored)
    values = source.read(name).float()
    if weights == "float8":
        return rounded_to_float8(values.flatten(1))
    import gguf
    from diffusers.quantizers.gguf.utils import GGUFParameter

    kind = gguf.GGMLQuantizationType[GGUF[weights]]
    blocks = gguf.quants.quantize(values.reshape(-1, BLOCK).numpy(), kind)
    made: Tensor = GGUFParameter(torch.from_numpy(blocks), quant_type=kind)
    return made
