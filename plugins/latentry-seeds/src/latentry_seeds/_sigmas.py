"""The default sigma schedules of SEEDS: by noise process.

Chosen by the variance of results on Gaussians.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO = sigma_preferences(
    ("vp", 4, "latentry:receding", {"end": 0.2, "rho": 1.4, "few": 0}),
    ("vp", None, "latentry:receding", {"end": 0.3, "few": 0}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 0, "top": 6.0}),
    ("edm", None, "latentry:receding", {"end": 0.6, "few": 4}),
)

THREE = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 3}),
    ("flow", None, "latentry:receding", {"end": 0.1, "few": 0, "top": 4.0}),
    ("edm", None, "latentry:receding", {"end": 0.3, "few": 0}),
)
