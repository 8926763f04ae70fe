"""``python -m latentry_bridge_webui path/to/webui/extensions``: makes the web UI load the extension when it starts."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = '"""Latentry\'s schedulers."""\n\nfrom latentry_bridge_webui import register\n\nregister()\n'


def main(arguments: list[str]) -> int:
    """Writes the script and says where it is; 2 if it was asked wrongly."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m latentry_bridge_webui FOLDER, where FOLDER is the web UI's extensions", file=sys.stderr)
        return 2
    folder = Path(arguments[0]) / "latentry" / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latentry_samplers.py").write_text(SCRIPT, encoding="utf-8")
    print(f"{folder} is written. Restart the web UI.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
