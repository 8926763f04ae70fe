"""torch's fused attention, with the kernel that torch chooses or a named one."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from latentry import OptionError
from latentry_attention_sdpa import kernels

Kernel = Literal["auto", "flash", "efficient", "cudnn", "math"]


class SDPA:
    """softmax(q·kᵀ·scale + mask)·v in one of torch's kernels.

    A named kernel is called through its own operator: ``torch.nn.attention.sdpa_kernel`` would set it for every thread
    of the process.

    Args:
        kernel: ``auto`` is torch's choice for device, dtype and shapes; ``flash`` and ``math`` exist on the CPU
            and on CUDA, ``efficient`` and ``cudnn`` only on CUDA.

    Raises:
        OptionError: there is no such kernel.
    """

    def __init__(self, kernel: Kernel = "auto") -> None:
        if kernel not in get_args(Kernel):
            raise OptionError(
                f"torch has no attention kernel {kernel!r}.", remedy=f"Kernels are {', '.join(get_args(Kernel))}."
            )
        self._name, self._kernel = kernel, kernels.KERNELS[kernel]

    def probe(self) -> str | None:
        """What is missing: CUDA, for the two kernels that need it; otherwise None."""
        if self._name in kernels.ON_CUDA and not torch.cuda.is_available():
            return f"The kernel {self._name!r} needs CUDA, and there is no CUDA device."
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
        """Computes attention; ``latentry.attention.AttentionBackend`` defines the arguments.

        Raises:
            IncompatibleError: the named kernel cannot serve this device, dtype, head size or mask.
        """
        return self._kernel(q, k, v, mask, scale, causal)
