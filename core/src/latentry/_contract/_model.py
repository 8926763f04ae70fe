"""What a loaded model offers to the engine and to any other host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._lora import LoraMatch, LoraMode, LoraRequest
from latentry._contract._noise_settings import NoiseSettings
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._specs import ModelFiles

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class LoadReport:
    """What became of a checkpoint's tensors; keys are ``component.key``, or those of a file that holds several.

    Attributes:
        used: tensors of the networks that were given their values.
        missing: what was not there.
        unexpected: tensors of the files that are not known.
        ignored: how many others went nowhere: known to be of no use here, or replaced by parts given apart.
    """

    used: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ignored: int = 0


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
        """softmax(q·kᵀ·scale + mask)·v (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

        Args:
            q: (batch, heads, tokens, head size).
            k: (batch, heads, keys, head size).
            v: (batch, heads, keys, head size).
            mask: four dimensions that broadcast to (batch, heads, tokens, keys); boolean (True takes part) or added to
                the scores.
                A row with every key masked gives 0.
            scale: of the scores; 1/√(head size) where None.
            causal: token i attends to keys 0..i, whatever the number of keys; a mask applies besides.

        Returns:
            (batch, heads, tokens, head size) in the dtype of q.

        Raises:
            IncompatibleError: beyond what its record says, it cannot serve this call.
        """
        ...


class Checkpoint(Protocol):
    """A checkpoint whose configuration has been read and whose weights have not.

    Attributes:
        noise: process, prediction and grid it was trained with.
        size: height and width in pixels it draws best.
        layers: how many layers skip-layer guidance may choose from; 0 where it cannot be had.
        parts: the networks it has, named as in ``Model.networks``.
    """

    @property
    def noise(self) -> NoiseSettings: ...

    @property
    def size(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def parts(self) -> tuple[str, ...]: ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Shape of one latent for a picture size in pixels.

        Raises:
            OptionError: the model cannot draw that size.
        """
        ...

    def shift(self, width: int, height: int) -> float | None:
        """Time shift of a picture size in pixels: what σ/α of the sigma schedule is multiplied by.

        None leaves it to the schedule, as for variance-preserving models.
        """
        ...

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Model:
        """The networks with their weights.

        Args:
            device: where they are to be.
            dtype: what they are to run in, as far as they can.
            dtypes: what single parts are to run in whatever comes of it.

        Raises:
            ModelError: a weight is missing, damaged or of the wrong shape.
        """
        ...

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """What LoRAs would do to the model, from their files and the checkpoint's configuration.

        Args:
            paths: safetensors files, or folders that PEFT or diffusers saved a LoRA to.

        Raises:
            ModelError: a file is missing, unsafe, damaged or no LoRA.
            IncompatibleError: one changes no layer of the model, or does not fit one.
        """
        ...


@runtime_checkable
class ChecksConditioning(Protocol):
    """A checkpoint that can refuse conditioning options before its weights are loaded. Optional for a family."""

    def check_conditioning(self, options: BaseModel) -> None:
        """Raises where the checkpoint cannot do what the options say.

        Args:
            options: an object of the family's ``conditioning`` class.

        Raises:
            OptionError: an option is beyond what this checkpoint's networks have.
        """
        ...


class OpenCheckpoint(Protocol):
    """What the target of a ``ModelFamilySpec`` is."""

    def __call__(self, files: ModelFiles, variant: str) -> Checkpoint:
        """Reads the configuration of a checkpoint.

        Raises:
            ModelError: a configuration is missing or cannot be understood.
        """
        ...


class Model(Protocol):
    """A checkpoint in memory."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by part, named as in diffusers, in the order of their use."""
        ...

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
        """Where the networks are, or wait while they are not used."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What the networks run in."""
        ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``Checkpoint``."""
        ...

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """What the network is told for each prompt; of several, shorter ones are padded to the longest."""
        ...

    def predict(
        self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The network's output for scaled samples (batch, channels, height, width), all at one timestep.

        Args:
            x: in the model's dtype.
            timestep: in the process's own clock.
            conditioning: of as many rows.
            skip_layers: layers to leave out, from 0; only ever given where the variant says ``skip_layers``.
        """
        ...

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """What an inpainting network is told about the picture, to be merged into the conditioning.

        Only ever called where the variant's tasks hold ``inpainting``.

        Args:
            pixels: (batch, 3, height, width) in −1..1.
            mask: (batch, 1, height, width), 1 where the network is to draw and 0 elsewhere.
        """
        ...

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (batch, channels, h, w), float32, of pictures (batch, 3, height, width) in −1..1.

        The mode of the autoencoder's posterior; with standard normal ``noise`` of the latents' shape a sample of it.
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) in −1..1, float32, of latents."""
        ...

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves attention of one role, or of all, through a backend.

        It holds from the call on; used as a context manager it is put back at the end.

        Args:
            backend: an object, a name as in ``attention_backend``, or None for the networks' own way.
            role: ``self``, ``cross``, ``joint``, ``vae`` or ``text``; None for all that the model has.

        Raises:
            OptionError: the model has no such role.
            UnknownName: no such backend.
            IncompatibleError: the backend does not declare to serve one of the layers.
        """
        ...

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """Until the end of the context, how pictures go through the autoencoder.

        Args:
            side: of the tiles of larger pictures, in pixels of the picture; None: whole.
            slicing: the pictures of a batch go one after another.
        """
        ...

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """Changes the networks by LoRAs, in place of those that changed them before; none takes all off.

        It holds from the call on; used as a context manager it is put back at the end. Without LoRAs the weights are
        those of the checkpoint, bit for bit. No prediction may be under way in another thread.

        Args:
            loras: which, and how much of each.
            mode: ``unmerged`` computes them beside the layers, ``merged`` puts them into the weights.

        Raises:
            ModelError, IncompatibleError: see ``Checkpoint.match_loras``; also what cannot be merged.
        """
        ...
