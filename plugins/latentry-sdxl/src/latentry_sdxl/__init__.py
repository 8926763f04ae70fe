"""Stable Diffusion XL: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-dpmpp:dpmpp-2m", "latentry-euler-ancestral:euler-ancestral")
_INPAINTING = ("latentry-ddpm:ddpm", "latentry-ddim:ddim")


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="sdxl",
        aliases=("stable-diffusion-xl",),
        target="latentry_sdxl.checkpoint:open_checkpoint",
        detector="latentry_sdxl.detect:detect",
        converter="latentry_sdxl.release:convert",
        summary="Stable Diffusion XL: base, refiner, inpainting and Turbo",
        citation="Podell et al. 2023, SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis, "
        "arXiv:2307.01952",
        process="vp",
        conditioning="latentry_sdxl.micro:MicroConditioning",
        branches=frozenset({"perturbed-attention", "smoothed-attention"}),
        injection_points=("down.*", "mid", "adapter.*", "cross.*.key.*", "cross.*.value.*", "cross.mask.*"),
        step_caches=frozenset({"deep"}),
        variants=(
            VariantSpec(
                name="base",
                summary="SDXL base: CLIP-L and OpenCLIP-G, takes the picture's size and crop",
                schedulers=_SCHEDULERS,
                tasks=("text-to-image", "image-to-image"),
                size=1024,
                guidance=5.0,
            ),
            VariantSpec(
                name="refiner",
                summary="SDXL refiner: OpenCLIP-G, takes an aesthetic score; for the last steps",
                schedulers=_SCHEDULERS,
                tasks=("image-to-image",),
                size=1024,
                guidance=5.0,
            ),
            VariantSpec(
                name="inpainting",
                summary="SDXL inpainting: also takes the mask and the picture around it",
                schedulers=_INPAINTING,
                tasks=("inpainting",),
                size=1024,
                guidance=7.5,
            ),
            VariantSpec(
                name="turbo",
                summary="SDXL Turbo: distilled to 1 to 4 steps without guidance",
                schedulers=("latentry-euler-ancestral:euler-ancestral",),
                tasks=("text-to-image", "image-to-image"),
                size=512,
                steps=4,
                guidance=1.0,
                guidance_kind="none",
                on_grid=True,
            ),
        ),
    )
