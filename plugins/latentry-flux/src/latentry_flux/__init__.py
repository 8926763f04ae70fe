"""FLUX.1: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-euler:euler", "latentry-euler-ancestral:euler-ancestral")


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="flux",
        aliases=("flux1",),
        target="latentry_flux.checkpoint:open_checkpoint",
        detector="latentry_flux.detect:detect",
        converter="latentry_flux.release:convert",
        summary="FLUX.1: dev, schnell, Fill, Canny and Depth",
        citation="Black Forest Labs 2024, FLUX.1; Esser et al. 2024, arXiv:2403.03206",
        process="flow",
        branches=frozenset({"perturbed-attention", "smoothed-attention"}),
        injection_points=("double.*", "single.*", "cross.*.key.*", "cross.*.value.*", "cross.mask.*"),
        step_caches=frozenset({"first-block", "taylor"}),
        variants=(
            VariantSpec(
                name="dev",
                summary="FLUX.1 dev: distilled to take the guidance scale as an input",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=28,
                guidance=3.5,
                guidance_kind="distilled",
            ),
            VariantSpec(
                name="schnell",
                summary="FLUX.1 schnell: distilled to 1 to 4 steps without guidance",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=4,
                guidance=1.0,
                guidance_kind="none",
                on_grid=True,
            ),
            VariantSpec(
                name="fill",
                summary="FLUX.1 Fill: dev that also takes the mask and the picture around it",
                schedulers=_SCHEDULERS,
                tasks=("inpainting",),
                size=1024,
                steps=50,
                guidance=30.0,
                guidance_kind="distilled",
            ),
            *(
                VariantSpec(
                    name=name,
                    summary=f"FLUX.1 {name.title()}: dev that also takes a picture of {shown}",
                    schedulers=_SCHEDULERS,
                    size=1024,
                    steps=50 if name == "canny" else 30,
                    guidance=guidance,
                    guidance_kind="distilled",
                    references=1,
                    least_references=1,
                )
                for name, shown, guidance in (("canny", "edges", 30.0), ("depth", "depth", 10.0))
            ),
        ),
    )
