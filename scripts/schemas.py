"""The schemas of all options in this repository: printed by package, or with ``--write`` put beside the code.

Each package has its own in a ``schemas.json``, which ``latentry.option_schema`` reads in place of importing the code.
Bridges have none: what they offer follows the other program's installed version.
"""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any


def written() -> dict[Path, str]:
    """What the files should hold."""
    from latentry import PluginHost
    from latentry._request._schema import TARGETS, WRITTEN, declared_schema

    host, found = PluginHost(), dict[str, dict[str, dict[str, Any]]]()
    for kind in TARGETS:
        registry = getattr(host, kind)
        for name in registry.names(everything=True):
            spec = registry[name]
            distribution = registry.provenance(name).distribution
            if distribution.startswith("latentry") and not distribution.startswith("latentry-bridge-"):
                package = spec.target.partition(":")[0].partition(".")[0]
                schema = declared_schema(host, kind, name) | {"title": spec.name}
                found.setdefault(package, {}).setdefault(kind, {})[spec.name] = schema
    return {
        Path(str(files(package))) / WRITTEN: json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        for package, content in sorted(found.items())
    }


def main() -> None:
    """Print the files, or write them."""
    for path, text in written().items():
        if "--write" in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        else:
            print(path.parent.name, text, end="")


if __name__ == "__main__":
    main()
