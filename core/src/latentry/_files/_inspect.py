"""What a file or folder is, from headers and configurations alone: the installed families are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._recognise import claims
from latentry._files._safety import check_weights
from latentry._specs import Detection, ModelFiles


@dataclass(frozen=True)
class Inspection:
    """What is known of a file or folder.

    Attributes:
        path: where it lies.
        family: ``distribution:name`` of the family that it is a model of; None for what is no model.
        found: the family's answer, or for what is no model the surest one. Without variants, the family knows the
            network and cannot run it, as the evidence says.
    """

    path: Path
    family: str | None
    found: Detection


def inspect_model(host: PluginHost, path: Path) -> Inspection:
    """What a file or folder is; imports no torch and reads no tensor.

    Args:
        host: whose families are asked.
        path: a folder in diffusers' layout, a file of weights, the index of a sharded one, or an installed name.

    Raises:
        ModelError: it is not there, damaged, incomplete, unsafe, or nothing that a family knows.
    """
    if not path.expanduser().exists() and str(path) in host.checkpoints:
        path = Path(host.checkpoints.load(str(path))())
    path = path.expanduser()
    if not path.exists():
        remedy = "Give the path of one, or a name that `latentry models` lists."
        raise ModelError(f"There is no file or folder {path}.", remedy=remedy)
    check_weights(path)
    found = claims(host, ModelFiles(path))
    if not found:
        asked = f"Asked: {', '.join(host.families)}." if len(host.families) else "No model family is installed."
        raise ModelError(
            f"{path} is nothing that an installed family knows.",
            why=asked,
            remedy="Install the family that it belongs to: `latentry families` lists those that are here.",
        )
    best = found[0]
    return Inspection(path, best.family if best.detection.kind == "model" else None, best.detection)
