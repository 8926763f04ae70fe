"""Checks of opening and loading: configuration, sizes, the report, damaged files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from latentry._contract._model import Checkpoint, Model
from latentry._errors import IncompatibleError, LatentryError, ModelError, OptionError
from latentry._specs import ModelFiles, VariantSpec
from latentry.testing._family._inputs import given, normal, predicted
from latentry.testing._family._subject import CPU, FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult

SIDES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Of which the smallest that a model takes is drawn, in pixels."""
WEIGHTS = (".safetensors", ".sft", ".gguf")


def opening(subject: FamilySubject) -> Iterator[CheckResult]:
    """A checkpoint says what its record and its loaded model say: process, prediction, parts, size, layers, shift.

    Troubleshooting: ``noise`` comes from the configuration; ``parts`` are the keys of ``Model.networks``; a time shift
    is a factor above 0, and None on variance preserving.
    """
    for variant in subject.variants:
        faults = _opening_faults(subject, variant)
        yield summed("opening", "one configuration", faults, case=variant.name)


def _opening_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    checkpoint, model = subject.checkpoint(variant), subject.model(variant)
    kind = checkpoint.noise.process.kind
    if kind != subject.spec.process:
        yield f"the process is {kind}, and the record says {subject.spec.process}"
    if model.process != checkpoint.noise.process or model.prediction != checkpoint.noise.prediction:
        yield "process or prediction of the model are not those of the checkpoint"
    if tuple(checkpoint.parts) != tuple(model.networks):
        yield f"parts are {checkpoint.parts}, and the networks {tuple(model.networks)}"
    if variant.skip_layers != (checkpoint.layers > 0):
        yield f"skip_layers is {variant.skip_layers}, and layers is {checkpoint.layers}"
    shift = checkpoint.shift(checkpoint.size, checkpoint.size)
    if shift is not None and not (isinstance(shift, float) and shift > 0.0):
        yield f"the shift is {shift!r}"
    if shift not in (None, 1.0) and kind == "vp":
        yield f"a variance-preserving model has the shift {shift:g}"
    if model.latent_shape(checkpoint.size, checkpoint.size) != _own_shape(checkpoint):
        yield "latent_shape differs between checkpoint and model"


def _own_shape(checkpoint: Checkpoint) -> tuple[int, int, int]:
    return checkpoint.latent_shape(checkpoint.size, checkpoint.size)


def sizes(subject: FamilySubject) -> Iterator[CheckResult]:
    """A size that cannot be drawn is refused with the nearest that can; a size that is taken can be drawn.

    Troubleshooting: raise ``latentry.OptionError`` from ``latent_shape``, and name in its remedy a size that works, as
    ``BaseCheckpoint`` does.
    """
    for variant in subject.variants:
        checkpoint = subject.checkpoint(variant)
        size = checkpoint.size
        wrong = [(0, 0), (-size, size), (size, 0)]
        faults = [fault for width, height in wrong for fault in _refusal_faults(checkpoint, width, height)]
        least = next((side for side in SIDES if _taken(checkpoint, side, side)), size)
        for width, height in ((size, size), (least, least), (size, least), (size + least, size)):
            if _taken(checkpoint, width, height):
                faults += _drawing_faults(subject, variant, width, height)
        yield summed("sizes", "draws what it takes, refuses the rest", faults, case=variant.name)


def _taken(checkpoint: Checkpoint, width: int, height: int) -> bool:
    try:
        checkpoint.latent_shape(width, height)
    except OptionError:
        return False
    return True


def _drawing_faults(subject: FamilySubject, variant: VariantSpec, width: int, height: int) -> Iterator[str]:
    shape = subject.checkpoint(variant).latent_shape(width, height)
    if len(shape) != 3 or not all(type(side) is int and side > 0 for side in shape):
        yield f"the latents of {width}×{height} are {shape}"
        return
    inputs = given(subject, variant, ["a star"], size=(width, height))
    if (out := predicted(subject.model(variant), inputs)).shape != (1, *shape):
        yield f"the prediction for {width}×{height} is {tuple(out.shape)}"
    if (pixels := subject.model(variant).decode(normal(1, *shape))).shape != (1, 3, height, width):
        yield f"the picture of {width}×{height} is {tuple(pixels.shape)}"


def _refusal_faults(checkpoint: Checkpoint, width: int, height: int) -> Iterator[str]:
    try:
        shape = checkpoint.latent_shape(width, height)
    except OptionError as error:
        if not error.remedy:
            yield f"{width}×{height} is refused without a remedy"
    except Exception as error:
        yield f"{width}×{height}: {type(error).__name__} in place of an OptionError"
    else:
        yield f"{width}×{height} is taken, as {shape}"


