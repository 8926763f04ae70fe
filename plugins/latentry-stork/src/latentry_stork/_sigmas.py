"""The default sigma schedules of STORK: one rule for each noise process.

Chosen on targets drawn by a seed; ``python benchmarks/defaults.py`` measures them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 5, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 4}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 8}),
)
