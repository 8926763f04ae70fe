"""What a request's model is, and what else there is to decide with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from latentry._attention._available import AvailableBackends
from latentry._contract._model import Checkpoint, OpenCheckpoint, StatesGuidance
from latentry._discovery import PluginHost
from latentry._errors import OptionError
from latentry._files._finding._access import Access
from latentry._files._finding._find import installed
from latentry._files._finding._locate import Located, locate
from latentry._files._finding._parts import PartSources
from latentry._files._opened import Asked, OpenedCheckpoints
from latentry._policy import Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._resolve._known import Known


@dataclass(frozen=True)
class Found:
    """What is there, whatever the request's size.

    Attributes:
        host: what is installed.
        located: the model.
        checkpoint: its configuration.
        backends: for attention.
        policy: how the host saves memory.
        access: what may be opened, and how.
        known: what earlier requests found out.
    """

    host: PluginHost
    located: Located
    checkpoint: Checkpoint
    backends: AvailableBackends
    policy: MemoryPolicy
    access: Access
    known: Known


def opened_checkpoint(
    host: PluginHost, request: GenerationRequest, access: Access, opened: OpenedCheckpoints
) -> tuple[Located, Checkpoint]:
    """Where a request's model is, and its configuration.

    Where nothing but the model is named, and by its user, an earlier request's checkpoint will do.

    Raises:
        LatentryError: there is no such model, or it cannot be opened.
    """
    apart = (*request.text_encoders, request.vae, request.tokenizer, request.config, access.revision)
    model = request.model
    path = None if model is None or any(apart) else _path(host, model, access.policy)
    if model is None or path is None:
        return _open(host, request, access)
    return opened(Asked(model, path, request.variant, request.without), partial(_open, host, request, access))


def _path(host: PluginHost, model: str, policy: Policy) -> Path | None:
    """Where a model on this machine lies; None for what a model source may know, and for what may not be opened."""
    if model in host.checkpoints:
        return installed(host, model)
    path = Path(model)
    return path if path.is_absolute() and policy.allows_path(model) and path.exists() else None


def _open(host: PluginHost, request: GenerationRequest, access: Access) -> tuple[Located, Checkpoint]:
    """The checkpoint's configuration, without the parts that are to be left out."""
    parts = PartSources(request.vae, request.text_encoders, request.tokenizer, request.config)
    located = locate(host, request.model, request.variant, parts, access)
    optional = host.families[located.family].optional_parts
    if wrong := [part for part in request.without if part not in optional]:
        raise OptionError(
            f"{located.name} needs {' and '.join(wrong)}.",
            why=f"Only {' and '.join(optional)} can be left out." if optional else "None of its parts is optional.",
            remedy="Do not leave it out.",
            field="without",
        )
    located = replace(located, files=replace(located.files, without=request.without))
    open_checkpoint: OpenCheckpoint = host.families.load(located.family)
    with host.families.calling(located.family):
        checkpoint = open_checkpoint(located.files, located.variant.name)
        stated = checkpoint.own_guidance if isinstance(checkpoint, StatesGuidance) else None
    known = located.checkpoint.guidance if located.checkpoint else None
    return replace(located, guidance=stated if known is None else known), checkpoint
