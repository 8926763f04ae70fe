"""One page a hook: its signature, its record field by field, who implements it, and one who does as an example."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from documentation.markdown import first_sentence, table
from documentation.repository import ROOT, distributions, folder_of, records
from latentry import PluginHost, hookspecs
from latentry._discovery._kinds import KINDS, Kind


def hook_pages(host: PluginHost) -> dict[str, str]:
    """All of them, by path, and an index."""
    rows = [(f"[`{kind.hook}`]({kind.hook}.md)", _summary(kind), f"`{kind.record.__name__}`") for kind in KINDS]
    index = "# Hooks\n\nA plugin implements these, marked with `@latentry.hookimpl`; each gives records.\n\n"
    index += table(("hook", "what it registers", "record"), rows)
    pages = {f"reference/hooks/{kind.hook}.md": _page(host, kind) for kind in KINDS}
    return {"reference/hooks/index.md": index, **pages}


def _summary(kind: Kind[Any]) -> str:
    return inspect.getdoc(getattr(hookspecs, kind.hook)) or ""


def signature_of(kind: Kind[Any]) -> str:
    """The hook as it is defined."""
    signature = str(inspect.signature(getattr(hookspecs, kind.hook))).replace("'", "")
    return f"def {kind.hook}{signature}: ..."


def _page(host: PluginHost, kind: Kind[Any]) -> str:
    documented = _documented(kind.record)
    rows = [
        (f"`{field.name}`", documented.get(field.name, ""), f"`{field.type}`", _default(field))
        for field in dataclasses.fields(kind.record)
    ]
    text = f"# `{kind.hook}`\n\n{_summary(kind)}\n\n```python\n{signature_of(kind)}\n```\n\n"
    text += f"The host has them in `host.{kind.attribute}`. {first_sentence(kind.record)}\n\n"
    text += f"## `{kind.record.__name__}`\n\n" + table(("field", "meaning", "type", "default"), rows)
    givers = [name for name in distributions() if any(records(host, kind, name))]
    if givers:
        text += "\nImplemented by " + ", ".join(f"[{name}](../../plugins/{name}.md)" for name in givers) + ".\n"
    return text + _example([name for name in givers if name != "latentry"])


def _example(givers: list[str]) -> str:
    """The shortest module of records among some distributions'."""
    files = [folder_of(name) / "src" / name.replace("-", "_") / "__init__.py" for name in givers]
    if not files:
        return ""
    file = min(files, key=lambda file: len(_read(file)))
    return f"\n## An example\n\nAll of `{file.relative_to(ROOT).as_posix()}`:\n\n```python\n{_read(file)}```\n"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _default(field: dataclasses.Field[Any]) -> str:
    """As it is written; empty where it has to be given."""
    if field.default is dataclasses.MISSING:
        return "" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()!r}`"
    return f"`{sorted(field.default)!r}`" if isinstance(field.default, frozenset) else f"`{field.default!r}`"


def _documented(cls: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say of their attributes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        _, _, attributes = (inspect.getdoc(base) or "").partition("Attributes:\n")
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE):
            found[name] = " ".join(meaning.split()).replace("``", "`")
    return found
