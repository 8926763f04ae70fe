"""Tells what a folder of diffusers or transformers is if it does not hold a whole model."""

from __future__ import annotations

from pathlib import Path

from latentry import FileKind
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import Read
from latentry_diffusers.recognise.kinds import Kind, kind_of

CLASSES = (
    ("ControlNet", "a ControlNet", FileKind.OTHER),
    ("T2IAdapter", "a T2I-Adapter", FileKind.OTHER),
    ("Autoencoder", "an autoencoder", FileKind.AUTOENCODER),
    ("VQModel", "an autoencoder", FileKind.AUTOENCODER),
    ("MotionAdapter", "a motion module", FileKind.OTHER),
    ("UNet", "a UNet alone", FileKind.OTHER),
    ("Transformer2D", "a transformer alone", FileKind.OTHER),
    ("CLIPText", "a text encoder", FileKind.TEXT_ENCODER),
    ("T5", "a text encoder", FileKind.TEXT_ENCODER),
    ("CLIPVision", "an image encoder", FileKind.OTHER),
    ("CLIPModel", "a text encoder and an image encoder", FileKind.OTHER),
    ("Scheduler", "the settings of a scheduler", FileKind.OTHER),
)
"""Parts of class names and what they mean; the first match counts."""
LORAS = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
"""The names under which diffusers and PEFT save a LoRA in a folder."""


def kind_of_folder(path: Path, read: Read) -> Kind | None:
    """What the folder is; None for a model, and for what is not known here."""
    index = read_json(path / "model_index.json")
    if index is not None:
        pipeline = str(index.get("_class_name", ""))
        return Kind("an upscaler", f"model_index.json names {pipeline}") if "Upscale" in pipeline else None
    if (lora := lora_in(path)) is not None:
        return kind_of(read(lora))
    if (path / "tokenizer_config.json").is_file() and not (path / "config.json").is_file():
        return Kind("a tokenizer", "it holds tokenizer_config.json")
    return _by_class(path)


def lora_in(path: Path) -> Path | None:
    """The file of a LoRA that diffusers or PEFT saved in a folder; None where there is none."""
    return next((path / name for name in LORAS if (path / name).is_file()), None)


def _by_class(path: Path) -> Kind | None:
    for file in ("config.json", "scheduler_config.json"):
        config = read_json(path / file) or {}
        names = [config.get("_class_name"), *_listed(config.get("architectures"))]
        for name in (name for name in names if isinstance(name, str)):
            for part, words, kind in CLASSES:
                if part in name:
                    upscales = part == "UNet" and config.get("in_channels") == 7
                    return Kind("an upscaler" if upscales else words, f"{file} names {name}", kind=kind)
    return None


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
