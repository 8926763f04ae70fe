"""Writes a checkpoint in another form: a folder in the diffusers layout, shards, or a single file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from uuid import uuid4

import torch

from latentry import OptionError, ResourceError
from latentry.models import Conversion
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.convert.contents import Contents, contents
from latentry_diffusers.convert.diffusers_folder import documents, plan_weights, save_documents, save_tokenizers
from latentry_diffusers.convert.release import Release
from latentry_diffusers.convert.single_file import plan_single
from latentry_diffusers.files.safetensors_writer import Planned, write_safetensors
from latentry_diffusers.loading.load import load_report

log = logging.getLogger("latentry.convert")

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
SHARD = "5GB"
"""Default maximum file size for the form ``sharded``."""
UNFIT = "Give --config FOLDER if its networks have shapes of their own, or download the checkpoint again."


def write_checkpoint(bundle: Bundle, release: Release, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a checkpoint in another form, tensor by tensor; a conversion that fails leaves nothing behind.

    Args:
        bundle: the checkpoint.
        release: how its variant was released.
        conversion: the form to write.

    Returns:
        What was written: the folder, or the main file and the files of separately published parts.

    Raises:
        ModelError: weights do not fit their configurations.
        OptionError: the dtype or the size of shards is not valid, or the target exists.
        IncompatibleError: weights are quantised, and no dtype was given.
        ResourceError: the disk is too full, or cannot be written.
    """
    out, single = conversion.out, conversion.to == "single"
    if single and out.suffix != ".safetensors":
        raise OptionError(f"{out} is not a name for a single file.", remedy="Use a name that ends in .safetensors.")
    dtype = _dtype(conversion.dtype)
    parts = [contents(part, dtype, remedy=UNFIT) for part in bundle.parts.values()]
    planned = [_with_metadata(file, conversion) for file in _plan(parts, bundle, release, conversion)]
    targets = tuple(out.parent / file.path for file in planned) if single else (out,)
    _check(targets, sum(file.size for file in planned))
    _warn(bundle, parts)
    with _temporary_folder(out) as made:
        _write(planned, made, conversion)
        if not single:
            save_documents(made, documents(parts, planned, bundle, release))
            save_tokenizers(made, bundle)
        for target in reversed(targets):  # the main file comes last: where it exists, everything does
            (made / target.name if single else made).rename(target)
    return targets


def _plan(parts: Sequence[Contents], bundle: Bundle, release: Release, conversion: Conversion) -> tuple[Planned, ...]:
    if conversion.to == "single":
        return tuple(plan_single(parts, bundle, release, PurePath(conversion.out.name)))
    shard = (conversion.max_shard_size or SHARD) if conversion.to == "sharded" else None
    return tuple(plan_weights(parts, bundle, release, shard))


def _with_metadata(file: Planned, conversion: Conversion) -> Planned:
    """A file of the denoiser, which says what the model is, with what the host says of it."""
    stated = "modelspec.architecture" in file.metadata
    return file._replace(metadata={**file.metadata, **conversion.metadata}) if stated else file


def _warn(bundle: Bundle, parts: Sequence[Contents]) -> None:
    """Warns about tensors that no form has a place for."""
    left = load_report(bundle, {each.part.spec.name: each.network for each in parts}).unexpected
    if left:
        shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        log.warning("unknown tensors are left out: %s", shown)


def _dtype(name: str | None) -> torch.dtype | None:
    if name is not None and name not in DTYPES:
        raise OptionError(f"Cannot convert to the dtype {name!r}.", remedy=f"Use one of {', '.join(DTYPES)}.")
    return None if name is None else DTYPES[name]


def _check(targets: Sequence[Path], size: int) -> None:
    """Refuses to overwrite a file, or to start if the disk has too little space."""
    for target in targets:
        if target.exists():
            raise OptionError(f"{target} already exists.", remedy="Give another name, or remove it first.")
    parent = targets[0].absolute().parent
    if not parent.is_dir():
        raise OptionError(f"There is no folder {parent}.", remedy="Create it, or give another.")
    free = shutil.disk_usage(parent).free
    if free < size:
        raise ResourceError(
            f"There is too little space on the disk of {parent}.",
            why=f"{size / 1e9:,.1f} GB are needed, and {free / 1e9:,.1f} GB are free.",
            remedy="Free some space, or write to another disk.",
        )


@contextmanager
def _temporary_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk, so that renaming out of it is atomic; what is left in it is removed."""
    made = out.absolute().parent / f".{out.name}.{uuid4().hex[:8]}"
    try:
        made.mkdir()
        yield made
    except OSError as error:
        raise ResourceError(f"{out} cannot be written.", why=str(error), remedy="Write to another disk.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(planned: Sequence[Planned], made: Path, conversion: Conversion) -> None:
    total = sum(len(file.entries) for file in planned)
    done = 0
    for file in planned:
        (made / file.path).parent.mkdir(exist_ok=True)
        for _ in write_safetensors(made / file.path, file.entries, file.metadata):
            done += 1
            conversion.progress(f"Writing {file.path}", done, total)
