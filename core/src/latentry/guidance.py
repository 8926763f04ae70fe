"""What a guidance method is written with: the base class, what it is asked, and the branches it may ask for.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._contract._attention_change import AttentionChange
    from latentry._guidance._classifier_free import ClassifierFree
    from latentry._guidance._evaluate import COND, UNCOND, Branch
    from latentry._guidance._method import GuidanceMethod, Guide, GuidedQuery
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "AttentionChange": "_contract._attention_change",
            "ClassifierFree": "_guidance._classifier_free",
            "COND": "_guidance._evaluate",
            "UNCOND": "_guidance._evaluate",
            "Branch": "_guidance._evaluate",
            "GuidanceMethod": "_guidance._method",
            "GuidedQuery": "_guidance._method",
            "Guide": "_guidance._method",
        },
    )

__all__ = ["COND", "UNCOND", "AttentionChange", "Branch", "ClassifierFree", "GuidanceMethod", "Guide", "GuidedQuery"]
