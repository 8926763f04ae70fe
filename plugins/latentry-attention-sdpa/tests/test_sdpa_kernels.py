"""torch's kernels: each matches the definition where it is available, and is refused where it is not."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any, ClassVar

import pytest
import torch

from latentry import IncompatibleError, OptionError, PluginHost
from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_sdpa.backend import SDPA

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class TestAuto(AttentionSuite):
    backend = "sdpa"


class TestFlash(AttentionSuite):
    backend = "sdpa"
    options: ClassVar = {"kernel": "flash"}


class TestMath(AttentionSuite):
    backend = "sdpa"
    options: ClassVar = {"kernel": "math"}


def tensors(dtype: torch.dtype = torch.float32, device: str = "cpu", size: int = 16) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 2, 9, size, generator=generator).to(device, dtype) for _ in range(3)]


def test_an_unknown_kernel_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="no attention kernel 'flush'") as caught:
        PluginHost().attention_backends.create("sdpa", kernel="flush")
    assert "auto, flash, efficient, cudnn, math" in caught.value.remedy


@pytest.mark.parametrize("kernel", ["efficient", "cudnn"])
def test_a_kernel_for_cuda_says_so(kernel: str) -> None:
    backend = SDPA(kernel)  # type: ignore[arg-type]
    with pytest.raises(IncompatibleError, match=f"{kernel!r} cannot serve this") as caught:
        backend.attend(*tensors())
    assert "not cpu" in caught.value.why
    if not torch.cuda.is_available():
        assert "no CUDA device" in (backend.probe() or "")


OPERATORS = {"flash": "_scaled_dot_product_flash_attention_for_cpu", "math": "_scaled_dot_product_attention_math"}


@pytest.mark.parametrize("kernel", OPERATORS)
def test_a_named_kernel_is_the_one_that_runs(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def watched(operator: Any, name: str) -> Any:
        return lambda *tensors, **options: (ran.append(name), operator(*tensors, **options))[1]

    for name, operator in OPERATORS.items():
        monkeypatch.setattr(torch.ops.aten, operator, watched(getattr(torch.ops.aten, operator), name))
    SDPA(kernel).attend(*tensors())
    assert ran == [kernel]


def test_two_threads_with_two_kernels_do_not_meet() -> None:
    """Each thread keeps its own kernel while the other runs."""
    barrier, wrong = Barrier(2), []
    q, k, v = tensors()
    expected = eager_attention(q, k, v)

    def work(kernel: Any) -> None:
        backend = SDPA(kernel)
        barrier.wait()
        for _ in range(50):
            if not torch.allclose(backend.attend(q, k, v).double(), expected, atol=1e-6):
                wrong.append(kernel)
            if not (torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.math_sdp_enabled()):
                wrong.append("a switch of the process")

    threads = [Thread(target=work, args=(kernel,)) for kernel in ("flash", "math")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@CUDA
@pytest.mark.parametrize("size", [40, 64, 160, 36])
@pytest.mark.parametrize("kernel", ["flash", "efficient", "cudnn", "math"])
def test_every_kernel_on_cuda(kernel: Any, size: int) -> None:
    q, k, v = tensors(torch.float16, "cuda", size)
    mask = torch.rand(1, 1, 9, 9, device="cuda") > 0.4
    mask[:, :, 0] = False
    cases: list[dict[str, Any]] = [{}, {"causal": True}, {"scale": 0.3}]
    for options in cases if kernel == "flash" else [*cases, {"mask": mask}, {"mask": mask, "causal": True}]:
        found = SDPA(kernel).attend(q, k, v, **options)
        assert torch.allclose(found.double(), eager_attention(q, k, v, **options), atol=1e-2), options


@CUDA
def test_flash_on_cuda_refuses_a_mask_and_full_precision() -> None:
    q, k, v = tensors(torch.float16, "cuda")
    with pytest.raises(IncompatibleError, match="cannot serve"):
        SDPA("flash").attend(q, k, v, mask=torch.ones(9, 9, dtype=torch.bool, device="cuda"))
    with pytest.raises(IncompatibleError, match="cannot serve"):
        SDPA("flash").attend(*tensors(torch.float32, "cuda"))
