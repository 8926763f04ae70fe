"""What takes part in a picture besides the model: other networks, adapters, learnt words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Checkpoint
from latentry._guidance._second_models._refiner import Refiner, choose_refiner
from latentry._guidance._second_models._weak_model import WeakModel, choose_weak_model
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._added._controls import ChosenControl, choose_controls
from latentry._resolve._added._embeddings import ChosenEmbeddings, choose_embeddings
from latentry._resolve._added._loras import choose_loras
from latentry._resolve._conditioning import choose_conditioning
from latentry._resolve._deciding._found import Found
from latentry._resolve._guiding._guidance_method import ChosenMethod
from latentry._resolve._shown._canvas import Canvas


@dataclass(frozen=True)
class Companions:
    """What takes part besides the model.

    Attributes:
        checkpoints: configurations of all networks that denoise, the model's first.
        refiner: takes over for the last steps.
        weak: guidance leads away from it.
        conditioning: the family's own options for encoding prompts.
        embeddings: learnt words.
        loras: they change the model.
        controls: they steer it.
    """

    checkpoints: tuple[Checkpoint, ...]
    refiner: Refiner | None
    weak: WeakModel | None
    conditioning: BaseModel | None
    embeddings: ChosenEmbeddings
    loras: ChosenLoras
    controls: tuple[ChosenControl, ...]

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same."""
        return {
            "conditioning": {} if self.conditioning is None else self.conditioning.model_dump(),
            "refiner": self.refiner.located.pinned if self.refiner else None,
            "guidance_model": self.weak.located.pinned if self.weak else None,
            "embeddings": self.embeddings.requests,
            "loras": self.loras.requests,
            "controls": tuple(control.request for control in self.controls),
            "control_preprocess": None,  # each control has it by now
        }


def choose_companions(found: Found, request: GenerationRequest, canvas: Canvas, method: ChosenMethod) -> Companions:
    """Those that a request names, fitted to its model and size.

    Raises:
        LatentryError: see the choosers.
    """
    host, located, checkpoint = found.host, found.located, found.checkpoint
    access = replace(found.access, revision=None)
    second = (located, checkpoint, canvas.size, access)
    refiner = choose_refiner(host, request.refiner, request.switch, *second)
    weak = choose_weak_model(host, request.guidance_model, "weak-model" in method.spec.branches, *second)
    checkpoints = (checkpoint, *(other.checkpoint for other in (refiner, weak) if other))
    return Companions(
        checkpoints=checkpoints,
        refiner=refiner,
        weak=weak,
        conditioning=choose_conditioning(host, located.family, request.conditioning, checkpoints),
        embeddings=choose_embeddings(request.embeddings, checkpoints),
        loras=choose_loras(request.loras, request.lora_mode, checkpoint),
        controls=choose_controls(host, request, located, checkpoint, canvas.size, access),
    )
