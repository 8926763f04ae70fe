"""T2I-Adapters for Stable Diffusion and SDXL: what they are. ``adapter.py`` opens and runs them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ConditionerSpec, hookimpl


@hookimpl
def latentry_conditioners() -> Iterable[ConditionerSpec]:
    """The one kind of this distribution."""
    yield ConditionerSpec(
        name="t2i-adapter",
        target="latentry_t2i_adapter.checkpoint:open_conditioner",
        detector="latentry_t2i_adapter.checkpoint:detect",
        summary="T2I-Adapters for Stable Diffusion 1.x and 2.x and SDXL: evaluated once for a picture",
        citation="Mou et al. 2023, T2I-Adapter: Learning Adapters to Dig out More Controllable Ability, "
        "arXiv:2302.08453",
        families=("latentry-sd:sd", "latentry-sdxl:sdxl"),
        options="latentry_diffusers.conditioning.preprocessing:PictureOptions",
    )
