"""Converged references: what a picture becomes when steps cost nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentry import OptionError
from latentry.batches import Line

FOLDER = "reference"


@dataclass(frozen=True)
class Reference:
    """How references are drawn. What they still lack is measured by drawing them in half the steps, too.

    Attributes:
        scheduler: deterministic; under its default options, on its own sigma schedule.
        steps: how many.
    """

    scheduler: str = "latentry-unipc:unipc"
    steps: int = 128

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise OptionError("A reference needs at least 2 steps.", remedy="Give more, or leave references out.")

    @property
    def fields(self) -> dict[str, Any]:
        """Of a request."""
        return {"scheduler": self.scheduler, "steps": self.steps}

    def halved(self, line: Line) -> Line:
        """The same reference in half the steps."""
        return Line(line.number, {**line.fields, "steps": self.steps // 2})


def distance(latents: Tensor, reference: Tensor) -> float:
    """‖x − x*‖ / ‖x*‖ of latents of one picture, in float64 on the CPU."""
    miss, size = (each.double().norm() for each in (latents - reference, reference))
    return float(miss / size)


class KeptReferences:
    """Latents of references on disk, so that a comparison that was interrupted goes on.

    Args:
        folder: of the comparison.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def read(self, line: Line) -> Tensor | None:
        """The latents of a line's request; None where they are not there, or are another request's."""
        path = self._path(line)
        if not path.is_file():
            return None
        with safe_open(path, "pt") as opened:
            if (opened.metadata() or {}).get("request") != _key(line):
                return None
        return load_file(path)["latents"]

    def write(self, line: Line, latents: Tensor) -> None:
        """Keeps latents, whole or not at all."""
        path = self._path(line)
        self._folder.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({"latents": latents.to(torch.float32).contiguous()}, partial, {"request": _key(line)})
        partial.replace(path)

    def _path(self, line: Line) -> Path:
        return self._folder / f"{line.number:06d}.safetensors"


def _key(line: Line) -> str:
    return json.dumps(dict(line.fields), sort_keys=True)
