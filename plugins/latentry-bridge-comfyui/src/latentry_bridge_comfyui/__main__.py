"""``python -m latentry_bridge_comfyui ComfyUI/custom_nodes``: makes ComfyUI load the pack when it starts."""

from __future__ import annotations

import sys
from pathlib import Path

PACK = '"""Latentry\'s schedulers."""\n\nfrom latentry_bridge_comfyui import comfy_entrypoint as comfy_entrypoint\n'


def main(arguments: list[str]) -> int:
    """Writes the folder and says where it is; 2 if it was asked wrongly."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(
            "usage: python -m latentry_bridge_comfyui FOLDER, where FOLDER is ComfyUI's custom_nodes", file=sys.stderr
        )
        return 2
    folder = Path(arguments[0]) / "latentry"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text(PACK, encoding="utf-8")
    print(f"{folder} is written. Restart ComfyUI.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
