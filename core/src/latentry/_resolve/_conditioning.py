"""The model family's own options for encoding prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from latentry._contract._model import Checkpoint, ChecksConditioning
from latentry._discovery import PluginHost, plugin_call
from latentry._discovery._options import create
from latentry._errors import OptionError


def choose_conditioning(
    host: PluginHost, family: str, options: Mapping[str, Any], checkpoints: Sequence[Checkpoint]
) -> BaseModel | None:
    """The family's ``conditioning`` object with these options; None for a family that has none.

    Args:
        host: what is installed.
        family: ``distribution:name`` of the model family.
        options: of the request.
        checkpoints: the model, and its refiner where there is one; each can refuse an option.

    Raises:
        OptionError: the family does not know an option or refuses its value, or a checkpoint cannot serve it.
    """
    name = host.families[family].name
    target = _with_old_clip_skip(_options_class(host, family), checkpoints)
    if target is None:
        if options:
            raise OptionError(
                f"The model family {name!r} has no conditioning options.", remedy=f"Leave {', '.join(options)} out."
            )
        return None
    own: BaseModel = create(f"The model family {name!r}", target, options)
    for checkpoint in checkpoints:
        if isinstance(checkpoint, ChecksConditioning):
            with plugin_call(checkpoint):
                checkpoint.check_conditioning(own)
    return own


def _options_class(host: PluginHost, family: str) -> type[BaseModel] | None:
    if not host.families[family].conditioning:
        return None
    target: type[BaseModel] = host.families.load(family, "conditioning")
    return target


def _with_old_clip_skip(target: type[BaseModel] | None, checkpoints: Sequence[Checkpoint]) -> type[BaseModel] | None:
    """Adds ``clip_skip`` for families that declare it the old way, as ``Checkpoint.clip_skips``."""
    most = [checkpoint.clip_skips for checkpoint in checkpoints if hasattr(checkpoint, "clip_skips")]
    if not most or (target is not None and "clip_skip" in target.model_fields):
        return target
    return create_model(
        "Conditioning" if target is None else target.__name__,
        __base__=target or _Frozen,
        clip_skip=(int, Field(0, ge=0, le=min(most), description="number of last CLIP layers to skip")),
    )


class _Frozen(BaseModel):
    """Without options of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")
