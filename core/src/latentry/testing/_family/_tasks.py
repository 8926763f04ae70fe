"""Checks with the engine: the tasks that a variant declares, and what saves memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import Tensor

from latentry._errors import LatentryError
from latentry._generate._engine import Engine
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._result import GenerationResult
from latentry._specs import Task, VariantSpec
from latentry.testing._family._inputs import PROMPTS
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult, not_run


def tasks(subject: FamilySubject) -> Iterator[CheckResult]:
    """Pictures come of every task that a variant declares, the same for the same seed; other tasks are refused.

    Troubleshooting: ``tasks`` in the record says what the network can be asked for: ``inpainting`` only for one that is
    shown the mask, by ``Model.inpainting``.
    """
    if not subject.installed:
        yield not_run("tasks", "no plugin registers it")
        return
    for variant in subject.variants:
        engine = Engine(subject.host)
        for task in ("text-to-image", "image-to-image", "inpainting"):
            faults = _task_faults(engine, subject, variant, task)
            yield summed("tasks", task, faults, case=variant.name)


def _task_faults(engine: Engine, subject: FamilySubject, variant: VariantSpec, task: Task) -> Iterator[str]:
    try:
        first = _draw(engine, subject, variant, task)
    except LatentryError as error:
        if _is_declared(variant, task):
            yield error.what
        return
    if not _is_declared(variant, task):
        yield "it is not declared, and not refused"
        return
    side = subject.side(variant)
    if [picture.size for picture in first.images] != [(side, side)] * len(PROMPTS):
        yield f"the pictures have {first.images[0].size} pixels"
    again = _draw(engine, subject, variant, task)
    if not torch.equal(first.latents, again.latents):
        yield "the same seed gives other latents"
    if torch.equal(first.latents[0], first.latents[1]):
        yield "both prompts give one picture"
    if torch.equal(first.latents, _draw(engine, subject, variant, task, seed=1).latents):
        yield "another seed gives the same latents"


def _is_declared(variant: VariantSpec, task: Task) -> bool:
    return task in variant.tasks or (task == "inpainting" and "image-to-image" in variant.tasks)


def offload(subject: FamilySubject) -> Iterator[CheckResult]:
    """With weights that wait elsewhere, as a whole or block by block, the picture is the same, bit for bit.

    Troubleshooting: find the device of a tensor when it is used, and keep no copies of weights in ``self``; what is
    read from a weight outside its module's ``forward`` is not on the device then.
    """
    if not subject.installed:
        yield not_run("offload", "no plugin registers it")
        return
    for variant in subject.variants:
        task = variant.tasks[0]
        plain = _draw(Engine(subject.host), subject, variant, task).latents
        for policy in ("model", "blocks"):
            engine = Engine(subject.host, MemoryPolicy(offload=policy), move=_copied)
            found = [_draw(engine, subject, variant, task).latents for _ in range(2)]
            faults = ["the latents are other ones"] * (not all(torch.equal(each, plain) for each in found))
            yield summed("offload", policy, faults, case=variant.name)


def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy that lies in memory as the tensor does: in what order kernels of the CPU sum depends on that."""
    line = 64
    room = torch.empty(tensor.nbytes + line, dtype=torch.uint8)
    start = (tensor.data_ptr() - room.data_ptr()) % line
    flat = room[start : start + tensor.nbytes].view(tensor.dtype)
    return flat.view(tensor.shape).copy_(tensor)


def _draw(engine: Engine, subject: FamilySubject, variant: VariantSpec, task: Task, seed: int = 0) -> GenerationResult:
    side = subject.side(variant)
    picture = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    mask = Image.new("L", (side, side))
    mask.paste(255, (0, 0, side // 2, side))
    with _references(variant, picture) as references:
        request = GenerationRequest(
            prompt=list(PROMPTS),
            model=str(subject.files[variant.name].path),
            variant=variant.name,
            references=references,
            seed=seed,
            steps=2,
            width=side,
            height=side,
            device="cpu",
            dtype="float32",
        )
        return engine.generate(
            request,
            init_image=None if task == "text-to-image" else picture,
            mask=mask if task == "inpainting" else None,
        )


@contextmanager
def _references(variant: VariantSpec, picture: Image.Image) -> Iterator[tuple[str, ...]]:
    """Files of as many pictures as the network cannot do without."""
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.png" for number in range(variant.least_references)]
        for number, file in enumerate(files):
            picture.rotate(90 * number).save(file)
        yield tuple(map(str, files))
