"""Plans a checkpoint as a folder in the diffusers layout, and writes its JSON files and tokenizers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards

from latentry import OptionError
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.bundle.tokenizers import CLASSES, load_tokenizer
from latentry_diffusers.convert.contents import Contents
from latentry_diffusers.convert.release import Release
from latentry_diffusers.files.safetensors_writer import Planned

STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
"""Stems of weight files, by the package of the network."""
VOCABULARY = (
    *("tokenizer.json", "vocab.json", "merges.txt", "spiece.model"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
)
SIZE = re.compile("0*[1-9][0-9]*[KMGT]B", re.IGNORECASE)
Document = tuple[PurePath, Mapping[str, Any]]
"""The path of a JSON file and its content."""


def plan_weights(parts: Sequence[Contents], bundle: Bundle, release: Release, shard: str | None) -> Iterator[Planned]:
    """The files of weights.

    Args:
        parts: of the checkpoint.
        bundle: of the checkpoint.
        release: how the variant was released.
        shard: largest size of a file, such as ``5GB``; None for any size.

    Raises:
        OptionError: ``shard`` is not a size.
    """
    if shard is not None and SIZE.fullmatch(shard) is None:
        raise OptionError(f"{shard!r} is not a valid shard size.", remedy="Give one such as 5GB or 500MB.")
    for contents in parts:
        spec, entries = contents.part.spec, {entry.name: entry for entry in contents.own()}
        metadata = {"format": "pt"} if spec.role else release.metadata(bundle)
        empty = {name: torch.empty(e.shape, dtype=e.dtype, device="meta") for name, e in entries.items()}
        stem = STEMS[spec.network.target.partition(":")[0]]
        split = split_torch_state_dict_into_shards(
            empty,
            filename_pattern=f"{stem}{{suffix}}.safetensors",
            max_shard_size=shard or 1 + sum(entry.size for entry in entries.values()),
        )
        for file, names in split.filename_to_tensors.items():
            yield Planned(PurePath(spec.name, file), tuple(entries[name] for name in names), metadata)


def documents(
    parts: Sequence[Contents], planned: Sequence[Planned], bundle: Bundle, release: Release
) -> Iterator[Document]:
    """The configurations, ``model_index.json`` and the indices of shards."""
    for contents in parts:
        folder = contents.part.spec.name
        files = [file for file in planned if file.path.parent.name == folder]
        yield PurePath(folder, "config.json"), _config(contents)
        if len(files) > 1:
            places = {entry.name: file.path.name for file in files for entry in file.entries}
            stem = files[0].path.name.split("-")[0]
            size = {"total_size": sum(file.size for file in files)}
            yield PurePath(folder, f"{stem}.safetensors.index.json"), {"metadata": size, "weight_map": places}
    scheduler = {**release.scheduler, **bundle.scheduler}
    yield PurePath("scheduler", "scheduler_config.json"), scheduler
    yield PurePath("model_index.json"), _index(parts, bundle, release, str(scheduler["_class_name"]))


def save_documents(made: Path, files: Iterator[Document]) -> None:
    """Writes JSON files into a folder."""
    for path, content in files:
        (made / path).parent.mkdir(exist_ok=True)
        (made / path).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def save_tokenizers(made: Path, bundle: Bundle) -> None:
    """Copies the vocabularies; one whose padding token was wrong is saved with the right one."""
    for found in bundle.tokenizers.values():
        target = made / found.spec.name
        if found.pad is not None:
            load_tokenizer(found).save_pretrained(target)
            continue
        target.mkdir()
        for name in VOCABULARY:
            if (found.folder / name).is_file():
                shutil.copyfile(found.folder / name, target / name)


def _config(contents: Contents) -> Mapping[str, Any]:
    """The configuration as it was found; a published one with its defaults and the class it is for."""
    part, network = contents.part, contents.network
    package, _, name = part.spec.network.target.partition(":")
    if "_class_name" in part.config or "architectures" in part.config:
        config = dict(part.config)
    elif package == "diffusers":
        config = json.loads(network.to_json_string())
    else:
        config = {**network.config.to_diff_dict(), "architectures": [name]}
    if package == "transformers" and contents.dtype is not None:
        config.pop("torch_dtype", None)
        config["dtype"] = str(contents.dtype).removeprefix("torch.")
    return config


def _index(parts: Sequence[Contents], bundle: Bundle, release: Release, scheduler: str) -> Mapping[str, Any]:
    import diffusers

    written = {c.part.spec.name: c.part.spec.network.target.split(":") for c in parts}
    written |= {f.spec.name: ["transformers", CLASSES[f.spec.kind]] for f in bundle.tokenizers.values()}
    written["scheduler"] = ["diffusers", scheduler]
    own = {key: [None, None] if _component(value) else value for key, value in bundle.index.items()}
    own |= {key: bundle.index[key] for key in written if _component(bundle.index.get(key))}
    made = {"_class_name": release.pipeline, "_diffusers_version": diffusers.__version__, **release.settings}
    absent = {name: [None, None] for name in release.without}
    return {**absent, **written, **(own or made)}


def _component(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)
