"""What a model family or a model source implements, is given and may call.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._bases._attention import AttentionSlot
    from latentry._bases._checkpoint import BaseCheckpoint
    from latentry._bases._header import SafetensorsHeader, safetensors_header
    from latentry._bases._lora_state import LoraState
    from latentry._bases._model import BaseModel
    from latentry._bases._peft import PeftScaling, value_for_layer
    from latentry._bases._weights import load_weights
    from latentry._contract._attention_change import AttentionChange, ChangesAttention
    from latentry._contract._caching._cached_pass import CachedPass, CacheMemory, CachePart
    from latentry._contract._caching._step_cache import StepCache
    from latentry._contract._conditioning import Conditioning, PromptSettings
    from latentry._contract._conversion import Conversion
    from latentry._contract._lora import LoraMatch
    from latentry._contract._model import (
        Checkpoint,
        ChecksConditioning,
        LoadReport,
        Model,
        Previews,
        ReadsConditioning,
        ShiftsBySteps,
        StatesGuidance,
        StoresWeights,
        VariesLoras,
        timestep_rows,
    )
    from latentry._contract._model_source import FetchOptions, ModelSource, Report, ResolvedPath
    from latentry._contract._noise_settings import NoiseSettings, flow_settings, variance_preserving_settings
    from latentry._contract._prompts._embedding import Embedding, TakesEmbeddings, split_at_names
    from latentry._contract._prompts._emphasis import parse_emphasis
    from latentry._contract._prompts._reference import Reference
    from latentry._files._finding._repository import model_files, undescribed_weights
    from latentry._files._fingerprint import fingerprint
    from latentry._files._formats import WEIGHT_SUFFIXES
    from latentry._memory._blocks import layers_in_blocks
    from latentry._memory._offload import offloaded
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "AttentionSlot": "_bases._attention",
            "BaseCheckpoint": "_bases._checkpoint",
            "BaseModel": "_bases._model",
            "LoraState": "_bases._lora_state",
            "PeftScaling": "_bases._peft",
            "value_for_layer": "_bases._peft",
            "SafetensorsHeader": "_bases._header",
            "load_weights": "_bases._weights",
            "safetensors_header": "_bases._header",
            "AttentionChange": "_contract._attention_change",
            "ChangesAttention": "_contract._attention_change",
            "CachedPass": "_contract._caching._cached_pass",
            "CacheMemory": "_contract._caching._cached_pass",
            "CachePart": "_contract._caching._cached_pass",
            "Conditioning": "_contract._conditioning",
            "PromptSettings": "_contract._conditioning",
            "Conversion": "_contract._conversion",
            "Embedding": "_contract._prompts._embedding",
            "TakesEmbeddings": "_contract._prompts._embedding",
            "split_at_names": "_contract._prompts._embedding",
            "parse_emphasis": "_contract._prompts._emphasis",
            "LoraMatch": "_contract._lora",
            "Checkpoint": "_contract._model",
            "ChecksConditioning": "_contract._model",
            "LoadReport": "_contract._model",
            "Model": "_contract._model",
            "Previews": "_contract._model",
            "ReadsConditioning": "_contract._model",
            "ShiftsBySteps": "_contract._model",
            "StatesGuidance": "_contract._model",
            "StoresWeights": "_contract._model",
            "VariesLoras": "_contract._model",
            "timestep_rows": "_contract._model",
            "FetchOptions": "_contract._model_source",
            "ModelSource": "_contract._model_source",
            "Report": "_contract._model_source",
            "ResolvedPath": "_contract._model_source",
            "Reference": "_contract._prompts._reference",
            "StepCache": "_contract._caching._step_cache",
            "NoiseSettings": "_contract._noise_settings",
            "flow_settings": "_contract._noise_settings",
            "variance_preserving_settings": "_contract._noise_settings",
            "fingerprint": "_files._fingerprint",
            "WEIGHT_SUFFIXES": "_files._formats",
            "model_files": "_files._finding._repository",
            "undescribed_weights": "_files._finding._repository",
            "layers_in_blocks": "_memory._blocks",
            "offloaded": "_memory._offload",
        },
    )

__all__ = [
    "WEIGHT_SUFFIXES",
    "AttentionChange",
    "AttentionSlot",
    "BaseCheckpoint",
    "BaseModel",
    "CacheMemory",
    "CachePart",
    "CachedPass",
    "ChangesAttention",
    "Checkpoint",
    "ChecksConditioning",
    "Conditioning",
    "Conversion",
    "Embedding",
    "FetchOptions",
    "LoadReport",
    "LoraMatch",
    "LoraState",
    "Model",
    "ModelSource",
    "NoiseSettings",
    "PeftScaling",
    "Previews",
    "PromptSettings",
    "ReadsConditioning",
    "Reference",
    "Report",
    "ResolvedPath",
    "SafetensorsHeader",
    "ShiftsBySteps",
    "StatesGuidance",
    "StepCache",
    "StoresWeights",
    "TakesEmbeddings",
    "VariesLoras",
    "fingerprint",
    "flow_settings",
    "layers_in_blocks",
    "load_weights",
    "model_files",
    "offloaded",
    "parse_emphasis",
    "safetensors_header",
    "split_at_names",
    "timestep_rows",
    "undescribed_weights",
    "value_for_layer",
    "variance_preserving_settings",
]
