"""Loads the networks and tokenizers of a folder in diffusers' layout, with one clear error each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError

from latentry import LoadReport, ModelError


class Text(NamedTuple):
    """A text encoder and its tokenizer."""

    encoder: Any
    tokenizer: Any


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no reports of the libraries' own: progress is the host's to show, faults are raised."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    shown, levels = transformers.is_progress_bar_enabled(), [(m, m.get_verbosity()) for m in (diffusers, transformers)]
    transformers.disable_progress_bar()
    for module, _ in levels:
        module.set_verbosity(CRITICAL)
    try:
        yield
    finally:
        for module, level in levels:
            module.set_verbosity(level)
        if shown:
            transformers.enable_progress_bar()


def load_networks(
    path: Path, loaders: Mapping[str, Callable[..., Any]], device: Any
) -> tuple[dict[str, Any], LoadReport]:
    """Networks by the name of their folder, on the device and ready to run, and what became of the tensors.

    Args:
        path: the checkpoint folder.
        loaders: ``from_pretrained`` of each part's class with the dtype bound; safetensors alone are read, no network.
        device: torch's.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    networks: dict[str, Any] = {}
    unexpected: list[str] = []
    with quiet():
        for name, load in loaders.items():
            network, seen = _part(path, name, load)
            networks[name] = network.to(device).eval().requires_grad_(False)
            unexpected += [f"{name}.{key}" for key in seen["unexpected_keys"]]
    used = sum(len(network.state_dict()) for network in networks.values())
    return networks, LoadReport(used, (), tuple(unexpected))


def check_vocabulary(path: Path, tokenizer: Any, vocabulary: int) -> None:
    """Refuses a tokenizer whose ids the text encoder has no embeddings for."""
    if len(tokenizer) > vocabulary:
        raise ModelError(
            f"The tokenizer in {path} does not belong to the text encoder.",
            why=f"It knows {len(tokenizer):,} tokens, and the text encoder {vocabulary:,}.",
            remedy="Get the checkpoint anew, with all its files.",
        )


def load_tokenizer(folder: Path, load: Callable[..., Any]) -> Any:
    """transformers makes an empty tokenizer where there is no vocabulary, so that is looked for first."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise ModelError(
            f"{folder} holds no vocabulary.",
            why="There is neither a tokenizer.json nor a vocab.json.",
            remedy="Get the checkpoint anew, with all its files.",
        )
    try:
        return load(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises Exception itself
        raise _cannot(folder.parent, folder.name, error) from error


def load_text(path: Path, part: str, networks: Mapping[str, Any], load: Callable[..., Any]) -> Text:
    """The text encoder of a folder with the tokenizer that belongs to it: ``tokenizer_2`` to ``text_encoder_2``.

    Args:
        path: the checkpoint folder.
        part: the encoder's folder.
        networks: by the name of their folder.
        load: ``from_pretrained`` of the tokenizer's class.

    Raises:
        ModelError: the tokenizer is missing, damaged, or not the encoder's.
    """
    tokenizer = load_tokenizer(path / part.replace("text_encoder", "tokenizer"), load)
    check_vocabulary(path, tokenizer, networks[part].config.vocab_size)
    return Text(networks[part], tokenizer)


def _part(path: Path, name: str, load: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    folder = path / name
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} holds no weights.", why="There is no .safetensors file.", remedy="Get the checkpoint anew."
        )
    try:
        network, seen = load(folder, use_safetensors=True, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise _cannot(path, name, error) from error
    lacking = sorted(key for key in seen["missing_keys"] if not key.endswith("position_ids"))
    wrong = [str(item[0] if isinstance(item, tuple) else item) for item in seen.get("mismatched_keys", ())]
    if lacking or wrong:
        what = "lacks" if lacking else "has the wrong shape for"
        keys = lacking or wrong
        shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        raise ModelError(
            f"The weights of {folder} do not fit its configuration: the file {what} {shown}.",
            remedy="Get the checkpoint anew: its weights and configurations must belong together.",
        )
    return network, seen


def _cannot(path: Path, name: str, error: Exception) -> ModelError:
    lines = [line.strip() for line in str(error).strip().splitlines()[:3]]  # torch names the key on the second
    return ModelError(
        f"The {name.replace('_', ' ')} in {path / name} cannot be loaded.",
        why=f"{type(error).__name__}: {' '.join(lines) or 'no reason given'}",
        remedy="Get the checkpoint anew, with all its files.",
    )
