"""Attention of Qwen-Image's autoencoder, over the latents of each frame; its blocks have no processor."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

from torch import Tensor, nn

from latentry.attention import AttentionBackend, AttentionDemand
from latentry_diffusers.attention import joined

_OWN = "forward"
"""The attribute of an instance that is called in place of its class's."""


class FrameAttention:
    """A block that backends can serve; see ``latentry_diffusers.attention.Slot``.

    Args:
        block: diffusers' ``QwenImageAttentionBlock``.
        name: of the block in the autoencoder.

    Attributes:
        role: of its attention.
        label: which block it is, in words.
    """

    role = "vae"

    def __init__(self, block: Any, name: str) -> None:
        self._block, self.label = block, f"the vae attention of the vae ({name})"

    @property
    def demand(self) -> AttentionDemand:
        """What a backend can know about its calls beforehand: there is a single head."""
        return AttentionDemand(head_size=self._block.dim)

    @property
    def state(self) -> object:
        """What is called in place of the block's own; None for nothing."""
        return self._block.__dict__.get(_OWN)

    @state.setter
    def state(self, called: object) -> None:
        self._block.__dict__.pop(_OWN, None)
        if called is not None:
            self._block.__dict__[_OWN] = called

    def check(self) -> None:
        """Every block can be served."""

    def serve(self, backend: AttentionBackend | None) -> None:
        """Serves the block through a backend; None restores its own attention."""
        # a method of the block, so that a copy of it calls the copy
        self.state = None if backend is None else MethodType(_Through(backend), self._block)


class _Through:
    """Attention of a block through a backend."""

    def __init__(self, backend: AttentionBackend) -> None:
        self._backend = backend

    def __call__(self, block: Any, x: Tensor) -> Tensor:
        """The states and what attention adds to them, (batch, channels, frames, height, width)."""
        frames = x.transpose(1, 2).flatten(0, 1)
        tokens = block.to_qkv(block.norm(frames)).flatten(2).transpose(1, 2).contiguous()
        q, k, v = tokens[:, None].chunk(3, dim=-1)
        states = joined(self._backend.attend(q, k, v), q.dtype).transpose(1, 2).reshape(frames.shape)
        added: Tensor = block.proj(states).unflatten(0, (len(x), -1)).transpose(1, 2)
        return x + added


def frame_attention(vae: nn.Module) -> Iterator[FrameAttention]:
    """The attention blocks of diffusers' ``AutoencoderKLQwenImage``."""
    for name, module in vae.named_modules():
        if type(module).__name__ == "QwenImageAttentionBlock":
            yield FrameAttention(module, name)
