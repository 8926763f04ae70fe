"""What a host asks for: one JSON-able record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from latentry._contract._lora import LoraMode, LoraRequest
from latentry._request._memory_policy import DtypeName, Tiling
from latentry._request._strength import StrengthMode
from latentry._specs import Final

Shares = tuple[float, float]
"""From where to where, in shares of the steps."""


class GenerationRequest(BaseModel):
    """A request for pictures. What is left None is decided by the checkpoint, the model variant or the scheduler."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    prompt: str | tuple[str, ...] = Field(description="one prompt, or several to draw in one go")
    negative: str = Field(default="", description="what the picture should not show")
    model: str | None = Field(
        default=None, description="folder or file of a checkpoint, name of an installed one, or owner/name of the hub"
    )
    variant: str | None = Field(default=None, description="variant, where the files cannot tell")
    revision: str | None = Field(default=None, description="branch, tag or commit of a model of the hub")
    offline: bool = Field(default=False, description="use what the hub's cache holds, and no network")
    vae: str | None = Field(default=None, description="autoencoder, in place of the model's own")
    text_encoders: tuple[str, ...] = Field(default=(), description="text encoders, in place of the model's own")
    tokenizer: str | None = Field(default=None, description="folder of the tokenizers, where the model holds none")
    config: str | None = Field(default=None, description="diffusers folder whose configurations describe the networks")
    scheduler: str | None = Field(default=None, description="sampler")
    scheduler_options: dict[str, Any] = Field(default_factory=dict, description="the sampler's own options")
    sigmas: str | tuple[float, ...] | None = Field(
        default=None, description="sigma schedule, or the levels themselves: σ/α on VP and EDM, σ on flow"
    )
    sigma_options: dict[str, Any] = Field(default_factory=dict, description="the sigma schedule's own options")
    final: Final | None = Field(default=None, description="end at σ = 0, or at the table's least noisy level")
    initial_noise: Literal["unit", "sigma"] = Field(default="unit", description="scale of the initial noise")
    steps: int | None = Field(default=None, ge=1, description="steps of the sampler")
    guidance: float | None = Field(default=None, ge=0.0, description="guidance scale; 1 is none")
    guidance_rescale: float = Field(
        default=0.0, ge=0.0, le=1.0, description="share brought back to the unguided spread"
    )
    guidance_interval: Shares = Field(
        default=(0.0, 1.0), description="from which to which share of the steps is guided"
    )
    skip_layers: tuple[int, ...] = Field(default=(), description="layers left out for skip-layer guidance, from 0")
    skip_layer_scale: float = Field(
        default=2.8, ge=0.0, allow_inf_nan=False, description="scale of skip-layer guidance"
    )
    skip_layer_interval: Shares = Field(
        default=(0.01, 0.2), description="from which to which share of the steps it holds"
    )
    conditioning: dict[str, Any] = Field(default_factory=dict, description="the model family's own options of prompts")
    refiner: str | None = Field(default=None, description="model that takes over for the last steps: as for model")
    switch: float = Field(
        default=0.8, gt=0.0, lt=1.0, description="share of the noise levels that come before the refiner's"
    )
    loras: tuple[LoraRequest, ...] = Field(default=(), description="LoRAs: files, each with a weight")
    lora_mode: LoraMode = Field(
        default="unmerged", description="compute LoRAs beside the layers, or merge them into the weights"
    )
    init_image: str | None = Field(default=None, description="file of the picture to begin from")
    mask: str | None = Field(default=None, description="file of a picture that is white where init_image is drawn anew")
    strength: float | None = Field(default=None, gt=0.0, le=1.0, description="how far from init_image; 1 is farthest")
    strength_mode: StrengthMode = Field(
        default="cut", description="cut the steps to that share, or take the full number"
    )
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="seed; drawn and recorded where it is not given")
    width: int | None = Field(default=None, ge=1, description="width in pixels")
    height: int | None = Field(default=None, ge=1, description="height in pixels")
    count: int = Field(default=1, ge=1, description="pictures of each prompt")
    batch: int = Field(default=4, ge=1, description="pictures that go through the network together")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="dtype of the networks"
    )
    dtypes: dict[str, DtypeName] | None = Field(default=None, description="dtypes of single parts, e.g. float32 of vae")
    without: tuple[str, ...] = Field(default=(), description="optional parts left out, e.g. text_encoder_3")
    vae_tiling: Tiling | None = Field(
        default=None,
        description="pictures go through the autoencoder in tiles: true, false, auto, or their side in pixels",
    )
    vae_slicing: bool | None = Field(
        default=None, description="pictures of a batch go through the autoencoder one by one"
    )
    attention: str = Field(
        default="auto",
        description="attention backends, by role where wanted: flash; flash,auto; joint=flash;vae=native",
    )
    attention_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="attention backends' own options, by name of the backend"
    )

    @model_validator(mode="before")
    @classmethod
    def _clip_skip_is_conditioning(cls, fields: Any) -> Any:
        """``clip_skip`` was a field of its own once: requests and recipes of that time are still read."""
        if not isinstance(fields, dict) or "clip_skip" not in fields:
            return fields
        kept = {name: value for name, value in fields.items() if name != "clip_skip"}
        if fields["clip_skip"] in (0, None):  # the old default, which every old recipe records
            return kept
        return {**kept, "conditioning": {"clip_skip": fields["clip_skip"], **(fields.get("conditioning") or {})}}

    @field_validator("prompt")
    @classmethod
    def _some_prompt(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(value, str) and not value:
            raise ValueError("give one prompt at least")
        return value

    @field_validator("guidance_interval", "skip_layer_interval")
    @classmethod
    def _within_the_run(cls, shares: Shares) -> Shares:
        if not 0.0 <= shares[0] < shares[1] <= 1.0:
            raise ValueError("give two shares of the steps, the smaller first, from 0 to 1")
        return shares

    @field_validator("skip_layers")
    @classmethod
    def _layers_from_nought(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if any(layer < 0 for layer in layers):
            raise ValueError("layers are counted from 0")
        return layers

    @field_validator("scheduler_options", "sigma_options")
    @classmethod
    def _with_infinities(cls, options: dict[str, Any]) -> dict[str, Any]:
        """JSON has no infinite numbers: pydantic writes them as words, which are read here again."""
        return {name: float(value) if value in ("Infinity", "-Infinity") else value for name, value in options.items()}

    @property
    def prompts(self) -> tuple[str, ...]:
        """One prompt for each picture: ``count`` of the first, then ``count`` of the second, and so on."""
        each = (self.prompt,) if isinstance(self.prompt, str) else self.prompt
        return tuple(prompt for prompt in each for _ in range(self.count))
