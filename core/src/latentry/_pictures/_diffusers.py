"""The arguments of a diffusers pipeline as a JSON object, as scripts and servers around diffusers write them."""

from __future__ import annotations

from typing import Any

from latentry._pictures._settings import ForeignSettings, real, short, text, whole

MODEL = ("model", "model_id", "pretrained_model_name_or_path", "pretrained_model", "repo_id", "_name_or_path")
SCHEDULER = ("scheduler", "scheduler_class", "sampler")
USED = {
    *("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "seed", "width", "height", "strength"),
    *("clip_skip", *MODEL, *SCHEDULER),
}


def read_call(content: Any) -> ForeignSettings | None:
    """The settings in such an object; None where it is something else."""
    if not isinstance(content, dict) or not {"num_inference_steps", "guidance_scale"} & set(content):
        return None
    return ForeignSettings(
        program="diffusers",
        prompt=text(content.get("prompt")),
        negative=text(content.get("negative_prompt")),
        steps=whole(content.get("num_inference_steps")),
        sampler=_first(content, SCHEDULER, "_class_name"),
        guidance=real(content.get("guidance_scale")),
        seed=whole(content.get("seed")),
        width=whole(content.get("width")),
        height=whole(content.get("height")),
        model=_first(content, MODEL, "name"),
        strength=real(content.get("strength")),
        clip_skip=whole(content.get("clip_skip")),
        rest={name: short(value) for name, value in content.items() if name not in USED and value is not None},
    )


def _first(content: dict[str, Any], names: tuple[str, ...], inside: str) -> str:
    """The first text under one of the names; of an object, the text in it, such as a configuration's class."""
    for name in names:
        value = content.get(name)
        if isinstance(value, dict):
            value = value.get(inside)
        if isinstance(value, str) and value:
            return value
    return ""
