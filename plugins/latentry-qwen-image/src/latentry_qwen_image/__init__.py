"""Qwen-Image: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import GuidanceSpec, ModelFamilySpec, SigmaScheduleSpec, VariantSpec, hookimpl

_CITATION = "Wu et al. 2025, Qwen-Image Technical Report, arXiv:2508.02324"


def _variant(name: str, summary: str, size: int, *, references: int = 0) -> VariantSpec:
    """What all of them have in common."""
    return VariantSpec(
        name=name,
        summary=summary,
        schedulers=("latentry-euler:euler",),
        size=size,
        steps=50,
        guidance=4.0,
        guidance_method="latentry-qwen-image:norm-restored",
        references=references,
    )


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="qwen-image",
        aliases=("qwenimage",),
        target="latentry_qwen_image.checkpoint:open_checkpoint",
        detector="latentry_qwen_image.detect:detect",
        summary="Qwen-Image and Qwen-Image-Edit",
        citation=_CITATION,
        process="flow",
        step_caches=frozenset({"first-block", "taylor"}),
        variants=(
            _variant("image", "Qwen-Image: draws from a prompt, with classifier-free guidance", 1328),
            _variant("edit", "Qwen-Image-Edit: changes a picture as the prompt says", 1024, references=1),
            _variant("edit-plus", "Qwen-Image-Edit 2509 and later: changes and joins pictures", 1024, references=3),
        ),
    )


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """Guidance as Qwen-Image's authors apply it; nothing in it is particular to their network."""
    yield GuidanceSpec(
        name="norm-restored",
        target="latentry_qwen_image.guidance:NormRestored",
        summary="plain guidance whose result is as long as the output with the prompt, token by token",
        citation=_CITATION,
    )


@hookimpl
def latentry_sigma_schedules() -> Iterable[SigmaScheduleSpec]:
    """The grid that the checkpoint's configuration asks for."""
    yield SigmaScheduleSpec(
        name="stretched",
        target="latentry_qwen_image.stretched:Stretched",
        summary="a trailing grid whose last step begins at a given level",
        citation=_CITATION,
        processes=frozenset({"flow"}),
        variant="diffusers' shift_terminal",
        exemptions=(("shift", "the grid is stretched after the shift, so that its last level stays"),),
    )
