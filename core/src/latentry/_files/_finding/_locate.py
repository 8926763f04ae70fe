"""From what a request calls a model to its files, its family and its variant, from headers alone."""

from __future__ import annotations

from dataclasses import dataclass

from latentry._discovery import PluginHost
from latentry._errors import ModelError, OptionError
from latentry._files._finding._access import UNRESTRICTED, Access
from latentry._files._finding._find import find, installed, naming_field, what_to_give
from latentry._files._finding._parts import NO_PARTS, PartSources, gather
from latentry._files._finding._paths import looks_like_path
from latentry._files._fingerprint import fingerprint
from latentry._files._recognise import named_variant, recognise
from latentry._files._safety import check_weights
from latentry._peers._install import how_to_install
from latentry._specs import CheckpointSpec, ModelFiles, VariantSpec


@dataclass(frozen=True)
class Located:
    """A checkpoint that was found and recognised; none of its weights are loaded yet.

    Attributes:
        name: an absolute path, the name of an installed model, or a model source's name.
        files: its files.
        family: ``distribution:name`` of its family.
        variant: its variant.
        checkpoint: the record of an installed model; None for others.
        commit: the commit of a model source's files; None for others.
        parts: where its other parts come from, by names that find the same files again.
        guidance: guidance scale that suits it, by its record or its files; None for the variant's.
    """

    name: str
    files: ModelFiles
    family: str
    variant: VariantSpec
    checkpoint: CheckpointSpec | None = None
    commit: str | None = None
    parts: PartSources = NO_PARTS
    guidance: float | None = None

    @property
    def pinned(self) -> str:
        """The name, with the commit if there is one."""
        return f"{self.name}@{self.commit}" if self.commit else self.name

    @property
    def fingerprint(self) -> str:
        """An identifier of the files' content."""
        return fingerprint(self.files)


def locate(
    host: PluginHost,
    model: str | None,
    variant: str | None,
    parts: PartSources = NO_PARTS,
    access: Access = UNRESTRICTED,
) -> Located:
    """Finds a model.

    Args:
        host: what is installed.
        model: a path, an installed name or a model source's name; None for the installed default.
        variant: the variant that was asked for; None for what the files say.
        parts: where parts and configurations come from if not from the model itself.
        access: how model sources may be reached.

    Raises:
        ModelError: the model does not exist, or it is unsafe, damaged, unknown or of several possible variants.
        OptionError: a revision for a model that has none.
    """
    name = model if model is not None else _default(host)
    if name in host.checkpoints:
        return _installed(host, name, variant, parts, access)
    with naming_field("model"):
        found = find(host, name, access)
        if found is None:
            raise _unknown(host, name)
        check_weights(found.path)
    files, named = gather(host, found.path, parts, access)
    family, chosen = recognise(host, files, variant)
    return Located(found.name, files, family, chosen, None, found.commit, named)


def _installed(host: PluginHost, name: str, variant: str | None, parts: PartSources, access: Access) -> Located:
    spec = host.checkpoints[name]
    path = installed(host, name)
    if access.revision is not None:
        raise OptionError(
            f"A revision, {access.revision!r}, can only be given for a model that comes from a model source.",
            why=f"{name} is installed.",
            remedy="Leave the revision out.",
            field="revision",
        )
    chosen = named_variant(host.families[spec.family], variant or spec.variant)
    if chosen.name != spec.variant:
        raise ModelError(
            f"The model {name!r} is of the variant {spec.variant}, not {chosen.name}.",
            remedy="Leave the variant out.",
            field="variant",
        )
    check_weights(path)
    files, named = gather(host, path, parts, access)
    return Located(name, files, spec.family, chosen, spec, None, named)


def _default(host: PluginHost) -> str:
    for name in sorted(host.checkpoints):
        if host.checkpoints[name].default:
            return name
    raise ModelError(
        "No model was given and none is installed.",
        remedy=f"Give the path of a model, or {how_to_install('latentry-shapes')}.",
        field="model",
    )


def _unknown(host: PluginHost, name: str) -> ModelError:
    if looks_like_path(name):
        return ModelError(
            f"There is no model {name!r}.", why="There is no such file or folder.", remedy=what_to_give(host, name)
        )
    not_installed = host.checkpoints.unknown(name)
    return ModelError(
        f"There is no model {name!r}.",
        why=f"There is no such file or folder. {not_installed.why}",
        remedy=f"{not_installed.remedy}\n{what_to_give(host, name)}",
    )
