"""Low-rank changes of a model's layers (LoRA, Hu et al. 2021, arXiv:2106.09685), from files in the common layouts.

PEFT is not used: it wraps each layer in another, which renames the tensors of the network, hides the kind of the layer
from whoever looks for it, and takes a merged change off by subtraction, which leaves rounding behind.
"""

from __future__ import annotations

from latentry_diffusers.lora._adapters import Adapters, match_loras

__all__ = ["Adapters", "match_loras"]
