"""InvokeAI's metadata: a JSON object in the chunk ``invokeai_metadata``, and in ``sd-metadata`` before version 3."""

from __future__ import annotations

import re
from typing import Any

from latentry._pictures._settings import ForeignSettings, real, short, text, whole

USED = {
    *("positive_prompt", "negative_prompt", "steps", "scheduler", "cfg_scale", "seed", "width", "height", "model"),
    *("strength", "loras", "app_version", "generation_mode", "clip_skip", "guidance"),
}
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
"""Before version 3 the negative prompt stood in square brackets within the prompt."""


def read_metadata(content: Any) -> ForeignSettings | None:
    """The settings of version 3 and later."""
    if not isinstance(content, dict) or not {"positive_prompt", "scheduler", "seed"} & set(content):
        return None
    guidance = real(content.get("cfg_scale"))
    distilled = real(content.get("guidance"))  # FLUX's networks take it as an input
    return ForeignSettings(
        program="InvokeAI",
        prompt=text(content.get("positive_prompt")),
        negative=text(content.get("negative_prompt")),
        steps=whole(content.get("steps")),
        sampler=text(content.get("scheduler")),
        guidance=guidance if distilled is None else distilled,
        seed=whole(content.get("seed")),
        width=whole(content.get("width")),
        height=whole(content.get("height")),
        model=_model(content.get("model")),
        strength=real(content.get("strength")),
        clip_skip=whole(content.get("clip_skip")) or None,
        loras=tuple(_loras(content.get("loras"))),
        rest={name: short(value) for name, value in content.items() if name not in USED and value},
    )


def read_dream(content: Any) -> ForeignSettings | None:
    """The settings of version 2."""
    image = content.get("image") if isinstance(content, dict) else None
    if not isinstance(image, dict):
        return None
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = " ".join(text(part.get("prompt")) for part in prompt if isinstance(part, dict))
    negative = ", ".join(BRACKETS.findall(text(prompt)))
    return ForeignSettings(
        program="InvokeAI",
        prompt=BRACKETS.sub("", text(prompt)).strip(),
        negative=negative,
        steps=whole(image.get("steps")),
        sampler=text(image.get("sampler")),
        guidance=real(image.get("cfg_scale")),
        seed=whole(image.get("seed")),
        width=whole(image.get("width")),
        height=whole(image.get("height")),
        model=text(content.get("model_weights")),
        strength=real(image.get("strength")),
    )


def _model(model: Any) -> str:
    """A model's name; before version 4 it was under another key."""
    if not isinstance(model, dict):
        return text(model)
    return text(model.get("name")) or text(model.get("model_name"))


def _loras(loras: Any) -> list[tuple[str, float]]:
    found = []
    for each in loras if isinstance(loras, list) else []:
        if isinstance(each, dict) and (name := _model(each.get("model") or each.get("lora"))):
            weight = real(each.get("weight"))
            found.append((name, 1.0 if weight is None else weight))
    return found
