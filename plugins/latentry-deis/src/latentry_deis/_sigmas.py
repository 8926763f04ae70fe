"""The default sigma schedules of DEIS: by noise process.

Those of `receding` are fitted to targets drawn by a seed (``python benchmarks/defaults.py`` measures them on others);
the others keep the error below diffusers' on the oracles of ``latentry.testing``, where one rule did not.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 4}),
    ("flow", 6, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", None, "latentry:beta", {}),
    ("edm", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 7}),
)
