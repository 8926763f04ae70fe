"""LoRAs: small files that change a model's weights for one request."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from latentry._contract._curve import Curve, OverRun, bounded

LoraMode = Literal["unmerged", "merged"]
"""``unmerged`` computes LoRAs next to the layers they change; ``merged`` adds them to the weights once."""

LARGEST = 100.0
"""The largest weight, as in ComfyUI: far beyond what draws anything, and a mistake or an overflow above."""
Weight = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
WeightOverRun = Annotated[OverRun[Weight], AfterValidator(bounded(-LARGEST, LARGEST))]


class LoraRequest(BaseModel):
    """One LoRA and its weight."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: str = Field(description="safetensors file, or the folder that PEFT or diffusers saved one to")
    weight: WeightOverRun = Field(default=1.0, description="strength; 0 has no effect, negative values invert it")
    denoiser: WeightOverRun | None = Field(default=None, description="weight for the denoiser, where it differs")
    text_encoders: Weight | None = Field(default=None, description="weight for the text encoders, where it differs")

    @property
    def curve(self) -> Curve | None:
        """The denoiser's weight over the run, where it is a curve."""
        found = self.weight if self.denoiser is None else self.denoiser
        return found if isinstance(found, Curve) else None

    @property
    def opened(self) -> LoraRequest:
        """The same without its weight for the denoiser, which is then given at each evaluation."""
        return self.model_copy(update={"denoiser": _constant(1.0)})

    def weight_of(self, part: str) -> float:
        """The weight for a network, named as in ``Model.networks``; of a curve the value where the run begins.

        Text encoders, which are run before, have that one throughout.
        """
        own = self.text_encoders if part.startswith("text_encoder") else self.denoiser
        found = self.weight if own is None else own
        return found.first if isinstance(found, Curve) else found


@dataclass(frozen=True)
class LoraMatch:
    """What a LoRA does to a model.

    Attributes:
        path: its file.
        parts: the networks it changes, named as in ``Model.networks``.
        layers: how many layers of them.
        unmatched: the file's keys that belong to no layer of the model.
        notes: what to tell the user, one sentence each.
        settings: a second file that gives its scale, where there is one.
        varies: its weight for the denoiser can change over a run, see ``VariesLoras``.
    """

    path: Path
    parts: tuple[str, ...]
    layers: int
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Path | None = None
    varies: bool = False

    @property
    def digest(self) -> str:
        """sha256 of its file, followed by the settings file where there is one."""
        with self.path.open("rb") as stream:
            digest = file_digest(stream, "sha256")
        if self.settings is not None:
            digest.update(self.settings.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class ChosenLoras:
    """The LoRAs of a request, found and matched.

    Attributes:
        requests: with the files' full paths.
        mode: how they are applied.
        matches: what each does.
        digests: of each; see ``LoraMatch``.
    """

    requests: tuple[LoraRequest, ...] = ()
    mode: LoraMode = "unmerged"
    matches: tuple[LoraMatch, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user, one sentence each."""
        return tuple(note for match in self.matches for note in match.notes)

    @property
    def varying(self) -> bool:
        """Whether a weight is given at each evaluation."""
        return any(lora.curve is not None for lora in self.requests)

    @property
    def opened(self) -> ChosenLoras:
        """The same without their weights for the denoiser, as far as these can be given at each evaluation.

        Equal for requests that differ in these weights alone, which can then have the model in common.
        """
        if self.mode == "merged":
            return self
        pairs = zip(self.requests, self.matches, strict=True)
        return replace(self, requests=tuple(lora.opened if match.varies else lora for lora, match in pairs))

    def curves_of(self, worn: ChosenLoras) -> tuple[Curve, ...]:
        """The weights of those LoRAs that have a curve on the model.

        Args:
            worn: these LoRAs, as they are set: themselves, or ``opened``.
        """
        pairs = zip(self.requests, worn.requests, strict=True)
        return tuple(lora.curve or _constant(lora.weight_of("")) for lora, one in pairs if one.curve is not None)

    @property
    def key(self) -> Hashable:
        """Equal for LoRAs that have the same effect on a model."""
        return self._key("")

    @property
    def text_key(self) -> Hashable:
        """Equal for LoRAs that have the same effect on its text encoders."""
        return self._key("text_encoder")

    def _key(self, start: str) -> Hashable:
        """Files and weights for the networks whose names begin with ``start``."""
        weights = tuple(
            (digest, part, weight)
            for lora, match, digest in zip(self.requests, self.matches, self.digests, strict=True)
            for part in match.parts
            if part.startswith(start) and (weight := _over_run(lora, part) or lora.weight_of(part))
        )
        return (self.mode, weights) if weights else ()


def _constant(weight: float) -> Curve:
    return Curve(points=((0.0, weight),))


def _over_run(lora: LoraRequest, part: str) -> Curve | None:
    return None if part.startswith("text_encoder") else lora.curve
