"""The default sigma schedules of gradient estimation: by noise process.

Chosen on targets drawn by a seed; ``python benchmarks/defaults.py`` measures them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("flow", 6, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 15, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("flow", None, "latentry:beta", {"alpha": 0.95, "beta": 0.9}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8}),
)
