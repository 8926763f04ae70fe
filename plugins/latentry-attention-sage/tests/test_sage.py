"""SageAttention, through a stand-in that has its signature and, like it, silently ignores unknown arguments."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import IncompatibleError, PluginError
from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_sage import latentry_attention_backends
from latentry_attention_sage.backend import GENERATIONS, SageAttention

(SPEC,) = latentry_attention_backends()


class Package(ModuleType):
    """Stands in for ``sageattention`` and records the calls."""

    def __init__(self) -> None:
        super().__init__("sageattention")
        self.calls: list[dict[str, Any]] = []

    def sageattn(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tensor_layout: str = "HND",
        is_causal: bool = False,
        sm_scale: float | None = None,
        return_lse: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        assert tensor_layout == "HND"
        assert all(tensor.dtype in (torch.float16, torch.bfloat16) and tensor.stride(-1) == 1 for tensor in (q, k, v))
        assert q.shape[-1] <= 128
        assert not is_causal or q.shape[2] == k.shape[2]
        self.calls.append({"q": tuple(q.shape), "causal": is_causal, "scale": sm_scale, "rest": kwargs})
        return eager_attention(_eight_bits(q), _eight_bits(k), v, scale=sm_scale, causal=is_causal).to(q.dtype)


def _eight_bits(tensor: Tensor) -> Tensor:
    """Rounds each row to 255 levels."""
    step = tensor.abs().amax(dim=-1, keepdim=True).double() / 127
    return (tensor.double() / step).round() * step


def on_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    """The package, on a GPU that it supports."""
    made = Package()
    monkeypatch.setitem(sys.modules, "sageattention", made)
    on_gpu(monkeypatch, (8, 9))
    return made


@pytest.mark.usefixtures("package")
class TestStandIn(AttentionSuite):
    backend = SageAttention
    spec = replace(SPEC, devices=frozenset({"cpu"}))


class TestHere(AttentionSuite):
    """The real package; skipped unless it is installed and there is a GPU."""

    backend = "sage"


def tensors(tokens: int = 6, keys: int = 6) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 3, tokens, 64), (2, 3, keys, 64), (2, 3, keys, 64))
    return [torch.randn(shape, generator=generator).half() for shape in shapes]


def test_the_layout_is_its_own_and_nothing_else_is_passed(package: Package) -> None:
    q, k, v = tensors()
    found = SageAttention().attend(q, k, v, scale=0.2, causal=True)
    assert package.calls == [{"q": (2, 3, 6, 64), "causal": True, "scale": 0.2, "rest": {}}]
    assert torch.allclose(found.double(), eager_attention(q, k, v, scale=0.2, causal=True), atol=0.05)


def test_a_mask_never_reaches_it(package: Package) -> None:
    with pytest.raises(IncompatibleError) as caught:
        SageAttention().attend(*tensors(), mask=torch.ones(6, 6, dtype=torch.bool))
    assert "mask" in caught.value.why
    assert package.calls == []


@pytest.mark.parametrize("capability", [*GENERATIONS, (7, 5), (8, 7), (10, 0)])
def test_it_knows_some_generations(
    capability: tuple[int, int], package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu(monkeypatch, capability)
    reason = SageAttention().probe()
    assert (reason is None) == (capability in GENERATIONS)
    assert reason is None or f"{capability[0]}.{capability[1]}" in reason


def test_the_probe_says_what_is_missing(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sageattention", None)
    with pytest.raises(PluginError, match="installed but cannot be used"):
        SageAttention().probe()
    monkeypatch.delitem(sys.modules, "sageattention")
    reason = SageAttention().probe()
    assert reason is None or "pip install latentry-attention-sage[cuda]" in reason
    on_gpu(monkeypatch, None)
    assert "no CUDA device" in (SageAttention().probe() or "")
