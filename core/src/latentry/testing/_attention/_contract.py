"""Checks of the record, of what is not declared, and of what a call leaves behind."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import torch
from torch.nn import functional

from latentry._attention._arithmetic import eager_attention
from latentry._attention._self_check import on_device, tolerance
from latentry._specs import AttentionBackendSpec
from latentry.testing._attention._subject import AttentionSubject, draw
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._result import CheckResult

KNOWN_DEVICES = frozenset({"cpu", "cuda", "mps"})


def attention_faults(record: AttentionBackendSpec, checks: Container[str]) -> Iterator[str]:
    """What is wrong with a record, given the names of the checks that it may exempt itself from."""
    yield from record_faults(record, checks)
    if not record.devices or record.devices - KNOWN_DEVICES:
        yield f"devices are {sorted(record.devices)}, not some of {sorted(KNOWN_DEVICES)}"
    if not record.dtypes or not all(isinstance(getattr(torch, name, None), torch.dtype) for name in record.dtypes):
        yield f"dtypes are {sorted(record.dtypes)}"
    if record.head_multiple < 1 or (record.max_head_size or record.head_multiple) < record.head_multiple:
        yield f"no head size is a multiple of {record.head_multiple} and at most {record.max_head_size}"
    if not 0.0 <= record.error < 1.0:
        yield f"error is {record.error}"


def probe(subject: AttentionSubject) -> Iterator[CheckResult]:
    """The probe returns None or a sentence.

    Troubleshooting: return None, or say what is missing; do not raise if a package or a GPU is missing.
    """
    answer: object = subject.backend.probe()
    fine = answer is None or (isinstance(answer, str) and bool(answer.strip()))
    yield summed("probe", "None, or the reason why not", [] if fine else [repr(answer)])


def listing(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import torch in the module that ``target`` names, never in the plugin's ``__init__.py``.
    """
    yield from listing_of(subject)


def undeclared(subject: AttentionSubject) -> Iterator[CheckResult]:
    """What is not declared is refused or computed, never left out in silence; this asks without the guard.

    Troubleshooting: raise ``latentry.IncompatibleError`` where a mask, causality or a scale cannot be honoured.
    """
    mask = torch.arange(24) % 3 > 0
    asked: dict[str, tuple[bool, dict[str, Any]]] = {
        "a mask": (subject.spec.masks, {"mask": mask}),
        "causality": (subject.spec.causal, {"causal": True}),
        "a scale": (subject.spec.scales, {"scale": 0.5}),
    }
    for device, dtype in subject.places():
        for name, (declared, options) in asked.items():
            if not declared:
                wrong = _dropped(subject, device, dtype, options)
                yield CheckResult(
                    check="undeclared", case=name, process=device, declared="refused", measured=wrong, passed=not wrong
                )


def _dropped(subject: AttentionSubject, device: str, dtype: torch.dtype, options: Mapping[str, Any]) -> str:
    q, k, v = draw(*[(1, 2, 24, subject.head_size)] * 3, dtype=dtype)
    try:
        found = subject.backend.attend(q.to(device), k.to(device), v.to(device), **on_device(options, device)).cpu()
    except Exception:  # a refusal, in whatever words
        return ""
    error = float((found.double() - eager_attention(q, k, v, **options)).abs().max() / v.double().abs().max())
    return "" if error <= tolerance(subject.spec, dtype) else f"taken, and off by {error:.1e}"


def leavings(subject: AttentionSubject) -> Iterator[CheckResult]:
    """A call leaves nothing behind: it writes to no input, and changes no gradient, random state or global switch.

    Troubleshooting: ``torch.nn.attention.sdpa_kernel`` and warning filters hold for every thread of a process.
    """
    for device, dtype in subject.places():
        tensors = [tensor.to(device) for tensor in draw(*[(1, 2, 20, subject.head_size)] * 3, dtype=dtype)]
        before, switches = [tensor.clone() for tensor in tensors], _switches()
        out = subject.guarded.attend(*tensors)
        wrong = [name for name, now in _switches().items() if now != switches[name]]
        wrong += ["an input"] * any(not torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
        wrong += ["a gradient"] * out.requires_grad
        again = subject.guarded.attend(*tensors)
        wrong += ["another result"] * (not torch.equal(out, again))
        yield CheckResult(
            check="leavings", process=device, declared="nothing", measured=", ".join(wrong), passed=not wrong
        )


def _switches() -> dict[str, object]:
    cuda: Any = torch.backends.cuda
    return {
        "flash switch": cuda.flash_sdp_enabled(),
        "memory-efficient switch": cuda.mem_efficient_sdp_enabled(),
        "math switch": cuda.math_sdp_enabled(),
        "cuDNN switch": cuda.cudnn_sdp_enabled(),
        "TF32 switch": cuda.matmul.allow_tf32,
        "torch's function": functional.scaled_dot_product_attention,
        "threads": torch.get_num_threads(),
        "grad mode": torch.is_grad_enabled(),
        "random state": torch.get_rng_state().sum().item(),
    }
