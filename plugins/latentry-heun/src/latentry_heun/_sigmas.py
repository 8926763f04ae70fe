"""The default sigma schedules of Heun's method: by noise process.

Those of `receding` are fitted to targets drawn by a seed (``python benchmarks/defaults.py`` measures them on others);
the others keep the error below diffusers' on the oracles of ``latentry.testing``, where one rule did not.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 3}),
    ("flow", 3, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", 6, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15, "sigma_max": 40.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 6}),
)
