"""The guidance scale as an input of networks that guidance was distilled into."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry import OptionError
from latentry.models import PromptSettings


def guidance_rows(settings: PromptSettings, count: int, device: torch.device, variant: str) -> Tensor:
    """The scale for each prompt, (prompts,), float32.

    Raises:
        OptionError: none is given.
    """
    if settings.guidance is None:
        raise OptionError("No guidance scale was given.", why=f"The network of {variant} takes it with the prompt.")
    return torch.full((count,), settings.guidance, device=device)
