"""What a host asks for: one JSON-able record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from latentry._specs import Final


class GenerationRequest(BaseModel):
    """A request for pictures. What is left None is decided by the checkpoint, the model variant or the scheduler."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    prompt: str | tuple[str, ...] = Field(description="one prompt, or several to draw in one go")
    negative: str = Field("", description="what the picture should not show")
    model: str | None = Field(None, description="folder of a checkpoint, or the name of an installed one")
    variant: str | None = Field(None, description="variant, where the files cannot tell")
    scheduler: str | None = Field(None, description="sampler")
    scheduler_options: dict[str, Any] = Field(default_factory=dict, description="the sampler's own options")
    sigmas: str | tuple[float, ...] | None = Field(
        None, description="sigma schedule, or the levels themselves: σ/α on VP and EDM, σ on flow"
    )
    sigma_options: dict[str, Any] = Field(default_factory=dict, description="the sigma schedule's own options")
    final: Final | None = Field(None, description="end at σ = 0, or at the table's least noisy level")
    initial_noise: Literal["unit", "sigma"] = Field("unit", description="scale of the initial noise")
    steps: int | None = Field(None, ge=1, description="steps of the sampler")
    guidance: float | None = Field(None, ge=0.0, description="classifier-free guidance scale; 1 is none")
    seed: int | None = Field(None, ge=0, lt=2**63, description="seed; drawn and recorded where it is not given")
    width: int | None = Field(None, ge=1, description="width in pixels")
    height: int | None = Field(None, ge=1, description="height in pixels")
    count: int = Field(1, ge=1, description="pictures of each prompt")
    batch: int = Field(4, ge=1, description="pictures that go through the network together")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field("auto", description="dtype of the networks")
    attention: str = Field("auto", description="attention backend; native is the networks' own way")

    @field_validator("prompt")
    @classmethod
    def _some_prompt(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(value, str) and not value:
            raise ValueError("give one prompt at least")
        return value

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
