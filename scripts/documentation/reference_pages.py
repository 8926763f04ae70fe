"""The exception tree, an example, and the Python interface: a heading for each name, which mkdocstrings fills in."""

from __future__ import annotations

import inspect
from importlib import import_module

from documentation.markdown import first_sentence, table
from documentation.repository import ROOT
from latentry._errors import LatentryError

EXAMPLE = ROOT / "examples" / "swatches"
MODULES = (
    *("", "solvers", "sigmas", "tables", "attention", "guidance", "conditioners", "models", "batches", "names"),
    *("commands", "testing"),
)
"""The public modules, below ``latentry``."""


def family_page() -> str:
    """The example of a model family, as it stands in the repository."""
    text = (
        "# A family without an autoencoder\n\nA model family needs neither diffusers nor an autoencoder. This one\n"
        "draws colour swatches in pixels, with a network of 6,000 weights. `BaseModel` and `BaseCheckpoint` hold what\n"
        "families have in common: weights and their report, LoRAs, attention, tiles and previews. What is left is\n"
        "`family.py`, and a record: recognise, build, encode the prompt, predict; with an autoencoder, encode and\n"
        "decode.\n\n```sh\n"
        "latentry generate red --model swatches --plugin-dir examples/swatches\n```\n"
    )
    for name in ("__init__.py", "family.py", "network.py"):
        text += f"\n## `{name}`\n\n```python\n{(EXAMPLE / name).read_text(encoding='utf-8')}```\n"
    return text


def errors_page() -> str:
    """All codes."""
    text = (
        "# Errors\n\nEvery error of Latentry is a `LatentryError`: what failed, why, and what to do, with a `code` "
        "that stays the\nsame when messages are reworded, and the `field` of the request that has to change, if any.\n"
        "[Troubleshooting](../troubleshooting.md) goes through them.\n\n"
    )
    rows = [(f"`{cls.code}`", f"`{cls.__name__}`", first_sentence(cls)) for cls in error_classes()]
    return text + table(("code", "class", "when"), rows)


def error_classes() -> list[type[LatentryError]]:
    """The base and all below it."""
    found = [LatentryError]
    for cls in found:
        found += [each for each in cls.__subclasses__() if each.__module__ == LatentryError.__module__]
    return found


def python_pages() -> dict[str, str]:
    """One page a public module. What several modules give is on the page of the first."""
    names = [f"latentry.{name}".rstrip(".") for name in MODULES]
    shown: dict[object, str] = {}
    return {f"reference/python/{name}.md": _module(name, shown) for name in names}


def _module(name: str, shown: dict[object, str]) -> str:
    """A page; notes in ``shown`` what it has."""
    module = import_module(name)
    text = f"# `{name}`\n\n{(inspect.getdoc(module) or '').replace('``', '`')}\n"
    for public in sorted(module.__all__):
        value = getattr(module, public)
        if not (inspect.isclass(value) or inspect.isfunction(value)) or "<locals>" in value.__qualname__:
            continue  # constants, and what a function has made, such as an option
        if value in shown:
            text += f"\n`{public}` is on the page of [`{shown[value]}`]({shown[value]}.md).\n"
            continue
        shown[value] = name
        text += f"\n::: {value.__module__}.{value.__qualname__}\n"
        text += f"    options:\n      heading: {name}.{public}\n      toc_label: {public}\n"
    return text
