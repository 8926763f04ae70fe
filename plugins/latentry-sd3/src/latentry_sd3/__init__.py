"""Stable Diffusion 3 and 3.5: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-euler:euler",)


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="sd3",
        aliases=("stable-diffusion-3",),
        target="latentry_sd3.checkpoint:open_checkpoint",
        detector="latentry_sd3.detect:detect",
        converter="latentry_sd3.release:convert",
        summary="Stable Diffusion 3 and 3.5: Medium, Large and Large Turbo",
        citation="Esser et al. 2024, Scaling Rectified Flow Transformers for High-Resolution Image Synthesis, "
        "arXiv:2403.03206",
        optional_parts=("text_encoder_3",),
        process="flow",
        conditioning="latentry_diffusers.text.clip_skip:ClipConditioning",
        branches=frozenset({"perturbed-attention", "smoothed-attention"}),
        injection_points=(
            "block.*",
            *(f"joint.*.{part}.*" for part in ("key", "value", "query-norm", "key-norm")),
            "joint.weight.*",
        ),
        step_caches=frozenset({"first-block", "taylor"}),
        variants=(
            VariantSpec(
                name="sd35-medium",
                summary="Stable Diffusion 3.5 Medium: normalised queries and keys, a second attention in some layers",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=40,
                guidance=4.5,
                skip_layers=True,
            ),
            VariantSpec(
                name="sd35-large",
                summary="Stable Diffusion 3.5 Large: normalised queries and keys, 38 layers",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=28,
                guidance=3.5,
                skip_layers=True,
            ),
            VariantSpec(
                name="sd35-large-turbo",
                summary="Stable Diffusion 3.5 Large, distilled to 4 steps without guidance",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=4,
                guidance=1.0,
                guidance_kind="none",
                on_grid=True,
            ),
            VariantSpec(
                name="sd3-medium",
                summary="Stable Diffusion 3 Medium: plain queries and keys",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=28,
                guidance=7.0,
                skip_layers=True,
            ),
        ),
    )
