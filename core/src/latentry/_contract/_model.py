"""What a model family implements: checkpoints before and after their weights are loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
        used: how many tensors of the networks were loaded.
        missing: tensors that the files do not have.
        unexpected: tensors of the files that no network has.
        ignored: how many tensors were skipped on purpose: not needed here, or replaced by parts given separately.
    """

    used: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ignored: int = 0


class AttentionBackend(Protocol):
    """What the target of an ``AttentionBackendSpec`` returns."""

    def probe(self) -> str | None:
        """None where it can run here, else why not, in one sentence."""
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
            causal: token i attends to keys 0..i, whatever the number of keys; a mask applies as well.

        Returns:
            (batch, heads, tokens, head size) in the dtype of q.

        Raises:
            IncompatibleError: it cannot serve this call, for a reason that its record cannot express.
        """
        ...


class Checkpoint(Protocol):
    """A checkpoint whose configuration has been read and whose weights have not.

    Attributes:
        noise: process, prediction and grid it was trained with.
        size: height and width in pixels that it draws best.
        layers: how many layers skip-layer guidance may choose from; 0 where it is not supported.
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
        """Time shift of a picture size in pixels: the factor on σ/α of the sigma schedule.

        None leaves it to the schedule, as variance-preserving models do.
        """
        ...

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Model:
        """The networks with their weights.

        Args:
            device: where to put them.
            dtype: what they run in; a part that would overflow in it may use another.
            dtypes: what single parts run in, without exception.

        Raises:
            ModelError: a weight is missing, damaged or of the wrong shape.
        """
        ...

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """What LoRAs would do to the model, from their files and the checkpoint's configuration.

        Args:
            paths: safetensors files, or folders that PEFT or diffusers saved a LoRA to.

        Raises:
            ModelError: a file is missing, unsafe, damaged or not a LoRA.
            IncompatibleError: a LoRA matches no layer of the model, or a layer of another shape.
        """
        ...


@runtime_checkable
class ShiftsBySteps(Protocol):
    """A checkpoint whose time shift depends on the number of steps as well. Optional for a family."""

    def shift_for(self, width: int, height: int, steps: int) -> float:
        """The time shift in place of ``Checkpoint.shift``.

        Args:
            width: of the picture in pixels.
            height: likewise.
            steps: that are laid out, of which a picture to begin from may take a part.
        """
        ...


@runtime_checkable
class StatesGuidance(Protocol):
    """A checkpoint whose files can say which guidance scale suits them. Optional for a family."""

    @property
    def own_guidance(self) -> float | None:
        """The scale; None where they do not say."""
        ...


@runtime_checkable
class StoresWeights(Protocol):
    """A checkpoint that can keep weights in fewer bits than they are computed with. Optional for a family."""

    def storing(self, weights: str) -> Checkpoint:
        """The same checkpoint, whose networks keep their weights so once they are loaded.

        Args:
            weights: ``float8``, ``int8`` or ``int4``, for the layers that ``latentry.models.layers_in_blocks`` names;
                what a GGUF file holds in fewer bits already stays as it is.
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


@runtime_checkable
class ReadsConditioning(Protocol):
    """A checkpoint that says which conditioning options it reads. Optional: others are taken to read all of them."""

    def conditioning_read(self, *, negative: bool) -> Collection[str]:
        """The names of the options that its prompts depend on.

        Args:
            negative: of the negative prompt, which is encoded only with guidance.
        """
        ...


class OpenCheckpoint(Protocol):
    """The target of a ``ModelFamilySpec``."""

    def __call__(self, files: ModelFiles, variant: str) -> Checkpoint:
        """Reads the configuration of a checkpoint.

        Raises:
            ModelError: a configuration is missing or cannot be understood.
        """
        ...


def takes_rows_of_timesteps(model: Model) -> bool:
    """Whether ``predict`` takes a timestep for each row: whether the model has ``rows_of_timesteps = True``."""
    return bool(getattr(model, "rows_of_timesteps", False))


def timestep_rows(timestep: float | Tensor, x: Tensor) -> Tensor:
    """A timestep for each row, (batch,), float32, for networks that take them: those given, or one for all.

    Args:
        timestep: what ``Model.predict`` was given.
        x: the samples, (batch, …).
    """
    if isinstance(timestep, Tensor):
        return timestep
    return torch.full((x.shape[0],), timestep, device=x.device)  # a fill: no copy from the host


@runtime_checkable
class VariesLoras(Protocol):
    """A model whose unmerged LoRAs can have other weights at each evaluation. Optional for a family.

    Where it is one, ``set_loras`` takes LoRAs whose weight for the denoiser is a curve (``LoraRequest.curve``), and its
    checkpoint says so (``LoraMatch.varies``).
    """

    def weighing(self, weights: Sequence[Sequence[float]]) -> AbstractContextManager[None]:
        """Sets the weights of the denoiser's LoRAs for the evaluations of this thread, until the end of the context.

        Without it, they have those of the start of a run.

        Args:
            weights: for each row, those of the LoRAs that have a curve, in their order. Rows are alike, unless the
                model has ``rows_of_lora_weights = True``.
        """
        ...


def takes_rows_of_lora_weights(model: Model) -> bool:
    """Whether rows of one pass may have different weights of LoRAs: ``rows_of_lora_weights = True``."""
    return bool(getattr(model, "rows_of_lora_weights", False))


@runtime_checkable
class Previews(Protocol):
    """A model that can show what latents are like without its autoencoder. Optional for a family."""

    def preview(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, h, w) in −1..1, float32, of latents (batch, channels, h, w): small, rough and cheap."""
        ...


