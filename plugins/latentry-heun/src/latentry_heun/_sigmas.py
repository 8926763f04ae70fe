"""The default sigma schedules of Heun's method: by noise process.

Those of `receding` are fitted to targets drawn by a seed (``python benchmarks/defaults.py`` measures them on others);
the others keep the error below diffusers' on the oracles of ``latentry.testing``, where one rule did not.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 3}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 6}),
)
