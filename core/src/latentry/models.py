"""What a model family implements, is given and may call.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._contract._conditioning import Conditioning, PromptSettings
    from latentry._contract._conversion import Conversion
    from latentry._contract._emphasis import parse_emphasis
    from latentry._contract._lora import LoraMatch
    from latentry._contract._model import Checkpoint, LoadReport, Model
    from latentry._contract._noise_settings import NoiseSettings, flow_settings, variance_preserving_settings
    from latentry._files._fingerprint import fingerprint
    from latentry._memory._offload import offloaded
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Conditioning": "_contract._conditioning",
            "PromptSettings": "_contract._conditioning",
            "Conversion": "_contract._conversion",
            "parse_emphasis": "_contract._emphasis",
            "LoraMatch": "_contract._lora",
            "Checkpoint": "_contract._model",
            "LoadReport": "_contract._model",
            "Model": "_contract._model",
            "NoiseSettings": "_contract._noise_settings",
            "flow_settings": "_contract._noise_settings",
            "variance_preserving_settings": "_contract._noise_settings",
            "fingerprint": "_files._fingerprint",
            "offloaded": "_memory._offload",
        },
    )

__all__ = [
    "Checkpoint",
    "Conditioning",
    "Conversion",
    "LoadReport",
    "LoraMatch",
    "Model",
    "NoiseSettings",
    "PromptSettings",
    "fingerprint",
    "flow_settings",
    "offloaded",
    "parse_emphasis",
    "variance_preserving_settings",
]
