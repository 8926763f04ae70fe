"""Keeps the old import paths of modules that have moved into rooms; importing one gives a warning.

They work until 2.0, as other moved names do (``docs/versions.md``). This does not cover modules whose contents were
split or renamed and that only the families of this repository used: ``clip_layers``, ``kinds_adapter``,
``kinds_family``, ``kinds_folder``, ``kinds_text``, ``parts_given``, ``useless``. Some modules became packages and keep
the names that a family needs, all but the function ``recognise``, whose name is now a module's.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "latentry_diffusers"
FORMER: dict[str, tuple[str, ...]] = {
    "autoencoder": ("model.autoencoder",),
    "build": ("loading.build",),
    "checkpoint": ("model.checkpoint",),
    "completeness": ("recognise.missing",),
    "configs": ("files.configs",),
    "contents": ("convert.contents",),
    "diffusers_folder": ("convert.diffusers_folder",),
    "dtypes": ("loading.dtypes",),
    "flow": ("model.time_shift",),
    "gguf_cursor": ("files.gguf.cursor",),
    "gguf_file": ("files.gguf.file",),
    "gguf_header": ("files.gguf.header",),
    "headers": ("files.headers",),
    "kinds": ("recognise.kinds",),
    "masking": ("model.masking",),
    "metadata": ("recognise.metadata",),
    "networks": ("bundle.networks",),
    "published": ("bundle.published",),
    "quantised": ("loading.quantised",),
    "release": ("convert.release",),
    "single_file": ("convert.single_file",),
    "sizes": ("model.picture_size",),
    "sources": ("bundle.sources",),
    "streaming": ("files.safetensors_writer",),
    "t5": ("text.t5",),
    "tokenizers": ("bundle.tokenizers",),
    "unet": ("model.unet_checkpoint",),
    "unet_shape": ("recognise.unet_shape",),
    "unet_support": ("recognise.unet_support",),
    "weight_errors": ("files.errors",),
    "weight_folder": ("files.part_folder",),
    "weights": ("files.weight_files", "files.tensor_header", "files.read"),
}
"""Former module → the modules that hold its names now."""

NAMES: dict[str, dict[str, str]] = {
    "bundle": {"Bundle": "bundle.open", "open_bundle": "bundle.open"},
    "loading": dict.fromkeys(("check_fit", "fill", "load_bundle", "load_report"), "loading.load"),
    "model": {"NetworksInMemory": "model.networks_in_memory"},
    "recognise": {
        **dict.fromkeys(("Family", "NETWORKS", "SURE", "UNSUPPORTED"), "recognise.recognise"),
        **dict.fromkeys(("Pipeline", "read_pipeline"), "recognise.pipeline"),
        "Sighting": "recognise.recognise:FileFinding",
    },
    "text": {
        **dict.fromkeys(("Encoded", "Token", "emphasised", "encode_clip", "tokenize"), "text.clip"),
        "warn_of_rest": "text.clip:warn_if_truncated",
    },
}
"""Package that used to be a module → its names then → the module they are in now, and the new name where it differs."""


class FormerModules(MetaPathFinder, Loader):
    """Finds the former modules, and only those; consulted after all other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, self) if package == PACKAGE and name in FORMER else None

    def exec_module(self, module: ModuleType) -> None:
        places = FORMER[module.__name__.rpartition(".")[2]]
        now = " and ".join(f"{PACKAGE}.{place}" for place in places)
        message = f"{module.__name__} has moved: use {now}. The old name goes in latentry-diffusers 2.0"
        warnings.warn(message, DeprecationWarning, stacklevel=2)  # frames of the import system are not counted
        vars(module)["__getattr__"] = _from(module.__name__, places)


def install() -> None:
    """Adds the finder once per process."""
    if not any(isinstance(finder, FormerModules) for finder in sys.meta_path):
        sys.meta_path.append(FormerModules())


def former_names(package: str) -> Callable[[str], Any]:
    """Makes the ``__getattr__`` of a package that used to be a module: its names work, with a warning."""
    names = NAMES[package.rpartition(".")[2]]

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, _, new = names[name].partition(":")
        now, new = f"{PACKAGE}.{place}", new or name
        message = f"{package}.{name} has moved: use {now}.{new}. The old name goes in latentry-diffusers 2.0"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(now), new)

    return get


def _from(former: str, places: Sequence[str]) -> Callable[[str], Any]:
    def get(name: str) -> Any:
        for place in places:
            if not name.startswith("__") and hasattr(module := import_module(f"{PACKAGE}.{place}"), name):
                return getattr(module, name)
        raise AttributeError(f"module {former!r} has no attribute {name!r}")

    return get
