"""The default sigma schedules of restart sampling: one rule for each noise process.

Chosen by the variance of results on Gaussians.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 3}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 0, "top": 4.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 4}),
)
