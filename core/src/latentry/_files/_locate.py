"""From what a request calls a model to its files, its family and its variant - from headers alone."""

from __future__ import annotations

from dataclasses import dataclass

from latentry._discovery import PluginHost
from latentry._errors import ModelError, OptionError
from latentry._files._find import NEWEST, NOTHING, Access, Beside, find, gather, installed
from latentry._files._fingerprint import fingerprint
from latentry._files._recognise import named_variant, recognise
from latentry._files._safety import check_weights
from latentry._specs import CheckpointSpec, ModelFiles, VariantSpec


@dataclass(frozen=True)
class Located:
    """A checkpoint that was found and recognised; nothing of it is loaded yet.

    Attributes:
        name: an absolute path, the name of an installed one, or of a repository of the hub.
        files: where it lies.
        family: ``distribution:name`` of its family.
        variant: its variant.
        checkpoint: the record, where it is an installed one.
        commit: the one it is of, where it is the hub's.
        beside: what was named beside it, by the names under which it will be found again.
    """

    name: str
    files: ModelFiles
    family: str
    variant: VariantSpec
    checkpoint: CheckpointSpec | None = None
    commit: str | None = None
    beside: Beside = NOTHING

    @property
    def pinned(self) -> str:
        """Its name, with the commit where it has one."""
        return f"{self.name}@{self.commit}" if self.commit else self.name

    @property
    def fingerprint(self) -> str:
        """What tells its files from others."""
        return fingerprint(self.files)


def locate(
    host: PluginHost,
    model: str | None,
    variant: str | None,
    beside: Beside = NOTHING,
    access: Access = NEWEST,
) -> Located:
    """Finds a model.

    Args:
        host: what is installed.
        model: a path, an installed name or a name of the hub; None is the installed default.
        variant: the one that was asked for.
        beside: parts and configurations in place of the model's own or beside them.
        access: how the hub may be asked.

    Raises:
        ModelError: nothing there, no model, unsafe, damaged, or more than one variant possible.
        OptionError: a revision of what has none.
    """
    name = model if model is not None else _default(host)
    if name in host.checkpoints:
        return _installed(host, name, variant, beside, access)
    place = find(name, access)
    if place is None:
        raise _unknown(host, name)
    check_weights(place.path)
    files, named = gather(host, place.path, beside, access)
    family, chosen = recognise(host, files, variant)
    return Located(place.name, files, family, chosen, None, place.commit, named)


def _installed(host: PluginHost, name: str, variant: str | None, beside: Beside, access: Access) -> Located:
    spec = host.checkpoints[name]
    path = installed(host, name)
    if access.revision is not None:
        raise OptionError(
            f"--revision {access.revision} is for models of the hub.",
            why=f"{name} is installed.",
            remedy="Leave it out.",
        )
    chosen = named_variant(host.families[spec.family], variant or spec.variant)
    if chosen.name != spec.variant:
        raise ModelError(f"{name} is no {chosen.name}: it is {spec.variant}.", remedy="Leave --variant out.")
    check_weights(path)
    files, named = gather(host, path, beside, access)
    return Located(name, files, spec.family, chosen, spec, None, named)


def _default(host: PluginHost) -> str:
    for name in sorted(host.checkpoints):
        if host.checkpoints[name].default:
            return name
    raise ModelError(
        "No model was given and none is installed.", remedy="Give --model PATH, or pip install latentry-shapes."
    )


def _unknown(host: PluginHost, name: str) -> ModelError:
    no_installed_one = host.checkpoints.unknown(name)
    give = "Give a path, a name that `latentry models` lists, or a repository of the hub, owner/name."
    return ModelError(
        f"There is no model {name!r}.",
        why=f"It is no file or folder. {no_installed_one.why}",
        remedy=f"{no_installed_one.remedy}\n{give}",
    )
