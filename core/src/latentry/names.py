"""What a scheduler's or a sigma schedule's name means, other programs' names included; for hosts and bridges.

``prompt_syntax_of`` says likewise how AUTOMATIC1111's prompts are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._conditioning._prompt_schedule import prompt_syntax_of
    from latentry._peers._names import Meaning, understand, understand_sigmas
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Meaning": "_peers._names",
            "prompt_syntax_of": "_conditioning._prompt_schedule",
            "understand": "_peers._names",
            "understand_sigmas": "_peers._names",
        },
    )

__all__ = ["Meaning", "prompt_syntax_of", "understand", "understand_sigmas"]
