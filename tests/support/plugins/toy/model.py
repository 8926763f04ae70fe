"""A model family in miniature: its network knows the truth about one colour a prompt."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from support.oracles import Gaussian, emitted
from torch import Tensor, nn

from latentry import (
    Detection,
    FileKind,
    Flow,
    IncompatibleError,
    LoraMode,
    LoraRequest,
    ModelFiles,
    OptionError,
    Prediction,
    Process,
    SigmaPreference,
    VariancePreserving,
)
from latentry.models import Conditioning, LoadReport, LoraMatch, NoiseSettings, PromptSettings


def detect_vp(files: ModelFiles) -> Detection | None:
    """A model whose ``toy.json`` says vp."""
    return _detect(files.path, "vp")


def detect_flow(files: ModelFiles) -> Detection | None:
    """A model whose ``toy.json`` says flow."""
    return _detect(files.path, "flow")


def _detect(path: Path, kind: str) -> Detection | None:
    if (about := _about(path)).get("kind") != kind:
        return None
    variants, kind = tuple(about.get("variants", ["small"])), FileKind(about.get("is", "model"))
    return Detection(variants, about.get("score", 0.9), ("it says so",), kind=kind, label=about.get("label", kind))


def _about(path: Path) -> dict[str, Any]:
    """``toy.json``: a file of that name in a folder, or the metadata of that name in a safetensors file."""
    if path.suffix == ".safetensors":
        with safe_open(path, "np") as opened:
            return dict(json.loads((opened.metadata() or {}).get("toy.json", "{}")))
    file = path / "toy.json"
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def open_checkpoint(files: ModelFiles, variant: str) -> ToyCheckpoint:
    """Reads ``toy.json``."""
    return ToyCheckpoint(files.path, _about(files.path))


def lost() -> Path:
    """Where nothing is."""
    return Path(__file__).parent / "nowhere"


@dataclass(frozen=True)
class ToyCheckpoint:
    """See ``latentry.models.Checkpoint``; ``about`` is its ``toy.json``."""

    path: Path
    about: dict[str, Any]
    size: int = 32

    @property
    def noise(self) -> NoiseSettings:
        """As ``toy.json`` says."""
        flow = self.about["kind"] == "flow"
        process: Process = Flow() if flow else VariancePreserving.from_betas()
        prediction = Prediction.FLOW if flow else Prediction(self.about.get("prediction", "v_prediction"))
        demand = SigmaPreference("latentry:linspace") if self.about.get("demand") else None
        return NoiseSettings(process, prediction, demand)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """An eighth of each side."""
        if width % 8 or height % 8:
            raise OptionError(f"This model cannot draw {width}×{height} pixels.", remedy="Multiples of 8.")
        return (self.about.get("channels", 4), height // 8, width // 8)

    @property
    def layers(self) -> int:
        """None, unless asked for."""
        return int(self.about.get("layers", 0))

    def shift(self, width: int, height: int) -> float | None:
        """None, unless asked for."""
        shift: float | None = self.about.get("shift")
        return shift

    @property
    def parts(self) -> tuple[str, ...]:
        """It has no networks."""
        return ()

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """A file of a LoRA holds JSON: the ``parts`` it changes, and keys that it has besides."""
        found = []
        for path in paths:
            about = json.loads(path.read_text())
            if not about["parts"]:
                raise IncompatibleError(f"The LoRA {path} changes no layer of this model.")
            rest = tuple(about.get("rest", ()))
            notes = (f"{path.name} holds {rest[0]}, which has no effect.",) if rest else ()
            varies = about.get("varies", True)
            found.append(LoraMatch(path, tuple(about["parts"]), 1, rest, notes, varies=varies))
        return tuple(found)

    def load(
        self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None
    ) -> ToyModel:
        """Nothing to load; fails where asked to."""
        if self.about.get("fails") == "loading":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        return ToyModel(self, device, dtype)


class ToyModel:
    """See ``latentry.models.Model``; remembers prompts in ``encoded``, batches and times in ``calls``, the names of the
    conditioning in ``told``, timesteps of rows in ``passes``, and LoRAs in ``worn``.
    """

    def __init__(self, checkpoint: ToyCheckpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.checkpoint, self.device, self.dtype = checkpoint, device, dtype
        self.process, self.prediction = checkpoint.noise.process, checkpoint.noise.prediction
        self.report, self.networks = LoadReport(0), dict[str, nn.Module]()
        self.calls: list[tuple[int, float]] = []
        self.told: list[tuple[str, ...]] = []
        self.passes: list[list[float]] = []
        self.encoded: list[tuple[tuple[str, ...], PromptSettings]] = []
        self.loras: Sequence[LoraRequest] = ()
        self.weights: Sequence[Sequence[float]] = ()
        self.weighed: list[tuple[float, ...]] = []
        self.worn: list[tuple[LoraMode, tuple[LoraRequest, ...]]] = []
        self.backends: list[Any] = []
        self.roles: list[str | None] = []

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The checkpoint's."""
        return self.checkpoint.latent_shape(width, height)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """A colour between −1 and 1 for each, and as many tokens as it has words, one at least."""
        self.encoded.append((tuple(prompts), settings))
        tint = self._lora("text_encoder")
        colours = [zlib.crc32(prompt.encode()) % 2001 / 1000 - 1 + tint for prompt in prompts]
        words = torch.zeros(len(prompts), max(len(prompt.split() or "_") for prompt in prompts), 1)
        return Conditioning({"colour": torch.tensor(colours).view(-1, 1, 1, 1), "words": words})

    @property
    def rows_of_timesteps(self) -> bool:
        """Where asked for."""
        return bool(self.checkpoint.about.get("rows", False))

    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The truth about data around the colour, which pales with each layer that is left out."""
        if isinstance(timestep, Tensor):
            self.passes.append(timestep.tolist())
            return torch.cat(
                [self._row(i, x, time, conditioning, skip_layers) for i, time in enumerate(timestep.tolist())]
            )
        if self.checkpoint.about.get("fails") == "sampling":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        if len(set(map(tuple, self.weights))) > 1:
            return torch.cat([self._row(i, x, timestep, conditioning, skip_layers) for i in range(len(x))])
        self.calls.append((x.shape[0], timestep))
        self.told.append(tuple(conditioning.tensors))
        strength = self.checkpoint.about.get("pale", 1.0) * 0.5 ** len(skip_layers)
        shift = self._lora("unet")
        point, colour = self.process.at(timestep=timestep), conditioning["colour"] * strength + shift
        oracle = Gaussian(mean=0.0, std=0.3)
        centred = x - point.alpha * colour
        x0, eps = oracle.x0(centred, point) + colour, oracle.eps(centred, point)
        return emitted(self.prediction, point, x0, eps)

    def _row(
        self, row: int, x: Tensor, timestep: float, conditioning: Conditioning, skip_layers: tuple[int, ...]
    ) -> Tensor:
        """The prediction for one row of a batch."""
        mine = Conditioning({name: value[row : row + 1] for name, value in conditioning.tensors.items()})
        weights, self.weights = self.weights, self.weights[row : row + 1]
        try:
            return self.predict(x[row : row + 1], timestep, mine, skip_layers=skip_layers)
        finally:
            self.weights = weights

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Both, an eighth of their size."""
        return {"mask": mask[..., ::8, ::8], "masked": self.encode(pixels * (mask < 0.5))}

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """The first pixel of each square, and the mean of the colours."""
        colours = pixels[..., ::8, ::8]
        return torch.cat([colours, colours.mean(1, keepdim=True)], 1)

    def preview(self, latents: Tensor) -> Tensor:
        """One pixel for each latent."""
        return latents[:, :3].float()

    def decode(self, latents: Tensor) -> Tensor:
        """Squares of 8 by 8 pixels."""
        return latents[:, :3].float().repeat_interleave(8, 2).repeat_interleave(8, 3)

    def set_attention(self, backend: Any, *, role: str | None = None) -> AbstractContextManager[None]:
        """Remembers."""
        self.backends.append(backend)
        self.roles.append(role)
        return nullcontext()

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """It has no autoencoder."""
        return nullcontext()

    @contextmanager
    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> Iterator[None]:
        """Remembers; adds weights for the text encoder to each prompt's colour, those for the UNet to the data's."""
        self.loras, before = tuple(loras), self.loras
        self.worn.append((mode, tuple(loras)))
        try:
            yield
        finally:
            self.loras = before

    @property
    def rows_of_lora_weights(self) -> bool:
        """Where rows of timesteps are."""
        return self.rows_of_timesteps

    @contextmanager
    def weighing(self, weights: Sequence[Sequence[float]]) -> Iterator[None]:
        """Remembers, for one thread at a time."""
        self.weights = weights
        self.weighed += map(tuple, weights)
        yield
        self.weights = ()

    def _lora(self, part: str) -> float:
        """How much of all LoRAs together a part gets."""
        changing = [lora for lora in self.loras if part in json.loads(Path(lora.path).read_text())["parts"]]
        curved = [] if part.startswith("text_encoder") else [lora for lora in self.loras if lora.curve]
        now = dict(zip(curved, self.weights[0] if self.weights else (), strict=False))
        return sum(now.get(lora, lora.weight_of(part)) for lora in changing)
