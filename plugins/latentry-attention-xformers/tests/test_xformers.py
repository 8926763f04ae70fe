"""xformers, through a stand-in that has its signature and its requirements."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import PluginError
from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_xformers import latentry_attention_backends
from latentry_attention_xformers.backend import XFormers

(SPEC,) = latentry_attention_backends()


class LowerTriangularMask:
    """Causal, counted from the first key."""


class Package(ModuleType):
    """Stands in for ``xformers.ops`` and records the calls. Rows without a key come out as NaN."""

    LowerTriangularMask = LowerTriangularMask

    def __init__(self) -> None:
        super().__init__("xformers.ops")
        self.calls: list[dict[str, Any]] = []

    def memory_efficient_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_bias: Tensor | LowerTriangularMask | None = None,
        p: float = 0.0,
        scale: float | None = None,
        *,
        op: None = None,
        output_dtype: None = None,
    ) -> Tensor:
        assert p == 0.0
        assert all(tensor.stride(-1) == 1 and tensor.dim() == 4 for tensor in (query, key, value))
        self.calls.append({"q": tuple(query.shape), "k": tuple(key.shape), "scale": scale, "bias": attn_bias})
        q, k, v = (tensor.transpose(1, 2).double() for tensor in (query, key, value))
        causal = isinstance(attn_bias, LowerTriangularMask)
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if isinstance(attn_bias, Tensor):
            assert attn_bias.shape == scores.shape
            assert attn_bias.dtype == query.dtype
            aligned = 128 // torch.finfo(attn_bias.dtype).bits
            assert all(attn_bias.stride(dim) % aligned == 0 for dim in range(3))
            assert attn_bias.stride(-1) == 1
            scores = scores + attn_bias
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
        return (torch.softmax(scores, dim=-1) @ v).to(query.dtype).transpose(1, 2)


def on_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    """The package, on an A100."""
    made = Package()
    monkeypatch.setitem(sys.modules, "xformers", ModuleType("xformers"))
    monkeypatch.setitem(sys.modules, "xformers.ops", made)
    on_gpu(monkeypatch, (8, 0))
    return made


@pytest.mark.usefixtures("package")
class TestStandIn(AttentionSuite):
    backend = XFormers
    spec = replace(SPEC, devices=frozenset({"cpu"}))


class TestHere(AttentionSuite):
    """The real package; skipped unless it is installed and there is a GPU."""

    backend = "xformers"


def tensors(tokens: int = 5, keys: int = 7) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 3, tokens, 40), (2, 3, keys, 40), (2, 3, keys, 40))
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_tensors_are_turned_there_and_back(package: Package) -> None:
    q, k, v = tensors()
    found = XFormers().attend(q, k, v, scale=0.25)
    assert package.calls == [{"q": (2, 5, 3, 40), "k": (2, 7, 3, 40), "scale": 0.25, "bias": None}]
    assert torch.allclose(found.double(), eager_attention(q, k, v, scale=0.25), atol=1e-5)


def test_a_square_causal_layer_needs_no_bias_in_memory(package: Package) -> None:
    XFormers().attend(*tensors(6, 6), causal=True)
    XFormers().attend(*tensors(6, 9), causal=True)
    assert isinstance(package.calls[0]["bias"], LowerTriangularMask)
    assert isinstance(package.calls[1]["bias"], Tensor)


def test_the_probe_says_what_is_missing(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    assert XFormers().probe() is None
    on_gpu(monkeypatch, (5, 2))
    assert "compute capability 6.0 or higher; this one's is 5.2" in (XFormers().probe() or "")
    on_gpu(monkeypatch, None)
    assert "no CUDA device" in (XFormers().probe() or "")


def test_a_broken_package_is_distinguished_from_a_missing_one(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xformers.ops", None)
    with pytest.raises(PluginError, match="installed but cannot be used"):
        XFormers().probe()
    monkeypatch.delitem(sys.modules, "xformers")
    monkeypatch.delitem(sys.modules, "xformers.ops")
    reason = XFormers().probe()
    assert reason is None or "pip install latentry-attention-xformers[cuda]" in reason
