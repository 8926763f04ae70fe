"""The packages ``flash_attn`` (FlashAttention 2) and ``flash_attn_interface`` (FlashAttention 3)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, get_args

from torch import Tensor

from latentry import IncompatibleError, OptionError
from latentry.attention import causal_by_squares, contiguous_rows, gpu_problem, package_problem

Version = Literal["auto", "2", "3"]

AMPERE, HOPPER = (8, 0), (9, 0)
INSTALL = {
    "2": "pip install latentry-attention-flash[cuda]",
    "3": "install flash-attn-3, from torch's index or built from its repository",
}
MODULES = {"2": "flash_attn", "3": "flash_attn_interface"}


class FlashAttention:
    """softmax(q·kᵀ·scale)·v in tiles, in float16 or bfloat16 on Ampere and newer.

    Both packages have ``flash_attn_func(q, k, v, softmax_scale=…, causal=…)`` on (batch, tokens, heads, head size).
    They align causality to the last key; here it is aligned to the first.

    Args:
        version: ``2``, ``3``, or ``auto``: 3 where it is installed and the GPU is a Hopper, else 2.

    Raises:
        OptionError: there is no such version.
    """

    def __init__(self, version: Version | int = "auto") -> None:
        self._version = str(version)
        if self._version not in get_args(Version):
            raise OptionError(
                f"There is no FlashAttention version {version!r}.", remedy=f"Use one of {', '.join(get_args(Version))}."
            )
        self._found: Callable[..., Any] | None = None

    def probe(self) -> str | None:
        """What is missing: a GPU of that generation, or the package.

        Raises:
            PluginError: the package is installed but cannot be imported.
        """
        return self._which()[1]

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
            raise IncompatibleError("FlashAttention cannot serve this call.", why="It does not support masks.")
        function = self._function()

        def kernel(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
            rows = contiguous_rows(*(tensor.transpose(1, 2) for tensor in (q, k, v)))
            out: Any = function(*rows, softmax_scale=scale, causal=causal)
            out = out[0] if isinstance(out, tuple) else out  # early releases of 3 also return the log-sum-exp
            transposed: Tensor = out.transpose(1, 2)
            return transposed

        return causal_by_squares(kernel, q, k, v) if causal else kernel(q, k, v, False)

    def _which(self) -> tuple[str, str | None]:
        """The version to use, and what is missing for it."""
        third = "no" if self._version == "2" else gpu_problem(HOPPER, most=HOPPER) or _missing("3")
        if self._version == "3" or third is None:
            return "3", third
        return "2", gpu_problem(AMPERE) or _missing("2")

    def _function(self) -> Callable[..., Any]:
        """The package's function, imported once."""
        if self._found is None:
            self._found = import_module(MODULES[self._which()[0]]).flash_attn_func
        return self._found


def _missing(version: str) -> str | None:
    return package_problem(MODULES[version], "flash_attn_func", install=INSTALL[version])
