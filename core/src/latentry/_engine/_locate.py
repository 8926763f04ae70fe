"""From what the user calls a model to a folder, its family and its variant - from headers alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._specs import CheckpointSpec, Detection, ModelFamilySpec, ModelFiles, VariantSpec

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})


@dataclass(frozen=True)
class Located:
    """A checkpoint that was found and recognised; nothing of it is loaded yet.

    Attributes:
        name: what the user called it, or the name of the installed one.
        files: where it lies.
        family: ``distribution:name`` of its family.
        variant: its variant.
        checkpoint: the record, where it is an installed one.
    """

    name: str
    files: ModelFiles
    family: str
    variant: VariantSpec
    checkpoint: CheckpointSpec | None = None


def locate(host: PluginHost, model: str | None, variant: str | None) -> Located:
    """Finds a model by folder or by installed name; None is the installed default.

    Raises:
        ModelError: nothing there, no model, unsafe, damaged, or more than one variant possible.
    """
    name = model if model is not None else _default(host)
    if name in host.checkpoints:
        spec = host.checkpoints[name]
        path = Path(host.checkpoints.load(name)())
        if not path.is_dir():
            owner = host.checkpoints.provenance(name).distribution
            raise ModelError(f"The installed model {name!r} has no files at {path}.", remedy=f"Install {owner} anew.")
        check_weights(path)
        family = host.families[spec.family]
        return Located(name, ModelFiles(path), spec.family, _variant(family, (variant or spec.variant,), None), spec)
    path = _folder(host, name)
    check_weights(path)
    files = ModelFiles(path.resolve())
    qualified, detection = _recognise(host, files)
    family = host.families[qualified]
    return Located(str(path.resolve()), files, qualified, _variant(family, detection.variants, variant), None)


def _default(host: PluginHost) -> str:
    for name in sorted(host.checkpoints):
        if host.checkpoints[name].default:
            return name
    raise ModelError(
        "No model was given and none is installed.", remedy="Give --model FOLDER, or pip install latentry-shapes."
    )


def _folder(host: PluginHost, name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not path.exists():
        near = get_close_matches(name, list(host.checkpoints), 3)
        known = f" Installed models: {', '.join(host.checkpoints)}." if len(host.checkpoints) else ""
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ModelError(
            f"There is no model {name!r}.",
            why=f"It is neither a folder nor the name of an installed model.{known}",
            remedy=f"{hint}Give a diffusers folder or a name that `latentry models` lists.",
        )
    if path.suffix in PICKLES:
        raise _pickle(path)
    raise ModelError(
        f"{path} is a file; models are loaded from a diffusers folder.",
        remedy="Give the folder that holds model_index.json.",
    )


def _pickle(path: Path) -> ModelError:
    return ModelError(
        f"{path} is a pickle and is refused.",
        why="Loading a pickle runs code that the file brings along.",
        remedy="Use the checkpoint's safetensors files, or convert it on a machine that you can throw away.",
    )


def check_weights(folder: Path) -> None:
    """Refuses a checkpoint folder whose weights are damaged, or are there as pickles only.

    Raises:
        ModelError: naming the file.
    """
    for part in sorted(p for p in folder.iterdir() if p.is_dir()):
        weights = sorted(part.glob("*.safetensors"))
        pickles = sorted(p for p in part.iterdir() if p.suffix in PICKLES)
        if pickles and not weights:
            raise _pickle(pickles[0])
        for file in weights:
            _check_header(file)


def _check_header(file: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{file} is damaged: it is no complete safetensors file.",
            why=f"{error} (the file has {file.stat().st_size:,} bytes).",
            remedy="Copy or download it again.",
        ) from error


def _recognise(host: PluginHost, files: ModelFiles) -> tuple[str, Detection]:
    found: list[tuple[float, str, Detection]] = []
    for name in host.families:
        detect: Callable[[ModelFiles], Detection | None] = host.families.load(name, "detector")
        if (detection := detect(files)) is not None:
            found.append((detection.score, host.families.qualified(name), detection))
    best = max((score for score, _, _ in found), default=0.0)
    if best >= 0.5:
        return next((family, detection) for score, family, detection in found if score == best)
    raise ModelError(
        f"{files.path} is not a model that an installed family knows.",
        why=_why_not(host, files.path, found),
        remedy="Give a folder in the diffusers layout (with model_index.json), or install the family.",
    )


def _why_not(host: PluginHost, path: Path, found: list[tuple[float, str, Detection]]) -> str:
    if found:
        score, family, detection = max(found, key=lambda item: item[0])
        missing = f"; missing: {', '.join(detection.missing)}" if detection.missing else ""
        return f"The nearest is {family} ({score:.0%}: {'; '.join(detection.evidence)}{missing})."
    if not len(host.families):
        return "No model family is installed."
    index = path / "model_index.json"
    if not index.is_file():
        return f"It holds no model_index.json. Asked: {', '.join(host.families)}."
    return f"Its pipeline is {_pipeline(index)}. Asked: {', '.join(host.families)}."


def _pipeline(index: Path) -> str:
    try:
        return str(json.loads(index.read_text()).get("_class_name", "not named"))
    except (ValueError, AttributeError):
        return "unreadable: model_index.json is not valid JSON"


def _variant(family: ModelFamilySpec, possible: tuple[str, ...], asked: str | None) -> VariantSpec:
    known = {variant.name: variant for variant in family.variants}
    if asked is not None:
        if asked not in known:
            raise ModelError(
                f"The family {family.name!r} has no variant {asked!r}.", remedy=f"It has {', '.join(known)}."
            )
        return known[asked]
    if len(possible) > 1:
        raise ModelError(
            f"The checkpoint can be any of {', '.join(possible)}: its files do not tell.",
            remedy=f"Say which, e.g. --variant {possible[0]}.",
        )
    if possible[0] not in known:
        raise ModelError(
            f"The family {family.name!r} has no variant {possible[0]!r}.", remedy=f"It has {', '.join(known)}."
        )
    return known[possible[0]]


def fingerprint(folder: Path) -> str:
    """What tells two checkpoints apart without reading all of them: configs whole, of weights size and both ends."""
    digest = sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix not in {".json", ".safetensors"}:
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            if size > 2 << 20:
                stream.seek(size - (1 << 20))
                digest.update(stream.read())
    return digest.hexdigest()[:16]
