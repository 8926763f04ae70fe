"""The record of the Hugging Face Hub as a model source; ``source.py`` downloads."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelSourceSpec, hookimpl


@hookimpl
def latentry_model_sources() -> Iterable[ModelSourceSpec]:
    """The Hub."""
    yield ModelSourceSpec(
        name="hub",
        target="latentry_hub.source:Hub",
        summary="models of the Hugging Face Hub, through its own client and cache",
        names="owner/name of the Hugging Face Hub",
        example="stabilityai/sd-turbo",
    )
