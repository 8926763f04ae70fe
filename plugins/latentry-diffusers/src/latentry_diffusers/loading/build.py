"""Builds networks from their configurations, without allocating memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from logging import CRITICAL
from typing import Any

import torch

from latentry import ModelError
from latentry_diffusers.bundle.sources import Part


def build(part: Part) -> Any:
    """Builds the network on torch's ``meta`` device, which stores only shapes.

    Raises:
        ModelError: the configuration does not describe such a network.
    """
    package, _, name = part.spec.network.target.partition(":")
    made = getattr(import_module(package), name)
    try:
        with quiet(), torch.device("meta"):
            if package == "diffusers":
                network = made.from_config(dict(part.config))
            else:
                network = made(made.config_class.from_dict(dict(part.config)))
    except Exception as error:  # whatever a constructor raises for nonsense
        lines = [line.strip() for line in str(error).strip().splitlines()[:3]]
        raise ModelError(
            f"The {part.spec.name.replace('_', ' ')} of {part.origin} cannot be built from its configuration.",
            why=f"{type(error).__name__}: {' '.join(lines) or 'no reason given'}",
            remedy="Download the checkpoint again: its weights and configurations must belong together.",
        ) from error
    return network.eval().requires_grad_(False)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the libraries' own warnings; faults are raised as errors."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    levels = [(module, module.get_verbosity()) for module in (diffusers, transformers)]
    for module, _ in levels:
        module.set_verbosity(CRITICAL)
    try:
        yield
    finally:
        for module, level in levels:
            module.set_verbosity(level)
