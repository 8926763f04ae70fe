from pathlib import Path

from safetensors import safe_open

from latentry import Detection

MARK = "latentry_frozen"


def detect(files):
    if files.path.suffix != ".safetensors":
        return None
    with safe_open(files.path, "numpy") as file:
        marked = MARK in (file.metadata() or {})
    return Detection(("frozen",), 1.0, ("its metadata say so",)) if marked else None


def weights():
    return Path(__file__).parent / "frozen.safetensors"
