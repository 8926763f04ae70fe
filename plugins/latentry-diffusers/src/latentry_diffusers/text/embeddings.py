"""Textual inversion for CLIP: vectors in place of a word's own (Gal et al. 2022, arXiv:2208.01618)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from latentry import IncompatibleError, ModelError
from latentry.models import Embedding
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import WeightFiles

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from latentry_diffusers.bundle.open import Bundle

KEYS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
"""The name of an encoder's vectors in a file that has them for two; a file for one has a single name, whichever."""
WORDS = ("t5", "t5xxl")
"""Vectors for T5, which reads the name itself here."""


def check_embeddings(bundle: Bundle, paths: Sequence[Path]) -> tuple[str, ...]:
    """Whether each file has vectors for every CLIP of a checkpoint; see ``latentry.models.TakesEmbeddings``.

    Raises:
        ModelError: a file is damaged, or not a textual inversion.
        IncompatibleError: its vectors are for other encoders, or the checkpoint has no CLIP.
    """
    clips = clips_of(bundle)
    if not clips:
        raise IncompatibleError(
            f"{bundle.files.path} does not take textual inversion embeddings.",
            why="None of its text encoders is CLIP.",
            remedy="Leave the embeddings out.",
            field="embeddings",
        )
    notes = []
    for path in paths:
        weights = read_headers(path)
        for part in clips:
            name = name_of(weights, path, part, alone=len(clips) == 1)
            found, width = weights.tensors[name].shape, int(bundle.config(part)["hidden_size"])
            if len(found) not in (1, 2) or found[-1] != width:
                raise _unfit(path, f"{name} has the shape {found}, and the vectors of {part} have {width} numbers")
        if any(name in weights.tensors for name in WORDS):
            notes.append(f"The vectors for T5 in {path.name} are not used: T5 reads the name as it is written.")
    return tuple(notes)


def clips_of(bundle: Bundle) -> tuple[str, ...]:
    """The parts that are CLIP text encoders."""
    return tuple(part for part, found in bundle.tokenizers.items() if found.spec.kind == "clip")


def name_of(weights: WeightFiles, path: Path, part: str, *, alone: bool) -> str:
    """The name of the vectors for a text encoder in a file.

    Args:
        weights: the file's headers.
        path: the file.
        part: the encoder, as in ``Model.networks``.
        alone: whether the model has no other CLIP.

    Raises:
        ModelError: it is not a textual inversion.
        IncompatibleError: it has none for this encoder.
    """
    names = [name for name in weights.tensors if name not in WORDS]
    if KEYS[part] in names:
        return KEYS[part]
    if len(names) == 1 and alone and names[0] not in KEYS.values():
        return names[0]
    if len(names) == 1 or set(names) <= set(KEYS.values()):
        raise _unfit(path, f"it has vectors for {' and '.join(names)}, and none for {part}")
    raise ModelError(
        f"{path} is not a textual inversion embedding.",
        why=f"It holds {len(names):,} tensors; an embedding has one for each CLIP.",
        remedy="Give the file of an embedding; LoRAs are given with --lora.",
        field="embeddings",
    )


def read_embeddings(embeddings: Sequence[Embedding], bundle: Bundle, part: str) -> dict[str, Tensor]:
    """The vectors of each embedding for a text encoder, (vectors, width), by name.

    Raises:
        ModelError: a file has changed since it was checked.
    """
    alone = len(clips_of(bundle)) == 1
    found = {}
    for each in embeddings:
        weights = read_headers(each.path)
        tensor = weights.read(name_of(weights, each.path, part, alone=alone)).clone()
        weights.close()
        found[each.name] = tensor if tensor.ndim == 2 else tensor[None]
    return found


@contextmanager
def with_vectors(encoder: Any, vectors: Mapping[tuple[int, int], Tensor]) -> Iterator[None]:
    """Vectors at (row, token) in place of the encoder's own, for what this thread runs inside the context."""
    thread = get_ident()

    def replaced(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if get_ident() != thread:  # the encoder is shared
            return output
        output = output.clone()
        for (row, token), vector in vectors.items():
            output[row, token] = vector.to(output)
        return output

    if not vectors:
        yield
        return
    handle = encoder.get_input_embeddings().register_forward_hook(replaced)
    try:
        yield
    finally:
        handle.remove()


def _unfit(path: Path, why: str) -> IncompatibleError:
    return IncompatibleError(
        f"The embedding {path} does not fit the model.",
        why=f"{why[0].upper()}{why[1:]}.",
        remedy="Use one that was made for this model.",
        field="embeddings",
    )
