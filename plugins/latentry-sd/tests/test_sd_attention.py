"""Attention through a backend: every layer, the same numbers, and back again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support.models import PROMPT
from torch import Tensor

from latentry.models import PromptSettings
from latentry_diffusers.attention import BackendProcessor
from latentry_sd.model import StableDiffusion


class Spy:
    """Attention by its definition; remembers the shapes it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def probe(self) -> str | None:
        return None

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        self.shapes.append((*q.shape, k.shape[2]))
        assert q.shape[:2] == k.shape[:2] == v.shape[:2]
        assert scale is None or scale == pytest.approx(1 / math.sqrt(q.shape[-1]))
        assert not causal or q.shape == k.shape  # the text encoder's own
        scores = q @ k.transpose(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)
        return torch.softmax(scores if mask is None else scores + mask, dim=-1) @ v


class Lie(Spy):
    """Attention that gives nothing."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        super().attend(q, k, v, **options)
        return torch.zeros_like(q)


def layers(model: StableDiffusion) -> dict[str, int]:
    """How many attention layers there are by role, counted by their names in diffusers."""
    names = [name for name, module in model.unet.named_modules() if type(module).__name__ == "Attention"]
    vae = [name for name, module in model.vae.named_modules() if type(module).__name__ == "Attention"]
    return {
        "self": sum(name.endswith("attn1") for name in names),
        "cross": sum(name.endswith("attn2") for name in names),
        "vae": len(vae),
        "text": sum(type(module).__name__ == "CLIPAttention" for module in model.text_encoder.modules()),
    }


def processors(model: StableDiffusion) -> list[object]:
    diffusers = [m.processor for n in (model.unet, model.vae) for m in n.modules() if type(m).__name__ == "Attention"]
    return [*diffusers, model.text_encoder.config._attn_implementation]


@contextmanager
def untouched(model: StableDiffusion) -> Iterator[None]:
    before = processors(model)
    yield
    assert all(a is b for a, b in zip(processors(model), before, strict=True))


def run(model: StableDiffusion, size: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The UNet, the decoder and the encoder, once each."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(size, 4, 16, 16, generator=generator)
    out = model.predict(x, 333.0, model.encode_prompt([PROMPT, "a star"][:size], PromptSettings(64, 64)))
    pixels = model.decode(x)
    return out, pixels, model.encode(pixels.clamp(-1, 1))


def test_every_layer_of_every_network_is_served_and_gives_the_same(model: StableDiffusion) -> None:
    with untouched(model):
        expected, spy = run(model), Spy()
        with model.set_attention(spy):
            found = run(model)
        for ours, own in zip(found, expected, strict=True):
            assert torch.allclose(ours, own, rtol=1e-5, atol=1e-5)
    counts = layers(model)
    assert all(counts.values())
    assert len(spy.shapes) == sum(counts.values())  # half the VAE's layers run in each direction
    tokens = model.tokenizer.model_max_length
    assert sum(shape[-1] == tokens != shape[2] for shape in spy.shapes) == counts["cross"]


@pytest.mark.parametrize("role", ["self", "cross", "vae", "text"])
def test_a_role_is_served_alone(model: StableDiffusion, role: str) -> None:
    with untouched(model):
        spy = Spy()
        with model.set_attention(spy, role=role):
            run(model)
        assert len(spy.shapes) == layers(model)[role]


@pytest.mark.parametrize(
    ("role", "changed"),
    [("self", (True, False)), ("cross", (True, False)), ("vae", (False, True)), ("text", (True, False))],
)
def test_a_backend_takes_effect_where_it_was_asked_for(
    model: StableDiffusion, role: str, changed: tuple[bool, bool]
) -> None:
    expected = run(model)
    with model.set_attention(Lie(), role=role):
        found = run(model)
    assert tuple(not torch.allclose(a, b, atol=1e-4) for a, b in zip(found[:2], expected[:2], strict=True)) == changed


def test_a_mask_reaches_the_backend(model: StableDiffusion) -> None:
    layer = next(m for n, m in model.unet.named_modules() if n.endswith("attn2"))
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(2, 5, layer.to_q.in_features, generator=generator)
    text = torch.randn(2, 7, layer.to_k.in_features, generator=generator)
    mask = torch.zeros(2, 1, 7)
    mask[0, :, 3:] = -10000.0
    own = layer.processor(layer, states, text, attention_mask=mask)
    found = BackendProcessor(Spy())(layer, states, text, attention_mask=mask)
    assert torch.allclose(found, own, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found, BackendProcessor(Spy())(layer, states, text), atol=1e-4)