class Model(Protocol):
    """A checkpoint in memory.

    An engine runs its networks in ``torch.inference_mode``, unless gradients are enabled around them. Tensors that a
    model makes then and keeps cannot enter autograd later; those that it returns are copied.
    """

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
        """What the network predicts."""
        ...

    @property
    def report(self) -> LoadReport:
        """What became of the checkpoint's tensors."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks are while they are not used."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What the networks run in."""
        ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``Checkpoint``."""
        ...

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """The conditioning of each prompt; shorter prompts are padded to the longest."""
        ...

    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The network's output for scaled samples (batch, channels, height, width).

        A family that declares ``step_caches`` is also given ``cache``, a ``CachedPass``, where a request has one.

        Args:
            x: in the model's dtype.
            timestep: of all samples, on the process's own scale; or of each, (batch,), float32, which is only given to
                a model that has ``rows_of_timesteps = True``. Requests with different schedulers then share a pass.
            conditioning: of the same batch size.
            skip_layers: layers to leave out, from 0; only given where the variant says ``skip_layers``.
        """
        ...

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """What an inpainting network takes of the picture, to be merged into the conditioning.

        Only called where the variant's tasks include ``inpainting``.

        Args:
            pixels: (batch, 3, height, width) in −1..1.
            mask: (batch, 1, height, width), 1 where the network is to draw and 0 elsewhere.
        """
        ...

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (batch, channels, h, w), float32, of pictures (batch, 3, height, width) in −1..1.

        The mode of the autoencoder's posterior, or a sample of it with standard normal ``noise`` of the latents' shape.
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) in −1..1, float32, of latents."""
        ...

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Computes attention of one role, or of all, with a backend.

        It takes effect at once; used as a context manager, it is undone at the end.

        Args:
            backend: an object, a name as in ``attention_backend``, or None for the networks' own attention.
            role: ``self``, ``cross``, ``joint``, ``vae`` or ``text``; None for all that the model has.

        Raises:
            OptionError: the model has no such role.
            UnknownName: no such backend.
            IncompatibleError: the backend does not support one of the layers.
        """
        ...

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """How pictures go through the autoencoder, until the end of the context.

        Args:
            side: of the tiles for larger pictures, in pixels of the picture; None: no tiles.
            slicing: the pictures of a batch go one by one.
        """
        ...

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """Applies LoRAs to the networks, in place of earlier ones; an empty sequence removes all.

        It takes effect at once; used as a context manager, it is undone at the end. Without LoRAs the weights are
        those of the checkpoint, bit for bit. No other thread may be using the networks.

        Args:
            loras: files and weights.
            mode: ``unmerged`` computes them next to the layers, ``merged`` adds them to the weights.

        Raises:
            ModelError, IncompatibleError: see ``Checkpoint.match_loras``; also a LoRA that cannot be merged.
        """
        ...
