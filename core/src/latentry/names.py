"""What a scheduler's or a sigma schedule's name means, other programs' names included; for hosts and bridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._peers._names import Meaning, understand, understand_sigmas
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Meaning": "_peers._names",
            "understand": "_peers._names",
            "understand_sigmas": "_peers._names",
        },
    )

__all__ = ["Meaning", "understand", "understand_sigmas"]
