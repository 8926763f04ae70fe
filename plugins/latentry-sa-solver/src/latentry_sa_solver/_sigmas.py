"""The default sigma schedules of SA-Solver: by noise process.

Those of `receding` are fitted to targets drawn by a seed (``python benchmarks/defaults.py`` measures them on others);
the others keep the error below diffusers' on the oracles of ``latentry.testing``, where one rule did not.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 6, "latentry:kl-optimal", {}),
    ("vp", 20, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:receding", {"end": 0.3, "rho": 1.2, "few": 5, "top": 8.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 4}),
)
