"""A job that was left in the middle, as bytes that another process continues from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from latentry._errors import RecipeError
from latentry._generate._batch._decode import Drawn
from latentry._generate._batch._loop import Begun, Sampled
from latentry._generate._drawing import Progressed
from latentry._numerics._processes._point import Point
from latentry._numerics._running._state import RunState
from latentry._request._generation_request import GenerationRequest
from latentry._request._recipe import Recipe

FORMAT = 1
"""Rises when earlier versions cannot read it."""


@dataclass(frozen=True)
class SavedJob:
    """One file of safetensors: no code runs when it is read.

    Attributes:
        recipe: of the first picture.
        given: pictures that a program gave, by name.
        done: how far the job had come.
    """

    recipe: Recipe
    given: Mapping[str, Image.Image]
    done: Progressed

    def to_bytes(self) -> bytes:
        """The job as data."""
        from safetensors.torch import save

        tensors = {f"given.{name}": _levels(picture) for name, picture in self.given.items()}
        about: dict[str, Any] = {
            "format": FORMAT,
            "recipe": self.recipe.model_dump_json(),
            "given": {name: picture.mode for name, picture in self.given.items()},
            "batches": self.done.batches,
            "drawn": [],
        }
        for number, drawn in enumerate(self.done.drawn):
            counts = {"evaluations": drawn.sampled.evaluations, "made_up": drawn.sampled.made_up}
            about["drawn"].append({"indices": list(drawn.indices), **counts})
            tensors[f"latents.{number}"] = drawn.sampled.latents.contiguous()
            tensors |= {f"picture.{number}.{i}": _levels(picture) for i, picture in enumerate(drawn.pictures)}
        if (begun := self.done.begun) is not None:
            about["evaluations"], about["larger"], about["made_up"] = begun.evaluations, begun.larger, begun.made_up
            for name, state in (("run", begun.run), ("guidance", begun.guidance), ("caches", begun.caches)):
                if state is None:
                    continue
                about[name] = _about(state)
                tensors |= {f"{name}.{key}": tensor.cpu().contiguous() for key, tensor in state.tensors.items()}
        return save(tensors, {"latentry.job": json.dumps(about)})

    @classmethod
    def from_bytes(cls, state: bytes) -> SavedJob:
        """Reads what ``to_bytes`` wrote; its tensors are in main memory.

        Raises:
            RecipeError: it is not a saved job, or one of a newer version.
        """
        about, tensors = _read(state)
        if about["format"] > FORMAT:
            raise RecipeError(
                "The job was saved by a newer version of Latentry.", remedy="Upgrade Latentry to resume it."
            )
        try:
            recipe = Recipe.model_validate_json(about["recipe"])
        except ValidationError as error:
            raise _not_a_job(str(error).splitlines()[0]) from error
        drawn = [
            Drawn(
                entry["indices"],
                Sampled(tensors[f"latents.{number}"], entry["evaluations"], entry.get("made_up", 0)),
                [_picture(tensors[f"picture.{number}.{i}"]) for i in range(len(entry["indices"]))],
            )
            for number, entry in enumerate(about["drawn"])
        ]
        begun = None
        if "run" in about:
            run, guidance = (_state(about[name], tensors, name) for name in ("run", "guidance"))
            caches = _state(about["caches"], tensors, "caches") if "caches" in about else None
            counts = about["evaluations"], about.get("larger", False), about.get("made_up", 0)
            begun = Begun(run, guidance, *counts, caches)
        given = {name: _picture(tensors[f"given.{name}"], mode) for name, mode in about["given"].items()}
        return cls(recipe, given, Progressed(drawn, about["batches"], begun))


def saved_request(state: bytes) -> GenerationRequest:
    """What was asked for by a job that is paused.

    Args:
        state: what ``Job.pause`` returned.

    Raises:
        RecipeError: it is not a saved job, or one of a newer version.
    """
    return SavedJob.from_bytes(state).recipe.request


def _read(state: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors.torch import load

    try:
        length = int.from_bytes(state[:8], "little")
        header = json.loads(state[8 : 8 + length])
        return json.loads(header["__metadata__"]["latentry.job"]), load(state)
    except Exception as error:  # safetensors' own, whose class is not public, or what damaged JSON raises
        raise _not_a_job(f"{type(error).__name__}: {error}") from error


def _not_a_job(why: str) -> RecipeError:
    return RecipeError("This is not a saved job.", why=why, remedy="Give what Job.pause returned.")


def _about(state: RunState) -> dict[str, Any]:
    return {"plan": state.plan, "index": state.index, "point": list(state.point), "tree": state.tree}


def _state(about: Mapping[str, Any], tensors: Mapping[str, Tensor], name: str) -> RunState:
    own = {key.partition(".")[2]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}
    return RunState(about["plan"], about["index"], Point(*about["point"]), about["tree"], own)


def _levels(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture))


def _picture(levels: Tensor, mode: str = "RGB") -> Image.Image:
    return Image.fromarray(levels.numpy(), mode)
