"""Attention of plain networks, which any backend can serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from latentry._attention._demand import AttentionDemand
from latentry._attention._guard import AttentionGuard
from latentry._attention._serving import attention_backend
from latentry._contract._model import AttentionBackend
from latentry._errors import OptionError


class AttentionSlot(nn.Module):
    """softmax(q·kᵀ·scale + mask)·v, by PyTorch or by the backend that is set on the model.

    A network calls it in place of ``torch.nn.functional.scaled_dot_product_attention``; it has no weights. Shapes and
    arguments are those of ``AttentionBackend.attend``.

    Attributes:
        role: ``self``, ``cross``, ``joint``, ``vae`` or ``text``.
        head_size: of queries and keys.
        backend: what serves it; None for PyTorch.
    """

    def __init__(self, role: str, head_size: int) -> None:
        super().__init__()
        self.role, self.head_size = role, head_size
        self.backend: AttentionBackend | None = None

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attention of (batch, heads, tokens, head size)."""
        if self.backend is not None:
            return self.backend.attend(q, k, v, mask=mask, scale=scale, causal=causal)
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, is_causal=causal)


def set_slots(
    networks: Iterable[nn.Module],
    backend: AttentionBackend | str | None,
    role: str | None,
    device: torch.device,
    dtype: torch.dtype,
) -> AbstractContextManager[None]:
    """``Model.set_attention`` for the ``AttentionSlot``s of some networks. Nothing is changed where it raises."""
    slots = [module for network in networks for module in network.modules() if isinstance(module, AttentionSlot)]
    roles = tuple(dict.fromkeys(slot.role for slot in slots))
    if role is not None and role not in roles:
        has = f"Roles are {', '.join(roles)}." if roles else "Its networks have no attention."
        raise OptionError(f"There is no attention role {role!r} here.", remedy=has, field="attention")
    chosen = [slot for slot in slots if role in (None, slot.role)]
    served = attention_backend(backend, device=device, dtype=dtype) if isinstance(backend, str) else backend
    if isinstance(served, AttentionGuard):
        for slot in chosen:
            served.admit(AttentionDemand(head_size=slot.head_size), f"the {slot.role} attention")
    before = [slot.backend for slot in chosen]
    for slot in chosen:
        slot.backend = served
    return _restoring(chosen, before)


@contextmanager
def _restoring(slots: list[AttentionSlot], before: list[AttentionBackend | None]) -> Iterator[None]:
    try:
        yield
    finally:
        for slot, backend in zip(slots, before, strict=True):
            slot.backend = backend
