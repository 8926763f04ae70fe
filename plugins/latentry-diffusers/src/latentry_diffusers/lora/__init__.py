"""LoRA and related adapters (DoRA, LoHa, LoKr, OFT): read from files in the common layouts and applied to a model.

PEFT is not used: it wraps each layer in another one, which renames the network's tensors and hides a layer's type, and
it takes a merged change off by subtracting it, which leaves rounding errors in the weights.

``Adapters`` and ``match_loras`` need torch; ``identify_adapter`` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentry_diffusers.lora._keys import AdapterWords, identify_adapter

if TYPE_CHECKING:
    from latentry_diffusers.lora._adapters import Adapters, match_loras

__all__ = ["AdapterWords", "Adapters", "identify_adapter", "match_loras"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from latentry_diffusers.lora import _adapters

        return getattr(_adapters, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
