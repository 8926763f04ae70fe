"""The networks of a checkpoint with their tokenizers, loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from latentry.models import LoadReport
from latentry_diffusers.bundle.tokenizers import Text, Tokenizer, load_text
from latentry_diffusers.loading.dtypes import part_dtypes
from latentry_diffusers.loading.load import load_bundle
from latentry_diffusers.model.checkpoint import BundledCheckpoint


@dataclass(frozen=True)
class Loaded:
    """What a model is made of.

    Attributes:
        networks: by part, in the order of their use.
        report: on the checkpoint's tensors.
        tokenizers: where those of the text encoders lie, by part.
    """

    networks: Mapping[str, Any]
    report: LoadReport
    tokenizers: Mapping[str, Tokenizer]

    def text(self, part: str) -> Text:
        """A text encoder with its tokenizer.

        Raises:
            ModelError: the tokenizer is damaged, or does not belong to it.
        """
        return load_text(self.networks[part], self.tokenizers[part])


def load_networks(
    checkpoint: BundledCheckpoint,
    device: torch.device,
    dtype: torch.dtype,
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> Loaded:
    """Loads every network of a checkpoint; arguments as in ``latentry.models.Checkpoint.load``.

    Raises:
        ModelError: a tensor is missing, damaged or of the wrong shape.
    """
    chosen = part_dtypes(checkpoint.parts, dtype, dtypes, vae=checkpoint.vae)
    networks, report = load_bundle(checkpoint.bundle, device, chosen)
    return Loaded(networks, report, checkpoint.bundle.tokenizers)
