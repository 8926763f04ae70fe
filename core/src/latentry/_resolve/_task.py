"""What a request comes to: drawing from noise alone, from a picture, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping

from latentry._errors import IncompatibleError, OptionError
from latentry._specs import Task, VariantSpec

STRENGTH: Mapping[Task, float] = {"image-to-image": 0.75, "inpainting": 1.0}
"""Where the request gives none."""

_TAKES: Mapping[Task, str] = {
    "text-to-image": "--init-image and --mask left out",
    "image-to-image": "--init-image without --mask",
    "inpainting": "--init-image and --mask",
}


def choose_task(variant: VariantSpec, *, image: bool, mask: bool) -> Task:
    """The task that follows from the pictures that are there.

    Raises:
        OptionError: a mask without a picture.
        IncompatibleError: the variant's network is for other tasks.
    """
    if mask and not image:
        raise OptionError("There is a mask, but no picture that it belongs to.", remedy="Give --init-image as well.")
    task: Task = "inpainting" if mask else "image-to-image" if image else "text-to-image"
    if task in variant.tasks or (task == "inpainting" and "image-to-image" in variant.tasks):
        return task
    raise IncompatibleError(
        f"{variant.name} cannot be used for {task}.",
        why=f"Its network is for {' and '.join(variant.tasks)}.",
        remedy=f"Use it with {' or with '.join(_TAKES[each] for each in variant.tasks)}, or choose another model.",
    )


def choose_strength(task: Task, asked: float | None) -> float | None:
    """The strength of a task, None where it has none.

    Raises:
        OptionError: there is nothing it could be the strength of.
    """
    if task == "text-to-image" and asked is not None:
        raise OptionError(
            "There is a strength, but no picture to begin from.", remedy="Give --init-image, or leave --strength out."
        )
    return STRENGTH.get(task) if asked is None else asked
