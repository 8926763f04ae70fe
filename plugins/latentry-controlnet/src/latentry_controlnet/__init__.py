"""ControlNets for Stable Diffusion, SDXL, SD3 and FLUX.1: what they are. ``checkpoint.py`` opens them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ConditionerSpec, hookimpl


@hookimpl
def latentry_conditioners() -> Iterable[ConditionerSpec]:
    """The one kind of this distribution."""
    yield ConditionerSpec(
        name="controlnet",
        target="latentry_controlnet.checkpoint:open_conditioner",
        detector="latentry_controlnet.detect:detect",
        summary="ControlNets, also Union ones, for Stable Diffusion 1.x and 2.x, SDXL, SD3 and FLUX.1",
        citation="Zhang et al. 2023, Adding Conditional Control to Text-to-Image Diffusion Models, arXiv:2302.05543",
        families=("latentry-sd:sd", "latentry-sdxl:sdxl", "latentry-sd3:sd3", "latentry-flux:flux"),
        options="latentry_controlnet.options:ControlNetOptions",
    )
