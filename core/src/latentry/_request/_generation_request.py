"""What a host asks for: one JSON-able record."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from latentry._contract._caching._step_cache import StepCache
from latentry._contract._curve import OverRun, bounded
from latentry._contract._lora import LoraMode, LoraRequest
from latentry._contract._prompts._embedding import EmbeddingRequest
from latentry._contract._prompts._emphasis import parse_emphasis
from latentry._request._memory_policy import Capture, DtypeName, Tiling, WeightStorage
from latentry._request._values import _reading
from latentry._request._values._control import ControlRequest
from latentry._request._values._option import Option, Panel
from latentry._request._values._strength import StrengthMode
from latentry._specs import Final

Shares = tuple[float, float]
"""First and last, in shares of the steps."""

UpscaleMode = Literal["pixels", "latent"]

Level = Annotated[float, Field(allow_inf_nan=True)]
"""A noise level. σ/α is infinite where a flow model starts."""
INFINITE = ("sigmas", "sigma_options", "scheduler_options", "guidance_options")
"""Fields whose numbers can be infinite on purpose."""
PATHS = (
    "model",
    "vae",
    "text_encoders",
    "tokenizer",
    "config",
    "refiner",
    "guidance_model",
    "init_image",
    "mask",
    "references",
    "plan",
)
TUNED = "tuned"
"""In place of a plan file: the one of those that came with the model that suits steps and guidance."""
LARGEST = 65_536
"""The largest side in pixels, and the most pictures of a request: far beyond what a model can do, and a mistake."""
LONGEST = 100_000
"""The most characters of a prompt: no text encoder reads a hundredth of it."""
Prompt = Annotated[str, Field(max_length=LONGEST)]
PromptSyntax = Literal["plain", "automatic1111"]
STRONGEST = 1000.0
"""The largest guidance scale."""
Scale = Annotated[OverRun[Annotated[float, Field(ge=0.0, le=STRONGEST)]], AfterValidator(bounded(0.0, STRONGEST))]
HEAVIEST = 100.0
"""The largest weight that words in a prompt can have: beyond it float16 overflows."""

_SURROGATE = re.compile("[\ud800-\udfff]")
PAIR = "NAME=VALUE"
SHARES = "FROM,TO"


def _step_cache(text: str | None) -> str | None:
    return None if text is None else StepCache.parse(text).text


class GenerationRequest(BaseModel):
    """A request for pictures. What is left None is decided by the checkpoint, the model variant or the scheduler."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", allow_inf_nan=False)

    prompt: Prompt | tuple[Prompt, ...] = Field(
        description="What the picture shows; several prompts are drawn in one go."
    )
    negative: Annotated[str, Option(Panel.PROMPT)] = Field(
        default="", max_length=LONGEST, description="What the picture should not show."
    )
    embeddings: Annotated[
        tuple[EmbeddingRequest, ...],
        Option(Panel.PROMPT, spelling="--embedding", metavar="[NAME=]FILE", repeatable=True, read=_reading.named_files),
    ] = Field(default=(), description="Textual inversion: a file, and the word of the prompts that stands for it.")
    prompt_syntax: Annotated[PromptSyntax, Option(Panel.PROMPT)] = Field(
        default="plain",
        description="With automatic1111, [from:to:when] and [a|b] in prompts are other words at other steps.",
    )
    model: Annotated[str | None, Option(Panel.MODEL, names="checkpoints")] = Field(
        default=None,
        description="Folder, file, installed name, or owner/name on the Hub. The shipped model if not given.",
    )
    variant: Annotated[str | None, Option(Panel.MODEL)] = Field(
        default=None, description="Variant of the model, if its files do not say."
    )
    revision: Annotated[str | None, Option(Panel.MODEL)] = Field(
        default=None, description="Branch, tag or commit of a model on the Hub."
    )
    offline: Annotated[bool, Option(Panel.MODEL)] = Field(
        default=False, description="Use the Hub's local cache only, without network access."
    )
    vae: Annotated[str | None, Option(Panel.MODEL)] = Field(
        default=None, description="File or folder of an autoencoder to use instead of the model's own."
    )
    text_encoders: Annotated[
        tuple[str, ...], Option(Panel.MODEL, spelling="--text-encoder", metavar="PATH", repeatable=True)
    ] = Field(default=(), description="Text encoder to use instead of the model's own.")
    tokenizer: Annotated[str | None, Option(Panel.MODEL)] = Field(
        default=None, description="Folder with the tokenizers, for a model without them."
    )
    config: Annotated[str | None, Option(Panel.MODEL)] = Field(
        default=None, description="Diffusers folder with the configuration of the networks in a file."
    )
    scheduler: Annotated[str | None, Option(Panel.SAMPLING, names="schedulers")] = Field(
        default=None,
        description="Scheduler (sampler); `latentry schedulers` lists them, and `best` is the one that measured best.",
    )
    scheduler_options: Annotated[
        dict[str, Any],
        Option(Panel.SAMPLING, spelling="--set", metavar=PAIR, repeatable=True, read=_reading.named_values),
    ] = Field(default_factory=dict, description="Option of the scheduler, e.g. eta=0.5.")
    sigmas: Annotated[
        str | tuple[Level, ...] | None,
        Option(Panel.SAMPLING, metavar="NAME|LEVELS", read=_reading.name_or_levels, names="sigma_schedules"),
    ] = Field(
        default=None,
        description="Sigma schedule (see `latentry sigmas`), or noise levels, e.g. 14.6,3.1,0.7: σ/α on VP and "
        "EDM, σ on flow.",
    )
    sigma_options: Annotated[
        dict[str, Any],
        Option(Panel.SAMPLING, spelling="--sigma-set", metavar=PAIR, repeatable=True, read=_reading.named_values),
    ] = Field(default_factory=dict, description="Option of the sigma schedule, e.g. shift=3.")
    final: Annotated[Final | None, Option(Panel.SAMPLING)] = Field(
        default=None, description="Where the run ends: at σ = 0, or at the lowest level of the training table."
    )
    initial_noise: Annotated[Literal["unit", "sigma"], Option(Panel.SAMPLING)] = Field(
        default="unit", description="Scale of the initial noise: 1, or the first level as diffusers' Euler has it."
    )
    steps: Annotated[int | None, Option(Panel.SAMPLING)] = Field(default=None, ge=1, description="Number of steps.")
    plan: Annotated[str | None, Option(Panel.SAMPLING, metavar="FILE")] = Field(
        default=None,
        description="Plan file to follow in place of scheduler, sigmas and steps, written by `latentry plan export` or "
        "`latentry tune`; `tuned` for one that came with the model.",
    )
    guidance: Annotated[Scale | None, Option(Panel.GUIDANCE, metavar="NUMBER|CURVE")] = Field(
        default=None, description="Guidance scale; 1 means no guidance. A curve over the run is 1@0,5@0.3 or σ:5@1,1@9."
    )
    guidance_method: Annotated[str | None, Option(Panel.GUIDANCE, names="guidance")] = Field(
        default=None, description="Guidance method; `latentry guidance` lists them. Classifier-free if not given."
    )
    guidance_options: Annotated[
        dict[str, Any],
        Option(
            Panel.GUIDANCE,
            spelling="--guidance-set",
            metavar=PAIR,
            repeatable=True,
            needs="guidance_method",
            read=_reading.named_values,
        ),
    ] = Field(default_factory=dict, description="Option of the guidance method, e.g. momentum=-0.5.")
    guidance_model: Annotated[str | None, Option(Panel.GUIDANCE, needs="guidance_method", names="checkpoints")] = Field(
        default=None, description="Weaker model that the guidance method leads away from; given like the model."
    )
    guidance_rescale: Annotated[float, Option(Panel.GUIDANCE)] = Field(
        default=0.0, ge=0.0, le=1.0, description="How far to rescale the guided output to the unguided one's spread."
    )
    guidance_interval: Annotated[Shares, Option(Panel.GUIDANCE, metavar=SHARES, read=_reading.interval)] = Field(
        default=(0.0, 1.0), description="Which steps are guided, as shares of all steps, e.g. 0.2,0.8."
    )
    skip_layers: Annotated[tuple[int, ...], Option(Panel.GUIDANCE, metavar="LAYERS", read=_reading.whole_numbers)] = (
        Field(default=(), description="Layers that skip-layer guidance leaves out, e.g. 7,8,9.")
    )
    skip_layer_scale: Annotated[float, Option(Panel.GUIDANCE, needs="skip_layers")] = Field(
        default=2.8, ge=0.0, le=1000.0, description="Scale of skip-layer guidance."
    )
    skip_layer_interval: Annotated[
        Shares, Option(Panel.GUIDANCE, metavar=SHARES, needs="skip_layers", read=_reading.interval)
    ] = Field(default=(0.01, 0.2), description="Steps with skip-layer guidance, as shares of all steps.")
    conditioning: Annotated[
        dict[str, Any],
        Option(Panel.PROMPT, spelling="--condition", metavar=PAIR, repeatable=True, read=_reading.named_values),
    ] = Field(default_factory=dict, description="Conditioning option of the model family, e.g. clip_skip=1.")
    refiner: Annotated[str | None, Option(Panel.MODEL, names="checkpoints")] = Field(
        default=None, description="Model that takes over for the last steps; given like the model."
    )
    switch: Annotated[float, Option(Panel.MODEL, needs="refiner")] = Field(
        default=0.8, gt=0.0, lt=1.0, description="Share of the noise levels that come before the refiner."
    )
    loras: Annotated[
        tuple[LoraRequest, ...],
        Option(Panel.LORA, spelling="--lora", metavar="FILE[:WEIGHT]", repeatable=True, read=_reading.weighted_files),
    ] = Field(default=(), description="LoRA and its weight, 1 if not given; a curve is 0@0,1@0.5.")
    lora_mode: Annotated[LoraMode, Option(Panel.LORA, needs="loras")] = Field(
        default="unmerged", description="Compute LoRAs next to the layers, or merge them into the weights."
    )
    controls: Annotated[
        tuple[ControlRequest, ...],
        Option(
            Panel.CONTROL,
            spelling="--control",
            also="--image-prompt",
            metavar="MODEL=PICTURE[:WEIGHT[:FROM-TO]]",
            repeatable=True,
            read=_reading.controls,
        ),
    ] = Field(default=(), description="ControlNet or adapter and the picture it steers by, e.g. canny=edges.png:0.8.")
    control_preprocess: Annotated[str | None, Option(Panel.CONTROL, metavar="NAME", needs="controls")] = Field(
        default=None,
        description="What to make of the pictures of controls that do not say it themselves and can, e.g. canny.",
    )
    init_image: Annotated[str | None, Option(Panel.PICTURE, metavar="PATH")] = Field(
        default=None, description="Picture to start from."
    )
    mask: Annotated[str | None, Option(Panel.PICTURE, metavar="PATH", needs="init_image")] = Field(
        default=None, description="Mask of the picture's size; white parts are redrawn."
    )
    references: Annotated[
        tuple[str, ...], Option(Panel.PICTURE, spelling="--reference", metavar="PATH", repeatable=True)
    ] = Field(default=(), description="Picture that the model is shown beside the prompt, to edit or to draw from.")
    mask_feather: Annotated[int, Option(Panel.PICTURE, needs="mask", unit="pixels")] = Field(
        default=0, ge=0, description="Width in pixels of the soft edge between kept and drawn parts, on the drawn side."
    )
    strength: Annotated[float | None, Option(Panel.PICTURE, needs="init_image")] = Field(
        default=None, gt=0.0, le=1.0, description="How much to change the picture; at 1 nothing of it is left."
    )
    strength_mode: Annotated[StrengthMode, Option(Panel.PICTURE, needs="init_image")] = Field(
        default="cut", description="Take that share of the steps, or all of them from that noise level on."
    )
    seed: Annotated[int | None, Option(Panel.OUTPUT, metavar="SEED|FROM..TO", repeatable=True, read=_reading.seeds)] = (
        Field(
            default=None, ge=-1, lt=2**64, description="Seed of the noise; drawn and recorded if not given, or if -1."
        )
    )
    width: Annotated[int | None, Option(Panel.OUTPUT, unit="pixels")] = Field(
        default=None, ge=1, le=LARGEST, description="Width in pixels; the model's own if not given."
    )
    height: Annotated[int | None, Option(Panel.OUTPUT, unit="pixels")] = Field(
        default=None, ge=1, le=LARGEST, description="Height in pixels; the model's own if not given."
    )
    upscale: Annotated[float | None, Option(Panel.OUTPUT, metavar="FACTOR")] = Field(
        default=None, gt=1.0, le=8.0, description="Draw the picture, enlarge it so many times, and draw on it again."
    )
    upscale_strength: Annotated[float, Option(Panel.OUTPUT, needs="upscale")] = Field(
        default=0.5, gt=0.0, le=1.0, description="How much to change the enlarged picture."
    )
    upscale_steps: Annotated[int | None, Option(Panel.OUTPUT, needs="upscale")] = Field(
        default=None, ge=1, description="Steps to take that share of; as many as before if not given."
    )
    upscale_mode: Annotated[UpscaleMode, Option(Panel.OUTPUT, needs="upscale")] = Field(
        default="pixels",
        description="Enlarge the decoded picture, or its latents, which needs more strength.",
    )
    count: Annotated[int, Option(Panel.OUTPUT)] = Field(
        default=1, ge=1, le=LARGEST, description="Number of pictures for each prompt."
    )
    batch: Annotated[int, Option(Panel.DEVICE)] = Field(
        default=4, ge=1, le=LARGEST, description="Most pictures that go through the network together."
    )
    device: Annotated[str, Option(Panel.DEVICE)] = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        Option(Panel.DEVICE, metavar="[PART=]DTYPE", repeatable=True, read=_reading.dtypes),
    ] = Field(
        default="auto", description="auto, float32, float16 or bfloat16; for a single part of the model vae=float32."
    )
    dtypes: Annotated[dict[str, DtypeName] | None, Option(Panel.DEVICE, spelling="--dtype")] = Field(
        default=None, description="Data types of single parts of the model, e.g. float32 for vae."
    )
    weights: Annotated[WeightStorage | None, Option(Panel.DEVICE)] = Field(
        default=None,
        description="Keep the weights of the model's blocks in fewer bits than they are computed with, in less memory "
        "and less exact: float8, int8 or int4.",
    )
    without: Annotated[tuple[str, ...], Option(Panel.DEVICE, metavar="PART", repeatable=True)] = Field(
        default=(), description="Optional part of the model to leave out, e.g. text_encoder_3."
    )
    denoise_tile: Annotated[int | None, Option(Panel.DEVICE, unit="pixels")] = Field(
        default=None,
        ge=8,
        le=LARGEST,
        description="Side in pixels of the parts in which a larger picture is denoised: less memory, and other pixels.",
    )
    denoise_overlap: Annotated[int | None, Option(Panel.DEVICE, needs="denoise_tile", unit="pixels")] = Field(
        default=None, ge=0, le=LARGEST, description="How much neighbours share; a quarter of their side if not given."
    )
    vae_tiling: Annotated[Tiling | None, Option(Panel.DEVICE, metavar="on|off|auto|PIXELS", read=_reading.tiling)] = (
        Field(default=None, description="Run the autoencoder in tiles, whose side can be given in pixels.")
    )
    vae_slicing: Annotated[bool | None, Option(Panel.DEVICE)] = Field(
        default=None, description="Run the autoencoder on one picture of a batch at a time."
    )
    capture: Annotated[Capture | None, Option(Panel.DEVICE)] = Field(
        default=None,
        description="Run the denoiser as a graph: as the calls it makes (graph) or TorchScript (script), of the same "
        "bits; as graph from the third time on (auto; passes that jobs share wait longer); or by torch.compile, made "
        "in minutes.",
    )
    fast: Annotated[bool, Option(Panel.DEVICE)] = Field(
        default=False,
        description="Add up in another order where that is faster: last bits differ, about 1e-5 of the latents.",
    )
    step_cache: Annotated[str | None, Option(Panel.DEVICE, metavar="KIND[:NUMBER]"), AfterValidator(_step_cache)] = (
        Field(
            default=None,
            description="Leave out a part of the network at some steps, faster and less exact: first-block:SHARE where "
            "it would change by less (0 to 1; 0.1), taylor:N or deep:N at all but one of N evaluations (2 to 1000; 3).",
        )
    )
    attention: Annotated[str, Option(Panel.DEVICE, names="attention_backends")] = Field(
        default="auto",
        description="Attention backends, also by role: flash; flash,auto; joint=flash;vae=native. `latentry attention` "
        "lists them.",
    )
    attention_options: Annotated[
        dict[str, dict[str, Any]],
        Option(
            Panel.DEVICE,
            spelling="--attention-set",
            metavar="[BACKEND.]" + PAIR,
            repeatable=True,
            read=_reading.named_values_by_owner,
        ),
    ] = Field(default_factory=dict, description="Option of an attention backend, e.g. sdpa.kernel=math.")

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

    @field_validator("*")
    @classmethod
    def _usable_anywhere(cls, value: Any, info: ValidationInfo) -> Any:
        for item in _leaves(value):
            if isinstance(item, str) and _SURROGATE.search(item):
                raise ValueError("it must be valid Unicode text")
            if isinstance(item, str) and "\0" in item and info.field_name in PATHS:
                raise ValueError("it must not contain a null character")
            if isinstance(item, float) and math.isnan(item):
                raise ValueError("it must not contain NaN")
            if isinstance(item, float) and math.isinf(item) and info.field_name not in INFINITE:
                raise ValueError("it must contain finite numbers only")
        return value

    @field_validator("prompt", "negative")
    @classmethod
    def _weights_within_bounds(cls, prompts: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not prompts and not isinstance(prompts, str):
            raise ValueError("it must be at least one prompt")
        for prompt in (prompts,) if isinstance(prompts, str) else prompts:
            for words, weight in parse_emphasis(prompt):
                if not abs(weight) <= HEAVIEST:
                    raise ValueError(f"it must not weigh words by more than {HEAVIEST:g}, as it does '{words[:40]}'")
        return prompts

    @field_validator("guidance_interval", "skip_layer_interval")
    @classmethod
    def _within_the_run(cls, shares: Shares) -> Shares:
        if not 0.0 <= shares[0] < shares[1] <= 1.0:
            raise ValueError("it must be two shares of the steps, from 0 to 1, the smaller first")
        return shares

    @field_validator("skip_layers")
    @classmethod
    def _counted_from_zero(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if any(layer < 0 for layer in layers):
            raise ValueError("it must be layers counted from 0")
        return layers

    @field_validator("seed")
    @classmethod
    def _minus_one_draws_a_seed(cls, seed: int | None) -> int | None:
        """ComfyUI and AUTOMATIC1111 write −1 for a seed that is to be drawn."""
        return None if seed == -1 else seed

    @field_validator("scheduler_options", "sigma_options", "guidance_options")
    @classmethod
    def _with_infinities(cls, options: dict[str, Any]) -> dict[str, Any]:
        """JSON has no infinite numbers: pydantic writes them as words, which are read here again."""
        return {name: float(value) if value in ("Infinity", "-Infinity") else value for name, value in options.items()}

    @property
    def prompts(self) -> tuple[str, ...]:
        """One prompt for each picture: ``count`` of the first, then ``count`` of the second, and so on."""
        each = (self.prompt,) if isinstance(self.prompt, str) else self.prompt
        return tuple(prompt for prompt in each for _ in range(self.count))


def _leaves(value: Any) -> Iterator[Any]:
    """The values within nested lists and mappings, names included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *_leaves(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
