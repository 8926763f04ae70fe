"""FLUX.2: what the family is. ``checkpoint.py`` opens its checkpoints, ``model.py`` runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ModelFamilySpec, VariantSpec, hookimpl

_SCHEDULERS = ("latentry-euler:euler",)
_REFERENCES = 10


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The one family of this distribution."""
    yield ModelFamilySpec(
        name="flux2",
        target="latentry_flux2.checkpoint:open_checkpoint",
        detector="latentry_flux2.detect:detect",
        converter="latentry_flux2.release:convert",
        summary="FLUX.2: dev, and klein in two sizes, distilled and base",
        citation="Black Forest Labs 2025, FLUX.2; Esser et al. 2024, arXiv:2403.03206",
        process="flow",
        step_caches=frozenset({"first-block", "taylor"}),
        branches=frozenset({"perturbed-attention"}),
        variants=(
            VariantSpec(
                name="dev",
                summary="FLUX.2 dev: distilled to take the guidance scale as an input",
                schedulers=_SCHEDULERS,
                size=1024,
                steps=50,
                guidance=4.0,
                guidance_kind="distilled",
                references=_REFERENCES,
            ),
            *(_klein(size, distilled=distilled) for size in ("4b", "9b") for distilled in (True, False)),
        ),
    )


def _klein(size: str, *, distilled: bool) -> VariantSpec:
    if distilled:
        return VariantSpec(
            name=f"klein-{size}",
            summary=f"FLUX.2 klein {size.upper()}: distilled to 4 steps without guidance",
            schedulers=_SCHEDULERS,
            size=1024,
            steps=4,
            guidance=1.0,
            guidance_kind="none",
            references=_REFERENCES,
            on_grid=True,
        )
    return VariantSpec(
        name=f"klein-base-{size}",
        summary=f"FLUX.2 klein {size.upper()} base: with classifier-free guidance",
        schedulers=_SCHEDULERS,
        size=1024,
        steps=50,
        guidance=4.0,
        references=_REFERENCES,
    )
