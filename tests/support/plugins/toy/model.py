"""A model family in miniature: its network knows the truth about one colour a prompt."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from support.oracles import Gaussian, emitted
from torch import Tensor

from latentry import (
    Conditioning,
    Detection,
    Flow,
    LoadReport,
    ModelFiles,
    NoiseSettings,
    OptionError,
    Prediction,
    Process,
    PromptSettings,
    SigmaPreference,
    VariancePreserving,
)


def detect_vp(files: ModelFiles) -> Detection | None:
    """A folder whose ``toy.json`` says vp."""
    return _detect(files.path, "vp")


def detect_flow(files: ModelFiles) -> Detection | None:
    """A folder whose ``toy.json`` says flow."""
    return _detect(files.path, "flow")


def _detect(path: Path, kind: str) -> Detection | None:
    file = path / "toy.json"
    if not file.is_file() or (about := json.loads(file.read_text())).get("kind") != kind:
        return None
    return Detection(tuple(about.get("variants", ["small"])), about.get("score", 0.9), ("it says so",))


def open_checkpoint(files: ModelFiles, variant: str) -> ToyCheckpoint:
    """Reads ``toy.json``."""
    return ToyCheckpoint(files.path, json.loads((files.path / "toy.json").read_text()))


def lost() -> Path:
    """Where nothing is."""
    return Path(__file__).parent / "nowhere"


@dataclass(frozen=True)
class ToyCheckpoint:
    """See ``latentry.Checkpoint``; ``about`` is its ``toy.json``."""

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

    def load(self, device: torch.device, dtype: torch.dtype) -> ToyModel:
        """Nothing to load; fails where asked to."""
        if self.about.get("fails") == "loading":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        return ToyModel(self, device, dtype)


class ToyModel:
    """See ``latentry.Model``; remembers prompts in ``encoded``, batches and times in ``calls``, and the names of the
    conditioning in ``told``.
    """

    def __init__(self, checkpoint: ToyCheckpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.checkpoint, self.device, self.dtype = checkpoint, device, dtype
        self.process, self.prediction = checkpoint.noise.process, checkpoint.noise.prediction
        self.report = LoadReport(0)
        self.calls: list[tuple[int, float]] = []
        self.told: list[tuple[str, ...]] = []
        self.encoded: list[tuple[tuple[str, ...], PromptSettings]] = []
        self.backends: list[Any] = []
        self.roles: list[str | None] = []

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The checkpoint's."""
        return self.checkpoint.latent_shape(width, height)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """A colour between −1 and 1 for each, and as many tokens as it has words, one at least."""
        self.encoded.append((tuple(prompts), settings))
        colours = [zlib.crc32(prompt.encode()) % 2001 / 1000 - 1 for prompt in prompts]
        words = torch.zeros(len(prompts), max(len(prompt.split() or "_") for prompt in prompts), 1)
        return Conditioning({"colour": torch.tensor(colours).view(-1, 1, 1, 1), "words": words})

    def predict(
        self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The truth about data around the colour, which pales with each layer that is left out."""
        if self.checkpoint.about.get("fails") == "sampling":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        self.calls.append((x.shape[0], timestep))
        self.told.append(tuple(conditioning.tensors))
        strength = self.checkpoint.about.get("pale", 1.0) * 0.5 ** len(skip_layers)
        point, colour = self.process.at(timestep=timestep), conditioning["colour"] * strength
        oracle = Gaussian(mean=0.0, std=0.3)
        centred = x - point.alpha * colour
        x0, eps = oracle.x0(centred, point) + colour, oracle.eps(centred, point)
        return emitted(self.prediction, point, x0, eps)

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Both, an eighth of their size."""
        return {"mask": mask[..., ::8, ::8], "masked": self.encode(pixels * (mask < 0.5))}

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """The first pixel of each square, and the mean of the colours."""
        colours = pixels[..., ::8, ::8]
        return torch.cat([colours, colours.mean(1, keepdim=True)], 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Squares of 8 by 8 pixels."""
        return latents[:, :3].float().repeat_interleave(8, 2).repeat_interleave(8, 3)

    def set_attention(self, backend: Any, *, role: str | None = None) -> AbstractContextManager[None]:
        """Remembers."""
        self.backends.append(backend)
        self.roles.append(role)
        return nullcontext()
