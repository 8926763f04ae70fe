"""Looks at the installation, the machine and the folders."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

from latentry._cli._doctor._finding import Finding
from latentry._cli._version import torch_words
from latentry._discovery import PluginHost
from latentry._discovery._loading._installed import core_version
from latentry._errors import LatentryError
from latentry._peers._install import how_to_install

SLOW = 0.1
"""Seconds that importing a plugin's record may take."""
SMALL = 4e9
"""Bytes of main memory below which published models do not fit."""
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def examine(host: PluginHost) -> Iterator[Finding]:
    """Everything that is looked at, in the order in which it is read."""
    yield Finding("core", "ok", f"latentry {core_version() or 'unversioned'}, {platform.platform()}")
    yield Finding("python", "ok", f"{platform.python_version()}, {torch_words()}")
    yield from _torch()
    yield from _plugins(host)
    yield from _attention(host)
    yield from _memory()
    yield from _formats()
    yield from _folders()


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a broken installation fails in any way
        remedy = "Install it again: pip install torch --force-reinstall"
        yield Finding("torch", "problem", f"cannot be imported: {type(error).__name__}: {error}", remedy)
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            yield Finding("device", "ok", f"cuda:{index}, {about.name}, {size(about.total_memory)}")
    elif torch.backends.mps.is_available():
        yield Finding("device", "ok", "mps")
    else:
        remedy = "With a GPU, install torch for it: https://pytorch.org/get-started"
        yield Finding("device", "note", f"cpu alone, {torch.get_num_threads()} threads", remedy)


def _plugins(host: PluginHost) -> Iterator[Finding]:
    yield Finding("plugins", "ok", f"{len(host.plugins)} loaded")
    needed = (
        ("scheduler", host.schedulers, "latentry-euler"),
        ("model family", host.families, "latentry-sd"),
        ("model", host.checkpoints, "latentry-shapes"),
    )
    for kind, names, distribution in needed:
        if not len(names):
            yield Finding(
                "plugins", "problem", f"No {kind} is installed.", f"To have one: {how_to_install(distribution)}"
            )
    for problem in host.problems:
        who = f"{problem.plugin} of {problem.distribution} {problem.version}".strip()
        what = ": ".join(part for part in (problem.what, problem.why) if part)
        yield Finding(problem.stage, "problem", f"{who} {what}", problem.remedy)
    for plugin in host.plugins:
        if plugin.heavy or plugin.import_seconds > SLOW:
            why = f"pulls in {', '.join(plugin.heavy)}" if plugin.heavy else f"takes {plugin.import_seconds:.2f} s"
            remedy = (
                f"Report it to the author of {plugin.distribution}, or leave it out: LATENTRY_BLOCK={plugin.plugin}"
            )
            yield Finding("slow", "note", f"The import of {plugin.plugin} {why}.", remedy)


def _attention(host: PluginHost) -> Iterator[Finding]:
    from latentry._cli._commands._attention import unavailable

    reasons = {name: unavailable(host.attention_backends, name) for name in host.attention_backends}
    usable = [name for name, reason in reasons.items() if reason is None]
    yield Finding("attention", "ok", f"{', '.join(usable) or 'plain arithmetic'} can be used")
    for reason in dict.fromkeys(reason for reason in reasons.values() if reason is not None):
        those = ", ".join(name for name in reasons if reasons[name] == reason)
        yield Finding("attention", "note", f"{those} cannot be used: {reason}", "latentry attention --probe")


def _memory() -> Iterator[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has none of it
        return
    remedy = "" if total >= SMALL else "Use --offload model, or small models."
    yield Finding("memory", "ok" if total >= SMALL else "note", f"{size(total)} of main memory", remedy)


def _formats() -> Iterator[Finding]:
    from latentry._pictures._formats import FORMATS, check_writable

    for each in FORMATS:
        try:
            check_writable(each)
        except LatentryError as error:
            yield Finding("pictures", "note", error.what, "pip install 'pillow>=11.3'")


def _folders() -> Iterator[Finding]:
    for name, folder in (("this folder", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder):
                yield Finding("folders", "ok", f"{name} can be written to: {folder}")
        except OSError as error:
            yield Finding(
                "folders", "problem", f"{name} cannot be written to: {folder}: {error}", "Use another folder."
            )
    cache = hub_cache()
    if cache.is_dir():
        taken = sum(file.lstat().st_size for file in cache.rglob("*") if file.is_file() and not file.is_symlink())
        yield Finding("cache", "ok", f"the Hub's cache holds {size(taken)}: {cache}")


def hub_cache() -> Path:
    """Where the Hub's client keeps models, by its documented variables."""
    if own := os.environ.get("HF_HUB_CACHE"):
        return Path(own).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def size(count: float) -> str:
    """Bytes in words."""
    unit, name = next(((unit, name) for unit, name in UNITS if count >= unit), (1, "bytes"))
    return f"{count / unit:.{0 if unit == 1 else 1}f} {name}"
