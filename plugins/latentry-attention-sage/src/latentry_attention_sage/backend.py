"""The package ``sageattention``."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from latentry import IncompatibleError
from latentry.attention import causal_by_squares, contiguous_rows, gpu_problem, package_problem

GENERATIONS = ((8, 0), (8, 6), (8, 9), (9, 0), (12, 0), (12, 1))
"""Compute capabilities that the package has kernels for."""


class SageAttention:
    """softmax(q·kᵀ·scale)·v with q and k in 8-bit integers, and the product with v in float16 or 8-bit floats.

    ``sageattn(q, k, v, tensor_layout="HND", is_causal=…, sm_scale=…)`` takes (batch, heads, tokens, head size), and is
    causal only for equal numbers of tokens and keys. It silently ignores a mask, so none is ever passed to it.
    """

    def probe(self) -> str | None:
        """What is missing: a GPU that it has kernels for, or the package.

        Raises:
            PluginError: the package is installed but cannot be imported.
        """
        if (reason := gpu_problem()) is not None:
            return reason
        if (here := torch.cuda.get_device_capability()) not in GENERATIONS:
            known = ", ".join(f"{major}.{minor}" for major, minor in GENERATIONS)
            return f"It has kernels for compute capabilities {known}; this GPU's is {here[0]}.{here[1]}."
        return package_problem("sageattention", "sageattn", install="pip install latentry-attention-sage[cuda]")

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
            IncompatibleError: a mask is given.
        """
        if mask is not None:
            raise IncompatibleError("SageAttention cannot serve this call.", why="It does not support masks.")
        function = import_module("sageattention").sageattn

        def kernel(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
            rows = contiguous_rows(q, k, v)
            out: Tensor = function(*rows, tensor_layout="HND", is_causal=causal, sm_scale=scale)
            return out

        return causal_by_squares(kernel, q, k, v) if causal else kernel(q, k, v, False)
