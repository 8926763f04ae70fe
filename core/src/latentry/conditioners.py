"""What a conditioner implements and is given: networks that steer a denoiser by a picture.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._bases._conditioner import BaseConditioner
    from latentry._contract._conditioner import (
        Conditioner,
        ConditionerCheckpoint,
        ControlQuery,
        Inject,
        OpenConditioner,
    )
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "BaseConditioner": "_bases._conditioner",
            **dict.fromkeys(
                ("Conditioner", "ConditionerCheckpoint", "ControlQuery", "Inject", "OpenConditioner"),
                "_contract._conditioner",
            ),
        },
    )

__all__ = ["BaseConditioner", "Conditioner", "ConditionerCheckpoint", "ControlQuery", "Inject", "OpenConditioner"]
