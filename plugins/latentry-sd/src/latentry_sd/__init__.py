"""Stable Diffusion 1.5 and 2: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-ddim:ddim", "latentry-euler:euler", "latentry-ddpm:ddpm")
_INPAINTING = ("latentry-ddpm:ddpm", "latentry-ddim:ddim")


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="sd",
        aliases=("stable-diffusion",),
        target="latentry_sd.checkpoint:open_checkpoint",
        detector="latentry_sd.detect:detect",
        converter="latentry_sd.release:convert",
        summary="Stable Diffusion 1.5 and 2.1, their inpainting networks, SD Turbo",
        citation="Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models, arXiv:2112.10752",
        process="vp",
        conditioning="latentry_diffusers.text.clip_skip:ClipConditioning",
        branches=frozenset({"perturbed-attention", "smoothed-attention"}),
        injection_points=("down.*", "mid", "adapter.*", "cross.*.key.*", "cross.*.value.*", "cross.mask.*"),
        step_caches=frozenset({"deep"}),
        variants=(
            VariantSpec(
                name="sd15",
                summary="Stable Diffusion 1.x: CLIP-L, noise prediction",
                schedulers=_SCHEDULERS,
                size=512,
                guidance=7.5,
            ),
            VariantSpec(
                name="sd15-inpainting",
                summary="Stable Diffusion 1.x inpainting: also takes the mask and the picture around it",
                schedulers=_INPAINTING,
                tasks=("inpainting",),
                size=512,
                guidance=7.5,
            ),
            VariantSpec(
                name="sd21-base",
                summary="Stable Diffusion 2.x base: OpenCLIP-H, noise prediction",
                schedulers=_SCHEDULERS,
                size=512,
                guidance=7.5,
            ),
            VariantSpec(
                name="sd21",
                summary="Stable Diffusion 2.x: OpenCLIP-H, v-prediction",
                schedulers=_SCHEDULERS,
                size=768,
                guidance=7.5,
            ),
            VariantSpec(
                name="sd2-inpainting",
                summary="Stable Diffusion 2 inpainting: OpenCLIP-H, also takes the mask and the picture around it",
                schedulers=_INPAINTING,
                tasks=("inpainting",),
                size=512,
                guidance=7.5,
            ),
            VariantSpec(
                name="sd-turbo",
                summary="SD Turbo: Stable Diffusion 2.1 distilled to 1 to 4 steps without guidance",
                schedulers=("latentry-euler-ancestral:euler-ancestral", "latentry-euler:euler"),
                size=512,
                steps=4,
                guidance=1.0,
                guidance_kind="none",
                on_grid=True,
            ),
        ),
    )
