"""Models that were given names with ``latentry models add``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from latentry._cli._own_models._names import own_models
from latentry._specs import CheckpointSpec
from latentry.hookspecs import hookimpl

TARGET = "path_of_"


@hookimpl
def latentry_checkpoints() -> Iterator[CheckpointSpec]:
    """One record for each name."""
    for name, model in own_models().items():
        yield CheckpointSpec(
            name=name,
            summary=model.path,
            target=f"{__name__}:{TARGET}{name.encode().hex()}",
            family=model.family,
            variant=model.variant,
            size=model.size,
            licence="",
            guidance=model.guidance,
        )


def __getattr__(attribute: str) -> Callable[[], str]:
    """A record's target: a function that gives the model's path."""
    if not attribute.startswith(TARGET):
        raise AttributeError(attribute)
    name = bytes.fromhex(attribute.removeprefix(TARGET)).decode()
    return lambda: own_models()[name].path
