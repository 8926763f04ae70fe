"""Checks of a request against a policy, before anything is opened or allocated."""

from __future__ import annotations

from latentry._numerics._plan import Plan
from latentry._policy import Policy
from latentry._request._generation_request import PATHS, TUNED, GenerationRequest

FOUND = ("model", "vae", "text_encoders", "tokenizer", "config", "refiner", "guidance_model")
"""Fields with paths that can be names too: they are checked where they are found."""


def check_request(policy: Policy, request: GenerationRequest) -> None:
    """Refuses amounts and paths that the policy does not allow.

    Raises:
        NotAllowed: names the field.
    """
    prompts = (request.prompt,) if isinstance(request.prompt, str) else request.prompt
    pictures = request.count * len(prompts)
    policy.check("prompt", sum(map(len, prompts)) + len(request.negative))
    policy.check("count", pictures)
    policy.check("batch", min(request.batch, pictures))
    policy.check("loras", len(request.loras))
    policy.check("steps", request.steps or 0)
    policy.check("steps", len(request.sigmas) if isinstance(request.sigmas, tuple) else 0, "sigmas")
    policy.check("pixels", (request.width or 1) * (request.height or 1), "width")
    for field in PATHS:
        given = getattr(request, field)
        if field not in FOUND and given is not None and (field, given) != ("plan", TUNED):
            for file in given if isinstance(given, tuple) else (given,):
                policy.check_path(str(file), field)
    policy.check("embeddings", len(request.embeddings))
    policy.check("controls", len(request.controls))
    for control in request.controls:
        for file in (control.picture, control.mask):
            if file is not None:
                policy.check_path(file, "controls")
    for lora in request.loras:
        policy.check_path(lora.path, "loras")
    for embedding in request.embeddings:
        policy.check_path(embedding.path, "embeddings")


def check_plan(policy: Policy, plan: Plan, tiles: int = 1) -> None:
    """Refuses a plan of more steps or evaluations than the policy allows.

    Args:
        policy: the limits.
        plan: of the steps that are taken.
        tiles: how many parts of a picture go through the network at each evaluation.

    Raises:
        NotAllowed: names the field.
    """
    policy.check("steps", len(plan))
    if policy.evaluations is not None and plan.evaluations is not None:
        field = "scheduler_options" if tiles == 1 else "denoise_tile"
        policy.check("evaluations", plan.evaluations * tiles, field)


def check_passes(policy: Policy, *passes: tuple[Plan, int]) -> None:
    """Refuses passes that take more steps or evaluations than the policy allows together.

    Args:
        policy: the limits.
        passes: of one picture, each its plan and how many parts go through the network at each evaluation.

    Raises:
        NotAllowed: names ``upscale``.
    """
    policy.check("steps", sum(len(plan) for plan, _ in passes), "upscale")
    policy.check("evaluations", sum((plan.evaluations or 0) * tiles for plan, tiles in passes), "upscale")
