"""From what a request calls a conditioner to its files and its kind, from headers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latentry._contract._conditioner import ConditionerCheckpoint, OpenConditioner
from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, ModelError
from latentry._files._finding._access import Access
from latentry._files._finding._find import find, naming_field, what_to_give
from latentry._files._finding._locate import Located
from latentry._files._recognise import SURE
from latentry._files._safety import check_weights
from latentry._specs import Detection, ModelFiles

FIELD = "controls"


@dataclass(frozen=True)
class FoundConditioner:
    """A conditioner that was found and opened; none of its weights are loaded yet.

    Attributes:
        name: an absolute path, an installed name, or a model source's name with its commit.
        files: its files.
        kind: ``distribution:name`` of its record.
        checkpoint: its configuration.
    """

    name: str
    files: ModelFiles
    kind: str
    checkpoint: ConditionerCheckpoint


def open_conditioner(
    host: PluginHost, name: str, located: Located, base: Checkpoint, access: Access
) -> FoundConditioner:
    """Finds, recognises and opens a conditioner for a model.

    Args:
        host: what is installed.
        name: a path, an installed control's name, or a model source's name.
        located: where the model is.
        base: its configuration.
        access: how model sources may be reached.

    Raises:
        ModelError: it does not exist, or it is unsafe, damaged or unknown.
        IncompatibleError: it does not fit the model.
    """
    with naming_field(FIELD):
        found, path = _path(host, name, access)
        check_weights(path)
        files = ModelFiles(path)
        kind = host.controls[name].conditioner if name in host.controls else _recognise(host, files)
        if located.family not in host.conditioners[kind].families:
            raise IncompatibleError(
                f"{found} cannot steer {located.name}.",
                why=f"{host.conditioners[kind].name} is for {', '.join(host.conditioners[kind].families)}; the model's "
                f"family is {located.family}.",
                remedy="Use one that was made for this model.",
            )
        opened: OpenConditioner = host.conditioners.load(kind)
        with host.conditioners.calling(kind):
            return FoundConditioner(found, files, kind, opened(files, located.family, base))


def _path(host: PluginHost, name: str, access: Access) -> tuple[str, Path]:
    if name in host.controls:
        target = host.controls.load(name)
        with host.controls.calling(name):
            return host.controls.qualified(name), Path(target())
    found = find(host, name, access)
    if found is None:
        names = ", ".join(host.controls)
        raise ModelError(
            f"Unknown control {name!r}.",
            why=f"Installed are {names}." if names else "None is installed under a name.",
            remedy=what_to_give(host, name),
        )
    return f"{found.name}@{found.commit}" if found.commit else found.name, found.path


def _recognise(host: PluginHost, files: ModelFiles) -> str:
    """``distribution:name`` of the kind that recognises the files."""
    found: list[tuple[Detection, str]] = []
    for name in host.conditioners:
        detect: Callable[[ModelFiles], Detection | None] = host.conditioners.load(name, "detector")
        with host.conditioners.calling(name):
            detection = detect(files)
        if detection is not None and detection.score >= SURE:
            found.append((detection, host.conditioners.qualified(name)))
    found.sort(key=lambda pair: -pair[0].score)
    if not found:
        known = ", ".join(host.conditioners) or "none"
        raise ModelError(
            f"{files.path} is not a network that an installed conditioner recognises.",
            why=f"Asked: {known}.",
            remedy="Give a ControlNet or an adapter, or install the plugin for it.",
        )
    detection, kind = found[0]
    if not detection.variants:
        raise ModelError(
            f"{files.path} cannot be used.",
            why=f"It is {detection.label}: {'; '.join(detection.evidence)}.",
            remedy="Use a network of another kind that was trained for the same.",
        )
    return kind
