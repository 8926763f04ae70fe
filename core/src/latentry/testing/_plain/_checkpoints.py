"""Conformance of installed models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from latentry._contract._model import Checkpoint
from latentry._errors import LatentryError
from latentry._files._formats import PICKLES
from latentry._files._recognise import claims
from latentry._files._safety import check_weights
from latentry._generate._engine import Engine
from latentry._request._generation_request import GenerationRequest
from latentry._specs import CheckpointSpec, ModelFiles
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import licence_faults, listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult

CheckpointSubject = PlainSubject[CheckpointSpec]
Check = Callable[[CheckpointSubject], Iterable[CheckResult]]
CPU = torch.device("cpu")


def spec(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and its family and variant are installed.

    Troubleshooting: ``family`` is written ``distribution:name``, ``variant`` is one of its variants, ``licence`` an
    SPDX identifier such as ``Apache-2.0``.
    """
    yield summed("spec", "a sane record", _record_faults(subject))


def _record_faults(subject: CheckpointSubject) -> Iterator[str]:
    record, families = subject.spec, subject.host.families
    yield from record_faults(record, CHECKS)
    yield from licence_faults(record.licence)
    if record.size < 1:
        yield f"the size is {record.size}"
    if record.family not in families:
        yield f"the family {record.family} is not installed"
    elif record.variant not in (known := [variant.name for variant in families[record.family].variants]):
        yield f"the variant is {record.variant!r}, and the family has {', '.join(known)}"


def listing(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: the target only says where the files are.
    """
    yield from listing_of(subject)


def files(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """The target names files that are here, the same each time; they are complete, and none is a pickle or code.

    Troubleshooting: return ``Path(__file__).parent / "weights"``, and have the build include the weights in the wheel.
    """
    yield summed("files", "whole and safe", _file_faults(subject))


def _file_faults(subject: CheckpointSubject) -> Iterator[str]:
    path = Path(subject.target())
    if not path.exists():
        yield f"there is no {path}"
        return
    if Path(subject.target()) != path:
        yield "another path the second time"
    inside = [path] if path.is_file() else list(path.rglob("*"))
    yield from (f"{file.name} is a pickle" for file in inside if file.suffix in PICKLES)
    if path.is_dir():
        yield from (f"{file.name} is code" for file in inside if file.suffix in (".py", ".so"))
    try:
        check_weights(path)
    except LatentryError as error:
        yield error.what


def recognised(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """Its family recognises the files as the variant that the record declares, before every other family.

    Troubleshooting: a model is recognised by configurations and headers; compare ``latentry inspect PATH``.
    """
    found = claims(subject.host, ModelFiles(Path(subject.target())))
    best = found[0] if found else None
    measured = "by no family" if best is None else f"{best.family}: {', '.join(best.detection.variants)}"
    right = best is not None and best.family == subject.host.families.qualified(subject.spec.family)
    right = right and best is not None and subject.spec.variant in best.detection.variants
    declared = f"{subject.spec.family}: {subject.spec.variant}"
    yield CheckResult(check="recognised", declared=declared, measured=measured, passed=right)


def size(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """It can draw the size that the record declares.

    Troubleshooting: ``size`` is in pixels, and ``Checkpoint.latent_shape`` must accept it.
    """
    shape = _opened(subject).latent_shape(subject.spec.size, subject.spec.size)
    yield summed("size", f"draws {subject.spec.size} pixels", [] if min(shape) > 0 else [f"its latents are {shape}"])


def report(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """Every tensor of the files is loaded, and none is missing.

    Troubleshooting: leave out of the files what no network has, such as an optimiser's state.
    """
    found = _opened(subject).load(CPU, torch.float32).report
    left = {"missing": found.missing, "unexpected": found.unexpected}
    faults = (f"{len(names)} {what}, e.g. {names[0]}" for what, names in left.items() if names)
    yield summed("report", "every tensor", faults)


def draws(subject: CheckpointSubject) -> Iterator[CheckResult]:
    """It draws pictures of its size that are finite and not all one grey, the same for the same seed.

    Troubleshooting: ``latentry generate "…" --model NAME --steps 2`` is what is run here.
    """
    engine, side = Engine(subject.host), subject.spec.size
    first, again, other = (_drawn(engine, subject, seed) for seed in (1, 1, 2))
    faults = [f"{first.size[0]}×{first.size[1]} pixels"] * (first.size != (side, side))
    faults += ["one colour"] * bool(np.ptp(np.asarray(first), axis=(0, 1)).max() == 0)
    faults += ["another picture for the same seed"] * (first.tobytes() != again.tobytes())
    faults += ["the same picture for another seed"] * (first.tobytes() == other.tobytes())
    yield summed("draws", f"{side}×{side} pixels by its seed", faults)


def _drawn(engine: Engine, subject: CheckpointSubject, seed: int) -> Image.Image:
    """The picture of two steps; of a network for inpainting, the middle of a grey one."""
    model, size = subject.installed or str(Path(subject.target())), subject.spec.size
    variants = subject.host.families[subject.spec.family].variants
    tasks = next(variant.tasks for variant in variants if variant.name == subject.spec.variant)
    request = GenerationRequest(
        prompt="a red circle", model=model, seed=seed, steps=2, width=size, height=size, device="cpu"
    )
    if "text-to-image" in tasks:
        return engine.generate(request).images[0]
    mask = Image.new("L", (size, size))
    mask.paste(255, (size // 4, size // 4, 3 * size // 4, 3 * size // 4))
    return engine.generate(request, init_image=Image.new("RGB", (size, size), "grey"), mask=mask).images[0]


def _opened(subject: CheckpointSubject) -> Checkpoint:
    open_checkpoint = subject.host.families.load(subject.spec.family)
    checkpoint: Checkpoint = open_checkpoint(ModelFiles(Path(subject.target())), subject.spec.variant)
    return checkpoint


_ALL: tuple[Check, ...] = (spec, listing, files, recognised, size, report, draws)
CHECKS: Checks[CheckpointSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class CheckpointSuite(Suite, checks=CHECKS):
    """The checks of an installed model as tests: ``class TestMine(CheckpointSuite): checkpoint = "mine"``.

    Class attributes:
        checkpoint: a name that is installed, or a ``CheckpointSpec``.
    """

    RECORD = "CheckpointSpec"
    checkpoint: ClassVar[str | CheckpointSpec]

    @classmethod
    def _resolved(cls) -> CheckpointSubject:
        return PlainSubject.of(cls.checkpoint, CheckpointSpec)
