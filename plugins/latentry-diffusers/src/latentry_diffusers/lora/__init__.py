"""LoRA and related adapters (DoRA, LoHa, LoKr, OFT): read from files in the common layouts and applied to a model.

PEFT is not used: it wraps each layer in another one, which renames the network's tensors and hides a layer's type, and
it removes a merged change by subtracting it, which leaves rounding errors in the weights.

May use: ``files``, ``layouts``, ``recognise``, ``bundle``, ``loading``.
"""

from __future__ import annotations

from latentry_diffusers.lora._adapters import Adapters, match_loras

__all__ = ["Adapters", "match_loras"]
