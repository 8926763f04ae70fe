"""What prompts are encoded with besides their words: a family's own options."""

from __future__ import annotations

from pydantic import BaseModel

from latentry._discovery import PluginHost
from latentry._discovery._options import create
from latentry._engine._locate import Located
from latentry._engine._request import GenerationRequest
from latentry._errors import OptionError


def choose_conditioning(host: PluginHost, request: GenerationRequest, located: Located) -> BaseModel | None:
    """The family's ``conditioning`` with the request's options; None for a family that has none.

    Raises:
        OptionError: an option that the family does not know, or a value that it refuses.
    """
    spec = host.families[located.family]
    if spec.conditioning:
        target = host.families.load(located.family, "conditioning")
        own: BaseModel = create(f"The model family '{spec.name}'", target, request.conditioning)
        return own
    if request.conditioning:
        raise OptionError(
            f"The model family '{spec.name}' has no conditioning options.",
            remedy=f"Leave {', '.join(request.conditioning)} out.",
        )
    return None
