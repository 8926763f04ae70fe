"""A model family in miniature: its network knows the truth about one colour a prompt."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
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
    NoiseSettings,
    OptionError,
    Prediction,
    Process,
    SigmaPreference,
    VariancePreserving,
)


def detect_vp(path: Path) -> Detection | None:
    """A folder whose ``toy.json`` says vp."""
    return _detect(path, "vp")


def detect_flow(path: Path) -> Detection | None:
    """A folder whose ``toy.json`` says flow."""
    return _detect(path, "flow")


def _detect(path: Path, kind: str) -> Detection | None:
    file = path / "toy.json"
    if not file.is_file() or (about := json.loads(file.read_text())).get("kind") != kind:
        return None
    return Detection(tuple(about.get("variants", ["small"])), about.get("score", 0.9), ("it says so",))


def open_checkpoint(path: Path, variant: str) -> ToyCheckpoint:
    """Reads ``toy.json``."""
    return ToyCheckpoint(path, json.loads((path / "toy.json").read_text()))


def lost() -> Path:
    """Where nothing is."""
    return Path(__file__).parent / "nowhere"


@dataclass(frozen=True)
class ToyCheckpoint:
    """See ``latentry.Checkpoint``. ``about`` may hold ``kind``, ``prediction``, ``demand`` and ``fails``."""

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
        return (4, height // 8, width // 8)

    def load(self, device: torch.device, dtype: torch.dtype) -> ToyModel:
        """Nothing to load; fails where asked to."""
        if self.about.get("fails") == "loading":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        return ToyModel(self, device, dtype)


class ToyModel:
    """See ``latentry.Model``; remembers the batches it was asked about in ``calls``."""

    def __init__(self, checkpoint: ToyCheckpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.checkpoint, self.device, self.dtype = checkpoint, device, dtype
        self.process, self.prediction = checkpoint.noise.process, checkpoint.noise.prediction
        self.report = LoadReport(0)
        self.calls: list[tuple[int, float]] = []
        self.backends: list[Any] = []

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The checkpoint's."""
        return self.checkpoint.latent_shape(width, height)

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """A colour between −1 and 1 for each."""
        colours = [zlib.crc32(prompt.encode()) % 2001 / 1000 - 1 for prompt in prompts]
        return Conditioning({"colour": torch.tensor(colours).view(-1, 1, 1, 1)})

    def predict(self, x: Tensor, timestep: float, conditioning: Conditioning) -> Tensor:
        """The truth about data around the colour."""
        if self.checkpoint.about.get("fails") == "sampling":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore text.")
        self.calls.append((x.shape[0], timestep))
        point, colour = self.process.at(timestep=timestep), conditioning["colour"]
        oracle = Gaussian(mean=0.0, std=0.3)
        centred = x - point.alpha * colour
        x0, eps = oracle.x0(centred, point) + colour, oracle.eps(centred, point)
        return emitted(self.prediction, point, x0, eps)

    def encode(self, pixels: Tensor) -> Tensor:
        """Not needed."""
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        """Squares of 8 by 8 pixels."""
        return latents[:, :3].float().repeat_interleave(8, 2).repeat_interleave(8, 3)

    def set_attention(self, backend: Any, *, role: str | None = None) -> AbstractContextManager[None]:
        """Remembers."""
        self.backends.append(backend)
        return nullcontext()
