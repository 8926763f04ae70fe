"""A picture's recipe: everything needed to make it again, carried in its file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from latentry._discovery import PluginHost, Registry
from latentry._errors import RecipeError
from latentry._pictures._formats import format_of
from latentry._pictures._reading import named, read_texts
from latentry._pictures._writing import Texts, encode_picture, write_picture
from latentry._policy import ANYTHING, Policy
from latentry._request._derived import Derived
from latentry._request._generation_request import GenerationRequest

if TYPE_CHECKING:
    from packaging.version import Version
    from PIL.Image import Image

DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What the packaging rules allow as the name of a distribution."""
UNVERSIONED = "unversioned"
"""The version of a plugin that is a loose file, and not a distribution."""
REVISION = 2
"""Of what the engine makes of a request. It rises when the same request draws another picture than before."""


class UsedPlugin(BaseModel):
    """A plugin that a picture was made with.

    Attributes:
        name: ``distribution:name`` of the record.
        distribution: its distribution, or the path of a loose file.
        version: that distribution's version.
        revision: of its record, where such records have one: raised when it draws differently.
        why: why it was chosen, where there was a choice.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    distribution: str
    version: str
    revision: int | None = None
    why: str = ""

    @property
    def remedy(self) -> str:
        """How to install it. A recipe is a stranger's text: only names and versions are repeated."""
        if self.version == UNVERSIONED:
            return f"load the plugin {shlex.quote(self.distribution)}"
        return what_to_install(self.distribution, self.version)


