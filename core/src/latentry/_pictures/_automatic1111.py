"""The ``parameters`` text of AUTOMATIC1111's web UI, which Forge, SD.Next and Civitai read and write, too.

Lines of the prompt; a line that begins with ``Negative prompt:``, with further lines of it; and a last line of
``Name: value`` pairs separated by commas, where a value with a comma, a colon or a quotation mark is a JSON string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from latentry._pictures._settings import ForeignSettings, real, whole

NEGATIVE = "Negative prompt:"
SCHEDULES = {
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm-uniform": "SGM Uniform",
    "kl-optimal": "KL Optimal",
    "align-your-steps": "Align Your Steps",
    "simple": "Simple",
    "normal": "Normal",
    "ddim-uniform": "DDIM",
    "beta-sigmas": "Beta",
}
"""Its names for our sigma schedules."""
NAME = re.compile(r"\s*(\w[\w /.-]*?)\s*:\s*")
LORA = re.compile(r"<lora:([^:<>]+)(?::([^<>]*))?>")
FEWEST = 2
"""Pairs that the last line has at least, or it belongs to the prompt."""
USED = {
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Denoising strength", "Clip skip"),
    *("Model hash", "Version", "Hires upscale", "Hires steps", "Hires upscaler"),
}


def write_parameters(prompt: str, negative: str, values: Mapping[str, object]) -> str:
    """The text for a picture.

    Args:
        prompt: as it was given.
        negative: likewise.
        values: the pairs of the last line, in their order; those that are None or empty are left out.
    """
    pairs = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in values.items() if value not in (None, ""))
    return "\n".join([prompt, *([f"{NEGATIVE} {negative}"] if negative else []), pairs])


def read_parameters(text: str) -> ForeignSettings | None:
    """The settings in such a text; None where it has no line of pairs."""
    *lines, last = text.strip().split("\n")
    values = dict(_pairs(last))
    if len(values) < FEWEST or not {"Steps", "Sampler", "Seed"} & set(values):
        return None
    prompt, _, negative = "\n".join(["", *lines]).partition(f"\n{NEGATIVE}")
    width, _, height = values.get("Size", "").partition("x")
    skipped = whole(values.get("Clip skip"))
    return ForeignSettings(
        program=_program(values.get("Version", "")),
        prompt=LORA.sub("", prompt).strip(),
        negative=negative.strip(),
        steps=whole(values.get("Steps")),
        sampler=values.get("Sampler", ""),
        schedule=values.get("Schedule type", ""),
        guidance=real(values.get("CFG scale")),
        seed=whole(values.get("Seed")),
        width=whole(width),
        height=whole(height),
        model=values.get("Model", ""),
        strength=real(values.get("Denoising strength")),
        upscale=real(values.get("Hires upscale")),
        upscale_steps=whole(values.get("Hires steps")),
        upscaler=values.get("Hires upscaler", ""),
        clip_skip=None if skipped is None else max(skipped - 1, 0),  # there 1 is to use the last layer
        loras=tuple((name, _weight(weight)) for name, weight in LORA.findall(prompt)),
        rest={name: value for name, value in values.items() if name not in USED},
    )


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """The pairs of a line; none where it is something else."""
    at = 0
    while match := NAME.match(line, at):
        at = match.end()
        if line.startswith('"', at):
            try:
                value, at = json.JSONDecoder().raw_decode(line, at)
            except ValueError:
                return
        else:
            end = line.find(",", at)
            value, at = (line[at:], len(line)) if end < 0 else (line[at:end], end)
        yield match[1], str(value).strip()
        at += 1  # the comma


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:"\n') else value


def _weight(text: str) -> float:
    found = real(text.split(":")[0])
    return 1.0 if found is None else found


def _program(version: str) -> str:
    if version.startswith("latentry"):
        return "Latentry"
    return "Forge" if version.startswith("f") else "ComfyUI" if version == "ComfyUI" else "AUTOMATIC1111"
