"""What a request runs on, and how it is kept there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from latentry._attention._choice import ChosenAttention, choose_attention
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._deciding._companions import Companions
from latentry._resolve._deciding._found import Found
from latentry._resolve._device import choose_device, choose_dtype
from latentry._resolve._guiding._guidance_method import ChosenMethod, check_attention
from latentry._resolve._memory import ChosenMemory, check_weights, choose_memory, parts_of
from latentry._resolve._shown._canvas import Canvas


@dataclass(frozen=True)
class Machine:
    """What the networks run on.

    Attributes:
        device: where they run.
        dtype: what they run in.
        memory: how they are kept in memory.
        attention: the backends that serve them.
    """

    device: torch.device
    dtype: torch.dtype
    memory: ChosenMemory
    attention: ChosenAttention

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same; its device may be another one."""
        return {
            "dtype": str(self.dtype).split(".")[-1],
            "attention": self.attention.text,
            "attention_options": self.attention.options,
            **self.memory.decided,
        }


def choose_machine(
    found: Found,
    request: GenerationRequest,
    canvas: Canvas,
    companions: Companions,
    method: ChosenMethod,
    *,
    cached: bool,
) -> Machine:
    """The request's device, dtype, memory and attention.

    Args:
        found: what there is.
        request: what is wanted.
        canvas: the pictures' size.
        companions: what else is held in memory.
        method: of guidance; it may change attention.
        cached: whether a step cache leaves out parts of the network.

    Raises:
        LatentryError: see the choosers.
    """
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device)
    memory = choose_memory(
        found.policy,
        parts=parts_of(companions.checkpoints),
        dtypes=request.dtypes,
        tiling=request.vae_tiling,
        slicing=request.vae_slicing,
        capture=request.capture,
        weights=request.weights,
        step_cache=cached,
        size=canvas.size,
        latent_width=canvas.latent_shape[-1],
        together=min(request.batch, len(request.prompts)),
        device=device,
        dtype=dtype,
    )
    check_weights(memory.weights, companions.checkpoints, companions.loras)
    attention = choose_attention(found.backends, request.attention, request.attention_options, device, dtype)
    check_attention(method, found.checkpoint, attention.text, found.located.variant)
    return Machine(device, dtype, memory, attention)
