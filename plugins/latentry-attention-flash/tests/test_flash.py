"""FlashAttention, through a stand-in that has the packages' signatures and also aligns causality to the last key."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import AttentionBackendSpec, IncompatibleError, OptionError, PluginError, PluginHost
from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_flash import backend as module
from latentry_attention_flash import latentry_attention_backends
from latentry_attention_flash.backend import FlashAttention

(SPEC,) = latentry_attention_backends()
ON_CPU: AttentionBackendSpec = replace(SPEC, devices=frozenset({"cpu"}))


class Package:
    """Stands in for both packages and records the calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.second, self.third = ModuleType("flash_attn"), ModuleType("flash_attn_interface")
        self.second.flash_attn_func = self.two  # type: ignore[attr-defined]
        self.third.flash_attn_func = self.three  # type: ignore[attr-defined]

    def two(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = (-1, -1),
        softcap: float = 0.0,
        alibi_slopes: Tensor | None = None,
        deterministic: bool = False,
        return_attn_probs: bool = False,
    ) -> Tensor:
        assert dropout_p == softcap == 0.0
        return self._compute(2, q, k, v, softmax_scale, causal)

    def three(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        softmax_scale: float | None = None,
        causal: bool = False,
        qv: Tensor | None = None,
        q_descale: Tensor | None = None,
        k_descale: Tensor | None = None,
        v_descale: Tensor | None = None,
        window_size: tuple[int, int] = (-1, -1),
        attention_chunk: int = 0,
        softcap: float = 0.0,
        num_splits: int = 1,
        pack_gqa: bool | None = None,
        deterministic: bool = False,
        sm_margin: int = 0,
        return_attn_probs: bool = False,
    ) -> tuple[Tensor, None]:
        return self._compute(3, q, k, v, softmax_scale, causal), None

    def _compute(self, version: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, causal: bool) -> Tensor:
        assert all(tensor.dtype in (torch.float16, torch.bfloat16) and tensor.stride(-1) == 1 for tensor in (q, k, v))
        assert q.shape[3] % 8 == 0
        assert q.shape[3] <= 256
        assert q.shape[0] > 0
        self.calls.append(
            {"version": version, "q": tuple(q.shape), "k": tuple(k.shape), "scale": scale, "causal": causal}
        )
        tokens, keys = q.shape[1], k.shape[1]
        last = torch.ones(tokens, keys, dtype=torch.bool).tril(keys - tokens)
        q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
        return eager_attention(q, k, v, mask=last if causal else None, scale=scale).to(q.dtype).transpose(1, 2)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    """Both packages on a Hopper."""
    made = Package()
    monkeypatch.setitem(sys.modules, "flash_attn", made.second)
    monkeypatch.setitem(sys.modules, "flash_attn_interface", made.third)
    on_gpu(monkeypatch, (9, 0))
    return made


def on_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


def tensors(tokens: int = 5, keys: int = 7, size: int = 40) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 3, tokens, size), (2, 3, keys, size), (2, 3, keys, size))
    return [torch.randn(shape, generator=generator).half() for shape in shapes]


@pytest.mark.usefixtures("package")
class TestStandIn(AttentionSuite):
    backend = FlashAttention
    spec = ON_CPU


class TestHere(AttentionSuite):
    """The real package; skipped unless it is installed and there is a GPU."""

    backend = "flash"


@pytest.mark.parametrize("version", ["2", "3"])
def test_tensors_are_turned_there_and_back(version: Any, package: Package) -> None:
    q, k, v = tensors()
    found = FlashAttention(version).attend(q, k, v, scale=0.25)
    assert package.calls == [
        {"version": int(version), "q": (2, 5, 3, 40), "k": (2, 7, 3, 40), "scale": 0.25, "causal": False}
    ]
    assert found.shape == q.shape
    assert torch.allclose(found.double(), eager_attention(q, k, v, scale=0.25), atol=2e-3)


@pytest.mark.parametrize(("capability", "version"), [((9, 0), 3), ((8, 0), 2), ((12, 0), 2)])
def test_the_third_version_is_for_hopper(
    capability: tuple[int, int], version: int, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu(monkeypatch, capability)
    FlashAttention().attend(*tensors())
    assert [call["version"] for call in package.calls] == [version]


def test_the_second_version_steps_in_where_the_third_is_not_installed(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "flash_attn_interface")
    FlashAttention().attend(*tensors())
    assert [call["version"] for call in package.calls] == [2]
    assert "flash_attn_interface is not installed" in (FlashAttention("3").probe() or "")


@pytest.mark.parametrize(
    ("capability", "version", "reason"),
    [
        (None, "auto", "There is no CUDA device."),
        ((7, 5), "auto", "compute capability 8.0 or higher; this one's is 7.5"),
        ((8, 9), "3", "compute capability 9.0 to 9.0; this one's is 8.9"),
    ],
)
def test_the_probe_says_what_is_missing(
    capability: tuple[int, int] | None, version: Any, reason: str, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu(monkeypatch, capability)
    assert reason in (FlashAttention(version).probe() or "")


def test_a_package_that_is_not_there_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu(monkeypatch, (8, 0))
    reason = FlashAttention().probe()
    if reason is None:
        pytest.skip("flash_attn is installed")
    assert "pip install latentry-attention-flash[cuda]" in reason


@pytest.mark.parametrize("error", [ImportError("undefined symbol: _ZN3c10"), OSError("libcudart.so.12: cannot open")])
def test_a_broken_package_is_distinguished_from_a_missing_one(
    error: Exception, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise error

    monkeypatch.setitem(sys.modules, "flash_attn", Broken("flash_attn"))
    with pytest.raises(PluginError, match="installed but cannot be used") as caught:
        FlashAttention("2").probe()
    assert str(error) in caught.value.why


def test_a_mask_is_refused(package: Package) -> None:
    with pytest.raises(IncompatibleError) as caught:
        FlashAttention().attend(*tensors(), mask=torch.ones(5, 7, dtype=torch.bool))
    assert "mask" in caught.value.why
    assert package.calls == []


def test_an_odd_version_is_refused() -> None:
    with pytest.raises(OptionError, match="no FlashAttention version 1"):
        PluginHost().attention_backends.create("flash", version=1)
    assert module.MODULES.keys() == module.INSTALL.keys()
