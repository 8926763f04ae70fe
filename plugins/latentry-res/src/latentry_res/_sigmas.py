"""The default sigma schedules of RES: by noise process.

Chosen on targets drawn by a seed; ``python benchmarks/defaults.py`` measures them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO_M = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("flow", 15, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", None, "latentry:beta", {"alpha": 0.95, "beta": 0.9}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8}),
)

THREE_M = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 1.2, "rho": 0.8, "few": 0}),
    ("flow", 7, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 25.0}),
    ("flow", 15, "latentry:beta", {"alpha": 0.9, "beta": 0.85}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4}),
)

TWO_S = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 2}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 2, "latentry:receding", {"end": 3.0, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.2, "rho": 0.8}),
)
