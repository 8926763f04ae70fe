"""IP-Adapters for Stable Diffusion, SDXL, SD3 and FLUX.1: what they are. ``checkpoint.py`` opens them."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ConditionerSpec, hookimpl


@hookimpl
def latentry_conditioners() -> Iterable[ConditionerSpec]:
    """The one kind of this distribution."""
    yield ConditionerSpec(
        name="ip-adapter",
        target="latentry_ip_adapter.checkpoint:open_conditioner",
        detector="latentry_ip_adapter.checkpoint:detect",
        summary="IP-Adapters for Stable Diffusion 1.x, SDXL, SD3 and FLUX.1: a picture as a prompt",
        citation="Ye et al. 2023, IP-Adapter: Text Compatible Image Prompt Adapter, arXiv:2308.06721",
        whole=True,
        own_mask=True,
        revision=2,
        families=("latentry-sd:sd", "latentry-sdxl:sdxl", "latentry-sd3:sd3", "latentry-flux:flux"),
    )
