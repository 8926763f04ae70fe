"""Weights of a safetensors file into networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from latentry._bases._header import damaged
from latentry._contract._model import LoadReport
from latentry._errors import ModelError


def load_weights(
    file: Path,
    networks: Mapping[str, nn.Module],
    device: torch.device,
    dtype: torch.dtype,
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> LoadReport:
    """Loads networks from one safetensors file; they are then on the device, in evaluation mode and without gradients.

    A tensor is named as in its network's ``state_dict()``; where there are several networks, ``part.name``.

    Args:
        file: the safetensors file.
        networks: by part, as built; their tensors are replaced.
        device: where they go.
        dtype: what they run in.
        dtypes: what single parts run in instead.

    Raises:
        ModelError: the file is damaged, or lacks a tensor, or holds one of another shape.
    """
    tensors = read_tensors(file)
    used: set[str] = set()
    for part, network in networks.items():
        prefix = f"{part}." if len(networks) > 1 else ""
        own = {name: f"{prefix}{name}" for name in network.state_dict()}
        if lacking := [key for key in own.values() if key not in tensors]:
            raise _unfit(file, f"It lacks {lacking[0]}{f' and {len(lacking) - 1} more' if lacking[1:] else ''}.")
        try:
            network.load_state_dict({name: tensors[key] for name, key in own.items()}, assign=True)
        except RuntimeError as error:
            raise _unfit(file, str(error).splitlines()[-1].strip()) from error
        network.to(device, (dtypes or {}).get(part, dtype)).eval().requires_grad_(False)
        used.update(own.values())
    return LoadReport(len(used), (), tuple(sorted(tensors.keys() - used)))


def read_tensors(file: Path) -> Mapping[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        ModelError: it is damaged.
    """
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except Exception as error:  # safetensors' own, whose class is not public, or OSError
        raise damaged(file, error) from error


def _unfit(file: Path, why: str) -> ModelError:
    return ModelError(
        f"{file} does not hold the weights of this network.",
        why=why,
        remedy="Copy or download the model again.",
    )
