"""What a file or folder is, from headers and configurations alone, as the installed families see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._finding._find import installed
from latentry._files._finding._paths import existing, similar
from latentry._files._recognise import claims
from latentry._files._safety import check_weights
from latentry._policy import ANYTHING, Policy
from latentry._specs import Detection, FileKind, ModelFiles


@dataclass(frozen=True)
class Inspection:
    """What is known about a file or folder.

    Attributes:
        path: where it is.
        family: ``distribution:name`` of the family that it is a model of; None if it is not a model.
        found: that family's detection, or the surest one if it is not a model. Without variants, the family knows
            the network but cannot run it; the evidence says why.
    """

    path: Path
    family: str | None
    found: Detection


def inspect_model(host: PluginHost, path: Path, policy: Policy = ANYTHING) -> Inspection:
    """Says what a file or folder is; imports no torch and reads no tensor.

    Args:
        host: whose families are asked.
        path: a folder in diffusers' layout, a file of weights, the index of a sharded one, or an installed name.
        policy: which paths may be looked at, where a stranger gives it.

    Raises:
        NotAllowed: the policy does not allow it.
        ModelError: it does not exist, is damaged, incomplete or unsafe, or no family knows it.
    """
    if str(path) not in host.checkpoints:
        policy.check_path(str(path))
    found_path = existing(str(path)) if policy.allows_path(str(path)) else None
    if found_path is None and str(path) in host.checkpoints:
        found_path = installed(host, str(path))
    if found_path is None:
        near = similar(str(path))
        raise ModelError(
            f"There is no file or folder {path}.",
            remedy=f"Did you mean {' or '.join(near)}?"
            if near
            else "Check the spelling, or give a name that `latentry models` lists.",
        )
    path = found_path
    check_weights(path)
    found = claims(host, ModelFiles(path))
    if not found:
        asked = f"Asked: {', '.join(host.families)}." if len(host.families) else "No model family is installed."
        raise ModelError(
            f"No installed model family recognises {path}.",
            why=asked,
            remedy="Install the family that it belongs to: `latentry families` lists the installed ones.",
        )
    best = found[0]
    return Inspection(path, best.family if best.detection.kind is FileKind.MODEL else None, best.detection)