class Recipe(BaseModel):
    """How a picture was made: a request with every choice filled in, and what it was made with.

    Attributes:
        request: the request with scheduler, steps, seed, size and all else that was decided.
        index: which of the request's pictures it is, from 0.
        plugins: the plugins that it was made with, by role.
        core: version of the core.
        revision: ``REVISION`` of the core that made it; 1 before there was such a number.
        model: fingerprint of the model's files, including parts that were given separately.
        environment: torch's version, the device and the dtype, which the last bits depend on.
        inputs: sha256 of the pixels of the pictures it started from, by the request's field.
        latents: sha256 of its start noise, where a program gave it (see ``GivenNoise.digest``).
        own_draws: whether a program gave the draws of a stochastic scheduler.
        refiner: fingerprint of the refiner's files, where there was one.
        weak: fingerprint of the files of the network that guidance led away from, where there was one.
        loras: sha256 of the LoRAs' files (see ``LoraMatch.digest``), in the order of the request.
        controls: for each control of the request, in its order, the fingerprint of the conditioner's files and the
            sha256 of the pixels of its picture, and of its mask where there is one.
        embeddings: sha256 of the textual inversions' files, in the order of the request.
        plan: sha256 of the plan file's numbers, where there was one.
        derived: the picture whose settings these are, where they come from another one.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    request: GenerationRequest
    index: int = Field(ge=0)
    plugins: Mapping[str, UsedPlugin]
    core: str
    revision: int = 1
    model: str
    environment: Mapping[str, str]
    inputs: Mapping[str, str] = {}
    latents: str = ""
    own_draws: bool = False
    refiner: str = ""
    weak: str = ""
    loras: tuple[str, ...] = ()
    controls: tuple[tuple[str, str] | tuple[str, str, str], ...] = ()
    embeddings: tuple[str, ...] = ()
    plan: str = ""
    derived: Derived | None = None

    @model_validator(mode="after")
    def _fits_its_request(self) -> Recipe:
        if self.index >= len(self.request.prompts):
            raise ValueError(f"index must be less than the number of pictures, {len(self.request.prompts)}")
        references = {f"references.{number}" for number in range(len(self.request.references))}
        if unknown := set(self.inputs) - {"init_image", "mask", *references}:
            raise ValueError(f"inputs cannot have {', '.join(sorted(unknown))}")
        return self

    def embed(self, image: Image, suffix: str = ".png", *, parameters: str = "") -> bytes:
        """A picture's file with this recipe in it, from which ``read_recipe`` reads it again.

        Args:
            image: RGB.
            suffix: says the format: ``.png``, ``.jpg``, ``.webp`` or ``.avif``.
            parameters: the same for other programs, see ``GenerationResult.parameters``.

        Raises:
            ValueError: the format is unknown, or the recipe is too long for a JPEG file.
        """
        if (wanted := format_of(suffix)) is None:
            raise ValueError(f"{suffix!r} is not the suffix of a format that is written")
        file = BytesIO()
        encode_picture(image, file, wanted, Texts(self.model_dump_json(), parameters))
        return file.getvalue()

    def obstacles(self, host: PluginHost) -> tuple[str, ...]:
        """Why the same pixels cannot be expected with what is installed: one sentence for each part that differs."""
        registries: dict[str, Registry[Any]] = {
            "scheduler": host.schedulers,
            "sigmas": host.sigma_schedules,
            "family": host.families,
            "attention": host.attention_backends,
            "checkpoint": host.checkpoints,
            "guidance": host.guidance,
            "conditioner": host.conditioners,
        }
        found = []
        if (here := host.core_version or UNVERSIONED) != self.core:
            found.append(f"The core is {_compared(here, self.core)}: {what_to_install('latentry', self.core)}")
        for role, used in self.plugins.items():
            registry, pinned = registries.get(role.partition(" ")[0]), used.remedy  # attention 2
            if registry is None or used.name not in registry:
                found.append(f"The {role} {used.name} is missing: {pinned}")
                continue
            here = registry.provenance(used.name).version or UNVERSIONED
            if here != used.version:
                found.append(f"The {role} {used.name} is {_compared(here, used.version)}: {pinned}")
            elif used.revision not in (None, now := getattr(registry[used.name], "revision", None)):
                found.append(f"The {role} {used.name} draws differently here (revision {now}, then {used.revision})")
        return tuple(found)


def what_to_install(distribution: str, version: str) -> str:
    """A version of a distribution as pip spells it, if both follow the packaging rules."""
    parsed = _parsed(version)
    if DISTRIBUTION.fullmatch(distribution) is None or parsed is None:
        return "its name or version is not valid, so it cannot be installed"
    return f"install {distribution}=={parsed}"


def _compared(here: str, then: str) -> str:
    ours, theirs = _parsed(here), _parsed(then)
    side = "different" if ours is None or theirs is None else "newer" if ours > theirs else "older"
    return f"{side} here ({here}) than in the picture ({then})"


def _parsed(version: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version)
    except InvalidVersion:
        return None


def save_picture(picture: Image, path: Path, recipe: Recipe, *, parameters: str = "", overwrite: bool = True) -> None:
    """Writes a picture with its recipe; a failure leaves no partial file.

    Args:
        picture: RGB.
        path: the end of its name says the format.
        recipe: how it was made.
        parameters: the same for other programs, see ``GenerationResult.parameters``.
        overwrite: over a file of that name.

    Raises:
        FileExistsError: there is a file, and ``overwrite`` is not wanted.
        OSError: the folder cannot be written to.
    """
    write_picture(picture, path, Texts(recipe.model_dump_json(), parameters), overwrite=overwrite)


def read_recipe(file: Path | str | IO[bytes], policy: Policy = ANYTHING) -> Recipe:
    """The recipe in a picture that Latentry wrote.

    Args:
        file: its path, or the picture itself, open for reading.
        policy: which paths may be opened, and how many pixels there may be, where a stranger gives it.

    Raises:
        NotAllowed: the policy does not allow it.
        RecipeError: no such file, not a picture, or no recipe in it.
    """
    file = Path(file) if isinstance(file, str) else file
    text = read_texts(file, policy).recipe
    if text is None:
        raise RecipeError(
            f"{named(file)} has no recipe.",
            why="It was not made by Latentry, or its metadata was removed.",
            remedy="Give the original file.",
        )
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        places = [".".join(map(str, detail["loc"])) for detail in error.errors(include_url=False)]
        raise RecipeError(
            f"The recipe in {file if isinstance(file, Path) else 'the picture'} cannot be read.",
            why=f"Its {', '.join(filter(None, places[:5])) or 'JSON'} is not valid here; "
            "it may come from another version of Latentry.",
            remedy="Upgrade Latentry, or look at the recipe with any viewer of picture metadata.",
        ) from error
