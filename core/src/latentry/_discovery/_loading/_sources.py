"""Where a plugin comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """Who registered a record.

    Attributes:
        plugin: the entry point's name, or the stem of a loose file.
        distribution: the installed distribution, or the path of a loose file.
        version: the distribution's version; empty for a loose file.
    """

    plugin: str
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """Distribution and version, e.g. ``latentry-ddim 1.0``."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def removal(self) -> str:
        """How to leave it out; empty where nothing is known about it but a name."""
        if not self.distribution:
            return ""
        if not self.version:
            return f"To leave it out, do not load {self.distribution}."
        name = self.distribution  # entry points of two distributions may share a name
        return f"To leave it out: pip uninstall {name}, or set LATENTRY_BLOCK={name}."


@dataclass(frozen=True)
class Plugin(Provenance):
    """A plugin that loaded.

    Attributes:
        provides: the names it registered, by the host's attribute (``schedulers``, …).
        path: a loose plugin's file or folder.
        heavy: heavy packages that its import pulled in although a listing needs none of them.
        import_seconds: how long its import took, of the module that registers alone.
    """

    provides: Mapping[str, tuple[str, ...]]
    path: Path | None = None
    heavy: tuple[str, ...] = ()
    import_seconds: float = 0.0


@dataclass(frozen=True)
class Source:
    """One thing that may hold a plugin: an entry point, or a loose file or folder.

    Attributes:
        owner: what messages and listings say about it.
        prefix: what stands before the colon in qualified names.
        load: imports it.
        requires: the distribution's requirements as written in its metadata.
        path: a loose plugin's file or folder.
        module: the unique name a loose plugin is imported under.
    """

    owner: Provenance
    prefix: str
    load: Callable[[], object]
    requires: tuple[str, ...] = ()
    path: Path | None = None
    module: str = ""

    @property
    def key(self) -> str:
        """Unique in a host: two distributions may well use one entry-point name."""
        return f"{self.prefix}:{self.owner.plugin}"

    def real_module(self, module: str) -> str:
        """The module to import for a target; a loose plugin may call itself by its stem, as if installed."""
        if self.path is None:
            return module
        first, dot, rest = module.partition(".")
        return f"{self.module}{dot}{rest}" if first == self.path.stem else module
