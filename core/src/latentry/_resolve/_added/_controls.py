"""The pictures that steer the network, and the conditioners that they go through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from latentry._conditioning._find import FoundConditioner, open_conditioner
from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._discovery._options import create, option_names
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._access import Access
from latentry._files._finding._find import naming_field
from latentry._files._finding._locate import Located
from latentry._policy import Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._values._control import ControlRequest
from latentry._resolve._shown._inputs import digest
from latentry._resolve._shown._read_picture import Picture, open_picture, read_image, read_mask

FIELD = "controls"
PREPROCESS = "preprocess"
"""The option of a conditioner that says what to make of a picture before it is shown."""
PREPROCESS_FIELD = "control_preprocess"
"""The field of a request with its value for all controls."""


@dataclass(frozen=True)
class ChosenControl:
    """One control of a request, found and read.

    Attributes:
        request: with what finds the same files again.
        found: the conditioner.
        options: an object of the record's ``options`` class; None where it has none.
        picture: RGB, of the size of the result where the conditioner does not take it whole.
        digests: sha256 of the picture as it was given, and of the mask.
        notes: what to tell the user, one sentence each.
        mask: greyscale, of the size of the result; it steers where this is white. None: everywhere.
        own_mask: the conditioner confines itself to the mask.
    """

    request: ControlRequest
    found: FoundConditioner
    options: Any
    picture: Picture
    digests: tuple[str] | tuple[str, str]
    notes: tuple[str, ...]
    mask: Picture | None = None
    own_mask: bool = False


def choose_controls(
    host: PluginHost,
    request: GenerationRequest,
    located: Located,
    checkpoint: Checkpoint,
    size: tuple[int, int],
    access: Access,
) -> tuple[ChosenControl, ...]:
    """Finds the conditioners of a request and reads their pictures.

    Args:
        host: what is installed.
        request: with its controls, and what to make of their pictures.
        located: where the model is.
        checkpoint: its configuration.
        size: of the result in pixels.
        access: how model sources may be reached.

    Raises:
        ModelError, IncompatibleError: see ``open_conditioner``; also a family without injection points.
        OptionError: a picture is missing, the conditioner does not know an option, or no control has a use for what is
            to be made of their pictures.
    """
    controls, preprocess = request.controls, request.control_preprocess
    if controls and not host.families[located.family].injection_points:
        raise IncompatibleError(
            f"{located.name} cannot be steered by a picture.",
            why=f"The model family {located.family} has no injection points.",
            remedy="Leave the controls out.",
            field=FIELD,
        )
    found = [(each, open_conditioner(host, each.model, located, checkpoint, access)) for each in controls]
    if preprocess is not None and found:
        found = _preprocessing(host, found, preprocess)
    return tuple(_chosen(host, asked, each, size, access) for asked, each in found)


def _preprocessing(
    host: PluginHost, controls: Sequence[tuple[ControlRequest, FoundConditioner]], preprocess: str
) -> list[tuple[ControlRequest, FoundConditioner]]:
    """The controls; those that have the option and do not say it themselves have it.

    Raises:
        OptionError: there is none of them, or one cannot have that value.
    """
    told: list[tuple[ControlRequest, FoundConditioner]] = []
    reasons: list[str] = []
    for asked, found in controls:
        spec = host.conditioners[found.kind]
        target = host.conditioners.load(found.kind, "options") if spec.options else None
        if target is None or PREPROCESS not in option_names(target):
            reasons.append(f"{spec.name} has no option {PREPROCESS}.")
        elif PREPROCESS in asked.options:
            reasons.append(f"The control with {Path(asked.picture).name} has its own {PREPROCESS}.")
        else:
            asked = asked.model_copy(update={"options": {**asked.options, PREPROCESS: preprocess}})
            with naming_field(PREPROCESS_FIELD):
                _options(host, found.kind, asked)
        told.append((asked, found))
    if len(reasons) == len(controls):
        raise OptionError(
            f"The option {PREPROCESS_FIELD} has no effect here.",
            why=" ".join(dict.fromkeys(reasons)),
            remedy="Leave it out.",
            field=PREPROCESS_FIELD,
        )
    return told


def _chosen(
    host: PluginHost, asked: ControlRequest, found: FoundConditioner, size: tuple[int, int], access: Access
) -> ChosenControl:
    notes: list[str] = []
    opened = open_picture(FIELD, asked.picture, notes.append, access.policy)
    access.policy.check("input_pixels", opened.width * opened.height, FIELD)
    picture = read_image(opened, notes.append)
    spec = host.conditioners[found.kind]
    shown = picture.size if spec.whole else size
    notes += _fitting(asked.picture, picture, shown)
    fitted = picture if picture.size == shown else ImageOps.fit(picture, shown, Image.Resampling.LANCZOS)
    pinned = {"model": found.name, "picture": _full(asked.picture)}
    options, mask = _options(host, found.kind, asked), None
    sums: tuple[str] | tuple[str, str] = (digest(picture),)
    if asked.mask is not None:
        given = _read_mask(asked.mask, notes, access.policy)
        notes += _fitting(asked.mask, given, size)
        mask = _fitted(asked.mask, given, size, notes)
        pinned, sums = {**pinned, "mask": _full(asked.mask)}, (digest(picture), digest(given))
    request = asked.model_copy(update=pinned)
    return ChosenControl(request, found, options, fitted, sums, tuple(notes), mask, spec.own_mask)


def _full(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _read_mask(file: str, notes: list[str], policy: Policy) -> Picture:
    """The mask of a control, greyscale, as it was given.

    Raises:
        OptionError: it cannot be read, or is black everywhere.
    """
    from_alpha = f"The mask {Path(file).name} was read from its alpha channel: it steers where that is opaque."
    with naming_field(FIELD):
        opened = open_picture(FIELD, file, notes.append, policy)
        policy.check("input_pixels", opened.width * opened.height, FIELD)
        mask = read_mask(opened, lambda _: notes.append(from_alpha))
    if mask.getextrema()[1] == 0:
        raise OptionError(
            f"The mask {Path(file).name} is black everywhere.",
            why="A control steers where its mask is white, which would be nowhere.",
            remedy="Paint white where it is to steer, or leave the control out.",
            field=FIELD,
        )
    return mask


def _fitted(file: str, given: Picture, size: tuple[int, int], notes: list[str]) -> Picture:
    """A mask of the size of the result.

    Raises:
        OptionError: nothing that is white is left of it.
    """
    mask = given if given.size == size else ImageOps.fit(given, size, Image.Resampling.NEAREST)
    darkest, lightest = mask.getextrema()
    if lightest == 0:
        raise OptionError(
            f"The mask {Path(file).name} is black everywhere at {size[0]}×{size[1]} pixels.",
            why="What is white in it is cropped off, or too thin to be left when it is scaled to the result's size.",
            remedy="Give a mask of the result's size, or leave the mask out.",
            field=FIELD,
        )
    if darkest == 255:
        notes.append(f"The mask {Path(file).name} is white everywhere, so that it confines nothing.")
    return mask


def _options(host: PluginHost, kind: str, asked: ControlRequest) -> Any:
    spec = host.conditioners[kind]
    if spec.options:
        return create(f"The conditioner {spec.name!r}", host.conditioners.load(kind, "options"), asked.options)
    if asked.options:
        raise OptionError(
            f"The conditioner {spec.name!r} has no options.",
            remedy=f"Leave {', '.join(asked.options)} out.",
            field=FIELD,
        )
    return None


def _fitting(file: str, picture: Picture, size: tuple[int, int]) -> Iterable[str]:
    if picture.size != size:
        width, height = picture.size
        cropped = "" if width * size[1] == height * size[0] else " and cropped"
        yield (
            f"The picture {Path(file).name} was scaled{cropped} from {width}×{height} to {size[0]}×{size[1]} pixels."
        )
