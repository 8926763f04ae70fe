"""What a loaded model offers to the engine and to any other host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from latentry._engine._noise_settings import NoiseSettings
from latentry._numerics._prediction import Prediction
from latentry._numerics._process import Process


@dataclass(frozen=True)
class Conditioning:
    """What a network is told besides x and the time: named tensors whose first dimension is the batch."""

    tensors: Mapping[str, Tensor]

    def joined(self, other: Conditioning) -> Conditioning:
        """Both batches in one, this one first."""
        return Conditioning({name: torch.cat([t, other.tensors[name]]) for name, t in self.tensors.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]


@dataclass(frozen=True)
class LoadReport:
    """What became of a checkpoint's tensors; keys are ``component.key``."""

    used: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


class AttentionBackend(Protocol):
    """What the target of an ``AttentionBackendSpec`` gives."""

    def probe(self) -> str | None:
        """None where it can run here, else the reason why not."""
        ...

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        """softmax(q·kᵀ·scale + mask)·v on (batch, heads, tokens, head size)."""
        ...


class Checkpoint(Protocol):
    """A checkpoint whose configuration has been read and whose weights have not.

    Attributes:
        noise: process, prediction and grid it was trained with.
        size: height and width in pixels it draws best.
    """

    @property
    def noise(self) -> NoiseSettings: ...

    @property
    def size(self) -> int: ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Shape of one latent for a picture size in pixels.

        Raises:
            OptionError: the model cannot draw that size.
        """
        ...

    def load(self, device: torch.device, dtype: torch.dtype) -> Model:
        """The networks with their weights.

        Raises:
            ModelError: a weight is missing, damaged or of the wrong shape.
        """
        ...


class OpenCheckpoint(Protocol):
    """What the target of a ``ModelFamilySpec`` is."""

    def __call__(self, path: Path, variant: str) -> Checkpoint:
        """Reads the configuration of a checkpoint folder.

        Raises:
            ModelError: a configuration is missing or cannot be understood.
        """
        ...


class Model(Protocol):
    """A checkpoint in memory."""

    @property
    def process(self) -> Process:
        """How noise was added in training."""
        ...

    @property
    def prediction(self) -> Prediction:
        """What the network emits."""
        ...

    @property
    def report(self) -> LoadReport:
        """What became of the checkpoint's tensors."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What the networks run in."""
        ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``Checkpoint``."""
        ...

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """What the network is told for each prompt."""
        ...

    def predict(self, x: Tensor, timestep: float, conditioning: Conditioning) -> Tensor:
        """The network's output for scaled samples (batch, channels, height, width), all at one timestep."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of pictures (batch, 3, height, width) in −1..1: the mode of the autoencoder's posterior."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) in −1..1, float32, of latents."""
        ...

    def set_attention(
        self, backend: AttentionBackend | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves attention of one role, or of all, through a backend; None is the networks' own way.

        It holds from the call on; used as a context manager it is put back at the end.
        """
        ...
