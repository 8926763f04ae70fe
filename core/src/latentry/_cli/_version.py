"""What ``latentry --version`` prints, without importing torch or a plugin."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from latentry._discovery._loading._installed import core_version, installed_sources
from latentry._discovery._loading._metadata import metadata_of
from latentry._discovery._problems import Ledger

DRIVERS = {"cuda": ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"), "hip": ("/dev/kfd",)}
"""What the drivers of devices leave in the file system, by torch's name for what it is built with."""


def version_lines() -> Iterator[str]:
    """The core, Python, torch and the device that it can use; then each distribution of plugins."""
    yield f"latentry {core_version() or 'unversioned'}"
    yield f"python {platform.python_version()}, {torch_words()}"
    found = {source.owner.distribution: source.owner.version for source in installed_sources(Ledger(strict=False))}
    yield from (f"{name} {version}" for name, version in sorted(found.items()) if name != "latentry")


def torch_words() -> str:
    """Torch's version and device, from its files: importing it takes seconds."""
    from importlib_metadata import PackageNotFoundError, distribution

    try:
        return f"torch {metadata_of(distribution('torch')).version}, device {_device()}"
    except PackageNotFoundError:
        return "torch is not installed"


def _device() -> str:
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else "cpu"
    built = _built_with()
    here = built is not None and (sys.platform == "win32" or any(Path(path).exists() for path in DRIVERS[built]))
    # torch calls AMD's devices cuda, too
    return (
        "cuda" if here else "cpu" if built is None else f"cpu (torch is built with {built}, whose driver is not here)"
    )


def _built_with() -> str | None:
    """``cuda`` or ``hip``, by the lines of torch's own version file; None where it is built for CPUs."""
    spec = find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = file.read_text(encoding="utf-8", errors="replace") if file and file.is_file() else ""
    return next((name for name in DRIVERS if re.search(rf"^{name}\b[^=\n]*=\s*['\"]", text, re.MULTILINE)), None)
