"""A picture's recipe: everything needed to make it again, carried in the PNG."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentry._discovery import PluginHost, Registry
from latentry._errors import RecipeError
from latentry._request._generation_request import GenerationRequest

if TYPE_CHECKING:
    from PIL.Image import Image

KEY = "latentry"
"""Name of the PNG text chunk."""
UNVERSIONED = "unversioned"
"""The version of what nobody packaged."""


class UsedPlugin(BaseModel):
    """A plugin that took part.

    Attributes:
        name: ``distribution:name`` of the record.
        distribution: its distribution.
        version: that distribution's version.
        revision: the scheduler's numerics revision.
        why: why it was taken, where there was a choice.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    distribution: str
    version: str
    revision: int | None = None
    why: str = ""

    @property
    def remedy(self) -> str:
        """How to have it here."""
        if self.version == UNVERSIONED:
            return f"--plugin-dir {self.distribution}"
        return f"pip install {self.distribution}=={self.version}"


class Recipe(BaseModel):
    """How a picture was made; ``request`` has every choice filled in.

    Attributes:
        request: the request with scheduler, steps, seed, size and all else that was decided.
        index: which of the request's pictures it is, from 0.
        plugins: the plugins that took part, by role.
        core: version of the core.
        model: fingerprint of the model's files, parts given apart included, by which another of the same name is told.
        environment: torch's version, the device and the dtype, on which the last bit depends.
        inputs: sha256 of the pixels of the pictures it began from, by the request's names for them.
        latents: sha256 of its start noise, where a program gave it (see ``GivenNoise.digest``).
        own_draws: whether a program gave the draws of a stochastic scheduler.
        refiner: fingerprint of the refiner's files, where there was one.
        loras: sha256 of the LoRAs' files (see ``LoraMatch.digest``), in the order of the request.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    request: GenerationRequest
    index: int = Field(ge=0)
    plugins: Mapping[str, UsedPlugin]
    core: str
    model: str
    environment: Mapping[str, str]
    inputs: Mapping[str, str] = {}
    latents: str = ""
    own_draws: bool = False
    refiner: str = ""
    loras: tuple[str, ...] = ()

    def obstacles(self, host: PluginHost) -> tuple[str, ...]:
        """Why the same pixels cannot be expected with what is installed, one sentence for each part at odds."""
        registries: dict[str, Registry[Any]] = {
            "scheduler": host.schedulers,
            "sigmas": host.sigma_schedules,
            "family": host.families,
            "attention": host.attention_backends,
            "checkpoint": host.checkpoints,
        }
        found = []
        if (here := host.core_version or UNVERSIONED) != self.core:
            found.append(f"The core is {_beside(here, self.core)}: pip install latentry=={self.core}")
        for role, used in self.plugins.items():
            registry, pinned = registries.get(role.partition(" ")[0]), used.remedy  # attention 2
            if registry is None or used.name not in registry:
                found.append(f"The {role} {used.name} is missing: {pinned}")
                continue
            here = registry.provenance(used.name).version or UNVERSIONED
            if here != used.version:
                found.append(f"The {role} {used.name} is {_beside(here, used.version)}: {pinned}")
        return tuple(found)


def _beside(here: str, then: str) -> str:
    side = "newer" if _ordered(here) > _ordered(then) else "older"
    return f"{side} here ({here}) than in the picture ({then})"


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def save_picture(picture: Image, path: Path, recipe: Recipe) -> None:
    """Writes a PNG with its recipe; a failure leaves no half-written file."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt(KEY, recipe.model_dump_json())
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        picture.save(part, format="PNG", pnginfo=about)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_recipe(path: Path | str) -> Recipe:
    """The recipe of a PNG that Latentry wrote.

    Raises:
        RecipeError: no such file, no picture, or no recipe in it.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.load()
            text = picture.info.get(KEY)
    except FileNotFoundError as error:
        raise RecipeError(f"There is no file {path}.", remedy="Give the path of a PNG that Latentry made.") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise RecipeError(
            f"{path} cannot be read as a picture.", why=str(error), remedy="Give a PNG that Latentry made."
        ) from error
    if text is None:
        raise RecipeError(
            f"{path} carries no recipe.",
            why="It was not made by Latentry, or its metadata was stripped on the way.",
            remedy="Give the original PNG.",
        )
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise RecipeError(
            f"The recipe in {path} cannot be understood.",
            why=f"{error.error_count()} fields do not fit; it may be from another version of Latentry.",
            remedy="Upgrade Latentry, or look at it with any PNG metadata viewer.",
        ) from error