def report(subject: FamilySubject) -> Iterator[CheckResult]:
    """Loading accounts for every tensor, and the networks are ready: in evaluation mode, without gradients, in place.

    Troubleshooting: count in ``LoadReport`` the tensors of the networks; ``network.eval().requires_grad_(False)``; what
    stays on ``meta`` was in no file.
    """
    for variant in subject.variants:
        faults = _report_faults(subject.model(variant))
        yield summed("report", "all tensors, ready to run", faults, case=variant.name)


def _report_faults(model: Model) -> Iterator[str]:
    total = sum(len(network.state_dict()) for network in model.networks.values())
    if model.report.used != total:
        yield f"{model.report.used} tensors are reported, and the networks have {total}"
    if model.report.missing or model.report.unexpected:
        yield f"missing {model.report.missing[:2]}, unexpected {model.report.unexpected[:2]}"
    for part, network in model.networks.items():
        if network.training:
            yield f"{part} is in training mode"
        if any(parameter.requires_grad for parameter in network.parameters()):
            yield f"{part} takes gradients"
        if any(tensor.is_meta for tensor in network.state_dict().values()):
            yield f"{part} has tensors without values"


def weights(subject: FamilySubject) -> Iterator[CheckResult]:
    """Every tensor comes from the files: loaded again it is the same, and with their bytes changed it is another.

    Troubleshooting: networks that are built but not filled have random weights, which no error shows; the same goes for
    values that the code sets itself.
    """
    for variant in subject.variants:
        path = subject.files[variant.name].path
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            _linked(path, copy)
            for file in [copy] if copy.is_file() else list(copy.rglob("*")):
                if file.suffix in (".safetensors", ".sft"):
                    _change(file)
            other = subject.open(ModelFiles(copy), variant.name).load(CPU, torch.float32)
        model, again = subject.model(variant), subject.loaded(variant)
        total, own = sum(len(network.state_dict()) for network in model.networks.values()), list(_same(model, other))
        faults = [f"{len(own)} tensors are not from the files, e.g. {name}" for name in own[:1]]
        faults += ["loaded again, they are others"] * (len(list(_same(model, again))) < total)
        yield summed("weights", "the files' values", faults, case=variant.name)


def _change(file: Path) -> None:
    """Other values in all tensors of a safetensors file, which may share its disk space with another."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    file.unlink()
    file.write_bytes(content[:start] + bytes(byte ^ 1 for byte in content[start:]))


def _same(a: Model, b: Model) -> Iterator[str]:
    for part, network in a.networks.items():
        others = b.networks[part].state_dict()
        for name, tensor in network.state_dict().items():
            if torch.equal(tensor, others[name]):
                yield f"{part}.{name}"


def damage(subject: FamilySubject) -> Iterator[CheckResult]:
    """Each file of weights that is missing or cut short, and each configuration that is damaged, is one clear error.

    Troubleshooting: raise ``latentry.ModelError`` that names the file, with a remedy; a half-loaded model is a picture
    of noise.
    """
    spoil: dict[str, Callable[[Path], object]] = {"cut short": _cut, "missing": Path.unlink}
    for variant in subject.variants:
        path = subject.files[variant.name].path
        inside = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for how, break_ in spoil.items():
            faults = (
                f"{file.name} {how}: {fault}"
                for file in inside
                if file.suffix in WEIGHTS and (fault := _survives(subject, variant, file, break_))
            )
            yield summed("damage", f"weights {how}: a ModelError", faults, case=variant.name)
        faults = (
            f"{file.name}: {fault}"
            for file in inside
            if file.suffix == ".json"
            and "config" in file.name
            and "tokenizer" not in file.name
            and "generation" not in file.name
            and (fault := _survives(subject, variant, file, lambda each: each.write_text("{", encoding="utf-8")))
        )
        if any(file.suffix == ".json" for file in inside):
            yield summed("damage", "a configuration that is not JSON: a ModelError", faults, case=variant.name)


def _cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])


def _survives(subject: FamilySubject, variant: VariantSpec, file: Path, break_: Callable[[Path], object]) -> str:
    """What is wrong with how a model with one spoilt file ends; empty where nothing is."""
    path = subject.files[variant.name].path
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        _linked(path, copy)
        spoilt = copy if path.is_file() else copy / file.relative_to(path)
        _own(spoilt)
        break_(spoilt)
        try:
            subject.open(ModelFiles(copy), variant.name).load(CPU, torch.float32)
        except (ModelError, IncompatibleError) as error:
            return "" if error.remedy else "an error without a remedy"
        except LatentryError as error:
            return f"{type(error).__name__} in place of a ModelError"
        except Exception as error:
            return f"{type(error).__name__}: {error}".splitlines()[0][:80]
    return "it loads all the same"


def _own(file: Path) -> None:
    """Parts a file from the one that it shares its disk space with."""
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)


def _linked(path: Path, copy: Path) -> None:
    """A copy that shares its files where the disk can."""
    if path.is_file():
        shutil.copyfile(path, copy)
        return
    shutil.copytree(path, copy, copy_function=_link)


def _link(source: str, target: str) -> Any:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
    return target
