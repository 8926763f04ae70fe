"""Finds and loads the tokenizers of a checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from latentry import ModelError, ModelFiles
from latentry_diffusers.files.configs import read_json

Kind = Literal["clip", "t5", "qwen", "mistral"]

FILES = ("tokenizer.json", "vocab.json", "spiece.model")
"""Names of vocabulary files; any one of them is enough."""
CLASSES: Mapping[Kind, str] = {
    "clip": "CLIPTokenizer",
    "t5": "T5TokenizerFast",
    "qwen": "Qwen2TokenizerFast",
    "mistral": "PreTrainedTokenizerFast",
}
HUB: Mapping[Kind, tuple[str, ...]] = {
    "clip": ("openai/clip-vit-large-patch14", "stabilityai/stable-diffusion-xl-base-1.0/tokenizer"),
    "t5": (
        "stabilityai/stable-diffusion-3.5-large/tokenizer_3",
        "black-forest-labs/FLUX.1-schnell/tokenizer_2",
        "google/t5-v1_1-xxl",
    ),
    "mistral": ("black-forest-labs/FLUX.2-dev/tokenizer", "mistralai/Mistral-Small-3.2-24B-Instruct-2506"),
    "qwen": ("Qwen/Qwen3-4B", "Tongyi-MAI/Z-Image-Turbo/tokenizer", "Qwen/Qwen-Image/tokenizer"),
}
"""Repositories on the Hub, some with a folder, that hold the vocabularies of all published checkpoints."""
MARKS: Mapping[str, Kind] = {"<|im_start|>": "qwen", "[INST]": "mistral"}
"""Tokens that only one kind of byte-pair vocabulary has; without any of them it is CLIP's."""


class Text(NamedTuple):
    """A text encoder and its tokenizer."""

    encoder: Any
    tokenizer: Any


@dataclass(frozen=True)
class TokenizerSpec:
    """One tokenizer of a family's checkpoints.

    Attributes:
        name: its folder in the diffusers layout.
        kind: the kind of vocabulary.
        pad: the padding token, where training used a different one from the published vocabulary's.
    """

    name: str
    kind: Kind
    pad: str | None = None


class Tokenizer(NamedTuple):
    """Where a tokenizer lies, and its padding token where the files have the wrong one."""

    folder: Path
    spec: TokenizerSpec
    pad: str | None = None


def find_tokenizer(spec: TokenizerSpec, files: ModelFiles) -> Tokenizer:
    """Looks in what was given for it, the configuration folder, the checkpoint's folder, then the Hub's local cache.

    Raises:
        ModelError: there is none.
    """
    given = [path for role, path in files.parts if role == "tokenizer"]
    for folder in given:
        if _has(folder / spec.name):
            return Tokenizer(folder / spec.name, spec)
        if _has(folder) and _kind(folder) == spec.kind:
            return Tokenizer(folder, spec, spec.pad)
        if not any(_has(place) for place in (folder, *folder.glob("*/"))):
            raise _empty(folder, "Give the folder that holds it, or leave --tokenizer out.")
    own = [folder / spec.name for folder in (files.config, files.path) if folder is not None and folder.is_dir()]
    for folder in own:
        if _has(folder):
            return Tokenizer(folder, spec)
    if not files.path.is_dir() and (cached := _cached(spec.kind)) is not None:
        return Tokenizer(cached, spec, spec.pad)
    raise _none(spec, files, [*given, *own])


def check_used(files: ModelFiles, found: Collection[Tokenizer]) -> None:
    """Refuses a folder that was given for the tokenizers but holds none that fits the model's text encoders.

    Raises:
        ModelError: names the folder.
    """
    folders, kinds = [each.folder for each in found], sorted({each.spec.kind for each in found})
    for role, path in files.parts:
        if role == "tokenizer" and not any(folder.is_relative_to(path) for folder in folders):
            raise ModelError(
                f"No text encoder of this model takes a tokenizer from {path}.",
                why=f"They take vocabularies of the kind {' and '.join(kinds)}."
                if kinds
                else "It has no text encoder.",
                remedy="Leave it out, or give the folder of a model of the same family.",
                field="tokenizer",
            )


def load_tokenizer(found: Tokenizer) -> Any:
    """The tokenizer.

    Raises:
        ModelError: it is damaged.
    """
    import transformers

    changes = {} if found.pad is None else {"pad_token": found.pad}
    try:
        return getattr(transformers, CLASSES[found.spec.kind]).from_pretrained(
            found.folder, local_files_only=True, **changes
        )
    except Exception as error:  # tokenizers raises Exception itself
        raise ModelError(
            f"The tokenizer in {found.folder} cannot be loaded.",
            why=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason'}",
            remedy="Download it again, with all its files.",
        ) from error


def load_text(encoder: Any, found: Tokenizer) -> Text:
    """A text encoder with its tokenizer.

    Raises:
        ModelError: the tokenizer is damaged, or has more tokens than the encoder has embeddings.
    """
    tokenizer = load_tokenizer(found)
    if len(tokenizer) > (most := encoder.config.get_text_config().vocab_size):
        raise ModelError(
            f"The tokenizer in {found.folder} does not belong to the text encoder.",
            why=f"It has {len(tokenizer):,} tokens, and the text encoder has {most:,}.",
            remedy="Download the checkpoint again, with all its files.",
        )
    return Text(encoder, tokenizer)


def _has(folder: Path) -> bool:
    """Whether a folder holds a vocabulary; without one transformers would make an empty tokenizer."""
    return any((folder / name).is_file() for name in FILES)


def _kind(folder: Path) -> Kind | None:
    """Which vocabulary a folder holds: T5's is a unigram model, all others are of byte pairs."""
    listed = read_json(folder / "tokenizer.json") or {}
    model = listed.get("model")
    if isinstance(model, dict):
        added = [token["content"] for token in listed.get("added_tokens", ()) if isinstance(token, dict)]
        pairs: Kind = next((MARKS[token] for token in added if token in MARKS), "clip")
        kinds: dict[object, Kind] = {"BPE": pairs, "Unigram": "t5"}
        return kinds.get(model.get("type"))
    return "clip" if (folder / "vocab.json").is_file() else "t5"


def _cached(kind: Kind) -> Path | None:
    """Looks in the Hub's local cache; the Hub itself is not asked."""
    from huggingface_hub import try_to_load_from_cache

    for place in HUB[kind]:
        owner, name, *inside = place.split("/")
        for file in FILES:
            found = try_to_load_from_cache(f"{owner}/{name}", "/".join((*inside, file)))
            if isinstance(found, str):
                return Path(found).parent
    return None


def _none(spec: TokenizerSpec, files: ModelFiles, looked: Sequence[Path]) -> ModelError:
    if files.path.is_dir():
        return _empty(looked[-1], "Download the checkpoint again, with all its files.")
    start = f"No suitable vocabulary is in {', '.join(map(str, looked))}, and the" if looked else "The"
    return ModelError(
        f"There is no {spec.name}: files of weights do not hold a vocabulary.",
        why=f"{start} Hub's local cache has none of {', '.join(HUB[spec.kind])}.",
        remedy="Give --tokenizer FOLDER or --config FOLDER: a diffusers folder of the same family will do.",
    )


def _empty(folder: Path, remedy: str) -> ModelError:
    return ModelError(
        f"{folder} does not hold a vocabulary.",
        why=f"None of {', '.join(FILES)} is there.",
        remedy=remedy,
    )
