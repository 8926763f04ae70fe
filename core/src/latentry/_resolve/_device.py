"""Where and in which dtype networks run."""

from __future__ import annotations

import torch

from latentry._errors import OptionError, ResourceError


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        OptionError: torch does not know such a device.
        ResourceError: the machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(
            f"{name!r} is not a device.", remedy="Use auto, cpu, cuda, cuda:1 or mps.", field="device"
        ) from error
    if not present(device):
        raise ResourceError(
            f"This machine does not have the device {name!r}.",
            why=f"This torch ({torch.__version__}) sees {torch.cuda.device_count()} CUDA devices.",
            remedy="Use auto or cpu, or install a build of torch for the device.",
            field="device",
        )
    return device


def present(device: torch.device) -> bool:
    """Whether the machine has it."""
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available())


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a name; ``auto`` is float16 on a GPU and float32 elsewhere."""
    if name == "auto":
        return torch.float16 if device.type in ("cuda", "mps") else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype
