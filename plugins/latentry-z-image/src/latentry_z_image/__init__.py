"""Z-Image: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import GuidanceSpec, ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-euler:euler",)
_CITATION = "Z-Image Team 2025, Z-Image: An Efficient Image Generation Foundation Model, arXiv:2511.22699"


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="z-image",
        aliases=("zimage",),
        target="latentry_z_image.checkpoint:open_checkpoint",
        detector="latentry_z_image.detect:detect",
        converter="latentry_z_image.release:convert",
        summary="Z-Image: the foundation model and Turbo",
        citation=_CITATION,
        process="flow",
        step_caches=frozenset({"first-block", "taylor"}),
        variants=(
            VariantSpec(
                name="turbo",
                summary="Z-Image Turbo: distilled to 8 steps without guidance",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=8,
                guidance=1.0,
                guidance_kind="none",
            ),
            VariantSpec(
                name="base",
                summary="Z-Image: the foundation model, with classifier-free guidance",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=50,
                guidance=5.0,
            ),
        ),
    )


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """Guidance as Z-Image's authors limit it; nothing in it is particular to their network."""
    yield GuidanceSpec(
        name="norm-limited",
        target="latentry_z_image.guidance:NormLimited",
        summary="plain guidance whose result is not longer than the output with the prompt, until a time of the run",
        citation=_CITATION,
    )
