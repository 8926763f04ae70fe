"""The task of a request: text to image, image to image, or inpainting."""

from __future__ import annotations

from collections.abc import Mapping

from latentry._errors import IncompatibleError, OptionError
from latentry._specs import Task, VariantSpec

DEFAULT_STRENGTH: Mapping[Task, float] = {"image-to-image": 0.75, "inpainting": 1.0}
"""Where the request gives none."""

_INPUTS: Mapping[Task, str] = {
    "text-to-image": "without a picture",
    "image-to-image": "with a picture and no mask",
    "inpainting": "with a picture and a mask",
}


def choose_task(variant: VariantSpec, *, image: bool, mask: bool) -> Task:
    """The task that follows from the given pictures.

    Raises:
        OptionError: a mask without a picture.
        IncompatibleError: the variant's network is for other tasks.
    """
    if mask and not image:
        raise OptionError(
            "A mask was given without a picture.", remedy="Give the picture that it belongs to.", field="init_image"
        )
    task: Task = "inpainting" if mask else "image-to-image" if image else "text-to-image"
    # any network that draws from a picture can inpaint: what the mask keeps is blended in between the steps
    if task in variant.tasks or (task == "inpainting" and "image-to-image" in variant.tasks):
        return task
    raise IncompatibleError(
        f"{variant.name} cannot be used for {task}.",
        why=f"Its network is for {' and '.join(variant.tasks)}.",
        remedy=f"Use it {' or '.join(_INPUTS[each] for each in variant.tasks)}, or choose another model.",
        field="init_image" if task == "text-to-image" or "inpainting" not in variant.tasks else "mask",
    )


def check_references(variant: VariantSpec, count: int) -> None:
    """Refuses more pictures beside the prompt than the network can be shown, and fewer than it needs.

    Raises:
        IncompatibleError: says how many it takes.
        OptionError: says how many it needs.
    """
    if count < variant.least_references:
        raise OptionError(
            f"{variant.name} needs a reference picture, and none was given.",
            why=f"It is {variant.summary}.",
            remedy="Give the picture that it draws from.",
            field="references",
        )
    if count > variant.references:
        raise IncompatibleError(
            f"{variant.name} cannot be shown {count} reference picture{'s' if count > 1 else ''}.",
            why=f"It takes up to {variant.references}." if variant.references else "Its network takes none.",
            remedy="Give fewer." if variant.references else "Leave them out, or begin from a picture (init_image).",
            field="references",
        )


def choose_strength(task: Task, strength: float | None) -> float | None:
    """The strength of a task, None where it has none.

    Raises:
        OptionError: a strength without a picture.
    """
    if task == "text-to-image" and strength is not None:
        raise OptionError(
            "A strength was given without a picture to begin from.",
            remedy="Give a picture, or leave the strength out.",
            field="strength",
        )
    return DEFAULT_STRENGTH.get(task) if strength is None else strength
