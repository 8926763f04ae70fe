"""From what someone types for a file or a folder to where it is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentry._contract._model_source import ModelSource, ResolvedPath
from latentry._discovery import PluginHost
from latentry._discovery._kinds import MODEL_SOURCES
from latentry._discovery._unknown import known_distributions
from latentry._errors import LatentryError, ModelError, NotAllowed, OptionError, PluginError
from latentry._files._finding._access import Access
from latentry._files._finding._paths import existing, looks_like_path, rooted, similar
from latentry._peers._install import how_to_install


def find(host: PluginHost, text: str, access: Access, *, weights: bool = True) -> ResolvedPath | None:
    """Where something is; a path goes before a model source's name. None if it is neither.

    Args:
        host: whose model sources are asked.
        text: what was typed.
        access: how model sources may be reached.
        weights: False if configurations and vocabularies are enough.

    Raises:
        ModelError: a model source does not have it, or cannot fetch it.
        OptionError: a revision of something that has none, or two revisions.
        NotAllowed: the policy does not allow it.
        PluginError: several model sources have such names, or one fails.
    """
    if access.policy.allows_path(text):
        if (path := existing(text)) is not None:
            return _local(path, access)
        source = None if looks_like_path(text) else _source_of(host, text)
        if source is None:
            return None
    else:  # nothing is looked up, so that the answer does not depend on what is there
        source = None if rooted(text) else _source_of(host, text)
        if source is None:
            access.policy.check_path(text)
            return None
    access.policy.check_source(text)
    found: ModelSource = host.model_sources.create(source)
    options = access.options(text, weights=weights)
    try:
        with host.model_sources.calling(source):
            return found.fetch(text, options)
    except ModelError as error:
        if options.offline == access.offline:
            raise
        raise NotAllowed(
            f"{text!r} is not on this machine, and may not be downloaded.",
            why=error.what,
            remedy=f"Allow that the model source '{source}' is asked for it.",
        ) from error


@contextmanager
def naming_field(field: str) -> Iterator[None]:
    """An error inside says which field of the request is wrong, if it does not say so itself."""
    try:
        yield
    except LatentryError as error:
        error.field = error.field or field
        raise


def what_to_give(host: PluginHost, text: str) -> str:
    """What to give instead of a text that nothing has, for messages: similar paths, and the kinds of names."""
    if near := similar(text):
        return f"Did you mean {' or '.join(near)}?"
    if looks_like_path(text):
        return "Check the spelling of the path."
    names = [host.model_sources[source].names for source in host.model_sources]
    if names:
        return f"Give a path, a name that `latentry models` lists, or {' or '.join(names)}."
    missing = sorted(set(known_distributions(MODEL_SOURCES).values()))
    installs = " or ".join(map(how_to_install, missing))
    return f"Give a path or a name that `latentry models` lists. No model source is installed: {installs}."


def _local(path: Path, access: Access) -> ResolvedPath:
    if access.revision:
        raise OptionError(
            f"A revision, {access.revision!r}, can only be given for a model that comes from a model source.",
            why=f"{path} is on this machine.",
            remedy="Leave the revision out.",
            field="revision",
        )
    found = _absolute(path)
    return ResolvedPath(found, str(found))


def _absolute(path: Path) -> Path:
    """A link to a file keeps its own name: what it leads to need not end in ``.safetensors``."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def _source_of(host: PluginHost, text: str) -> str | None:
    """The model source that has such names."""
    claiming = []
    for name in host.model_sources:
        source: ModelSource = host.model_sources.create(name)
        with host.model_sources.calling(name):
            if source.claims(text):
                claiming.append(name)
    if len(claiming) > 1:
        raise PluginError(
            f"{text} can come from several model sources: {', '.join(claiming)}.",
            remedy=f"Switch off all but one, e.g. LATENTRY_BLOCK={host.model_sources.provenance(claiming[0]).plugin}.",
        )
    return claiming[0] if claiming else None


def installed(host: PluginHost, name: str) -> Path:
    """The folder or file of an installed model.

    Raises:
        ModelError: it does not exist any more.
    """
    target = host.checkpoints.load(name)
    with host.checkpoints.calling(name):
        path = Path(target())
    if not path.exists():
        owner = host.checkpoints.provenance(name)
        raise ModelError(
            f"The files of the installed model {name!r} are missing: there is no {path}.",
            remedy=f"Install {owner.distribution} again."
            if owner.version
            else f"Correct the plugin {owner.distribution}.",
        )
    return path
