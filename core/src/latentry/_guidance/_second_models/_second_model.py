"""A second network of a request, which has to fit the first."""

from __future__ import annotations

from latentry._contract._model import Checkpoint, OpenCheckpoint
from latentry._discovery import PluginHost
from latentry._files._finding._access import Access
from latentry._files._finding._locate import Located, locate


def open_second(host: PluginHost, name: str, access: Access) -> tuple[Located, Checkpoint]:
    """Where a second network is, and its configuration.

    Args:
        host: what is installed.
        name: as for a model.
        access: how model sources may be reached.

    Raises:
        ModelError: see ``locate``.
    """
    found = locate(host, name, None, access=access)
    open_checkpoint: OpenCheckpoint = host.families.load(found.family)
    with host.families.calling(found.family):
        return found, open_checkpoint(found.files, found.variant.name)


def obstacles(
    located: Located, checkpoint: Checkpoint, found: Located, second: Checkpoint, size: tuple[int, int]
) -> list[str]:
    """Why two networks cannot be asked about the same samples: one sentence each; empty where they can."""
    one, other = checkpoint.noise, second.noise
    reasons = []
    if located.family != found.family:
        reasons.append(f"Its family is {found.family}, the model's is {located.family}.")
    if (shape := second.latent_shape(*size)) != (own := checkpoint.latent_shape(*size)):
        reasons.append(f"Its latents have the shape {shape}, the model's have {own}.")
    if (one.process, one.prediction) != (other.process, other.prediction):
        reasons.append("Its noise process or its prediction type differs.")
    if located.variant.guidance_kind != found.variant.guidance_kind:
        reasons.append(
            f"Its guidance is {found.variant.guidance_kind}, the model's is {located.variant.guidance_kind}."
        )
    if "inpainting" in located.variant.tasks or "inpainting" in found.variant.tasks:
        reasons.append("An inpainting network takes the mask as an input, and the other network does not.")
    return reasons
