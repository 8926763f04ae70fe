"""How many of CLIP's layers a request may leave out, from configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LAYERS = 12
"""Of a ``CLIPTextConfig`` that does not say."""


def clip_skips(configs: Iterable[Mapping[str, Any]], *, usual: int = 0) -> int:
    """The most that ``clip_skip`` may be: one layer must remain in each of the encoders.

    Args:
        configs: of the CLIP text encoders.
        usual: how many of the last layers the family leaves out anyway.
    """
    return min(int(config.get("num_hidden_layers", LAYERS)) for config in configs) - 1 - usual
