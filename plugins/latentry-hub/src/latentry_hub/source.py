"""The Hub as a source of models."""

from __future__ import annotations

from dataclasses import replace

from latentry import OptionError
from latentry.models import FetchOptions, ResolvedPath
from latentry_hub.names import parse


class Hub:
    """Models of the Hugging Face Hub: a repository at a commit, through the Hub's own client and cache."""

    def claims(self, text: str) -> bool:
        """Whether it is ``owner/name``, ``owner/name/file.gguf``, or either with ``@revision``."""
        return parse(text) is not None

    def fetch(self, text: str, options: FetchOptions) -> ResolvedPath:
        """Downloads a model, or finds it in the cache: safetensors, GGUF, configurations and vocabularies.

        Raises:
            ModelError: the model does not exist, or cannot be downloaded.
            OptionError: the name and the options ask for two revisions.
        """
        from latentry_hub.download import fetch  # the client is imported when something is fetched

        name = parse(text)
        assert name is not None, text
        if options.revision and name.revision not in (None, options.revision):
            raise OptionError(
                f"{text!r} and revision {options.revision!r} ask for two revisions.",
                remedy="Give only one of them.",
                field="revision",
            )
        name = replace(name, revision=options.revision or name.revision)
        path, commit = fetch(name, options)
        return ResolvedPath(path, str(name), commit)
