"""The default sigma schedules of SA-Solver: one rule for each noise process.

Chosen by the variance of results on Gaussians.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.3, "rho": 1.5, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.5, "rho": 1.5, "few": 6, "top": 8.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 4}),
)
