"""What a conditioner implements: networks that steer a denoiser by a picture, before and after weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from latentry._contract._conditioning import Conditioning
from latentry._contract._model import AttentionBackend, Checkpoint, Model
from latentry._specs import ModelFiles


@dataclass(frozen=True)
class ControlQuery:
    """One evaluation of the denoiser that is to be steered.

    Attributes:
        x: scaled samples (batch, channels, height, width), as the denoiser is given them.
        timestep: on the process's own scale; a tensor (batch,) where the rows have several.
        conditioning: of the prompts, of the same batch size.
        weight: how strongly to steer; 0 is never asked for.
        negative: for each row, whether it is that of the negative prompt.
        mask: (1, 1, height, width), float32, of the size of the result: 1 where it is to steer and 0 where not. Only
            records with ``own_mask`` need heed it. None: everywhere.
    """

    x: Tensor
    timestep: float | Tensor
    conditioning: Conditioning
    weight: float
    negative: Sequence[bool]
    mask: Tensor | None = None


Inject = Callable[[ControlQuery], Mapping[str, Tensor]]
"""Gives tensors by injection point, with the batch first or 1; those of several conditioners are added."""


class Conditioner(Protocol):
    """A network that steers a denoiser, in memory. Like a ``Model`` it may be used by several threads at once."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by name; empty where there are none."""
        ...

    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """What is the same for a whole request is computed here, once.

        Args:
            model: the model that is steered; its networks may be used.
            picture: (1, 3, height, width) in −1..1, of the size of the result unless the record says ``whole``.
            options: an object of the record's ``options`` class; None where it has none.
            number: of this conditioner among the request's, from 0: for names of tensors that must not be added to
                those of another.

        Returns:
            A function that is called at every evaluation. It keeps no state.
        """
        ...

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Computes attention of one role, or of all, with a backend; see ``Model``. Roles that it lacks do nothing."""
        ...


class ConditionerCheckpoint(Protocol):
    """Files of a conditioner whose configuration has been read and whose weights have not."""

    def load(self, device: torch.device, dtype: torch.dtype) -> Conditioner:
        """The conditioner with its weights.

        Raises:
            ModelError: a weight is missing, damaged or of the wrong shape.
        """
        ...


class OpenConditioner(Protocol):
    """The target of a ``ConditionerSpec``."""

    def __call__(self, files: ModelFiles, family: str, base: Checkpoint) -> ConditionerCheckpoint:
        """Reads the configuration of a conditioner.

        Args:
            files: of the conditioner.
            family: of the model that is to be steered, as ``distribution:name``.
            base: that model's configuration.

        Raises:
            ModelError: a configuration is missing or cannot be understood.
            IncompatibleError: it does not fit the model.
        """
        ...
