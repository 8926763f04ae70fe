"""The default sigma schedules of iPNDM: one rule for each noise process.

Chosen on targets drawn by a seed; ``python benchmarks/defaults.py`` measures them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.3, "rho": 0.8, "few": 6, "top": 20.0}),
    ("edm", None, "latentry:receding", {"end": 0.3, "rho": 0.8, "few": 5}),
)
