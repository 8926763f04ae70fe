"""What prompts are encoded with besides their words: a family's own options."""

from __future__ import annotations

from pydantic import BaseModel

from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._discovery._options import create
from latentry._errors import OptionError
from latentry._files._locate import Located
from latentry._request._generation_request import GenerationRequest


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


def check_clip_skip(request: GenerationRequest, located: Located, checkpoint: Checkpoint) -> None:
    """Refuses to leave more of CLIP's layers out than one model of a request can do without.

    Raises:
        OptionError: it cannot, or it would make no difference to it.
    """
    most = checkpoint.clip_skips
    if request.clip_skip > most:
        raise OptionError(
            f"{request.clip_skip} more of CLIP's last layers cannot be left out of {located.name}.",
            why=f"At most {most} can: one must remain." if most else "It does not use what this would change.",
            remedy="Use a lower --clip-skip." if most else "Leave --clip-skip out.",
        )
