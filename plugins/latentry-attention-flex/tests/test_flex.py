"""flex_attention: eager on the CPU, without the compiler; compiled on CUDA."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch

from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_flex.backend import FlexAttention


class TestFlex(AttentionSuite):
    backend = "flex"


def test_on_the_cpu_nothing_is_compiled_and_no_warning_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", refuse)
    q = torch.randn(1, 2, 12, 8, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = FlexAttention().attend(q, q, q, causal=True)
    assert torch.allclose(found.double(), eager_attention(q, q, q, causal=True), atol=1e-6)


def test_a_torch_without_flex_attention_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.nn.attention.flex_attention", None)
    assert "has no flex_attention" in (FlexAttention().probe() or "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("tokens", [128, 77])
def test_it_is_compiled_on_cuda(tokens: int) -> None:
    q, k, v = (torch.randn(2, 3, tokens, 64, device="cuda", dtype=torch.float16) for _ in range(3))
    mask = torch.rand(2, 1, 1, tokens, device="cuda") > 0.3
    backend = FlexAttention()
    for options in ({}, {"mask": mask}, {"causal": True}):
        found = backend.attend(q, k, v, **options)
        assert torch.allclose(found.double(), eager_attention(q, k, v, **options), atol=1e-2), options
